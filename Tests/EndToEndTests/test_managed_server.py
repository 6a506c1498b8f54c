"""A server whose administrator is no superuser, as a cloud's is: what deploy/docs/operations.md says of it."""

import json
import os
import sys
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "Tests/Benchmarks"), str(REPOSITORY / "Tests/Promises")]
os.environ.setdefault("BENCH_BINARIES", str(REPOSITORY / ".build/debug"))
from ports import first_port  # noqa: E402
from server import Server  # noqa: E402
from site_under_test import Site  # noqa: E402


class Managed(Server):
    def prepare(self, administrator="administrator"):
        self.sql(f"create role {administrator} login createrole createdb", database="postgres")
        super().prepare(administrator)

    def prepare_as_superuser(self):
        super().prepare("postgres")


class ManagedServerTests(unittest.TestCase):
    def isolation(self, site):
        """(status of analytics' /readyz, what it says beside its check of the walls)"""
        status, answer = site.call("GET", "/readyz", connection=site.connect(site.port_of("analytics")))
        return status, next(c.get("message") for c in answer["checks"] if c["check"] == "query isolation")

    def counted(self, site):
        return site.call("POST", "/v1/query", json.dumps({"sql": "select sum(n)::int8 from managed"}))

    def test_one_workspace_is_served_and_a_second_refused_until_a_superuser_has_been_there(self):
        port = first_port(__file__)
        with Managed(port + 20) as server, Site(server, port=port) as site:
            site.must("POST", "/v1/ingest/managed?wait=stored&timeout=60s", '{"n": 41}\n{"n": 1}',
                      "application/x-ndjson")
            self.assertEqual(self.counted(site)[1]["rows"], [[42]])
            status, message = self.isolation(site)
            self.assertEqual(status, 200)
            self.assertRegex(message, "lo_create.*prepare.sql as a superuser")

            status, answer = site.call("PUT", "/v1/workspaces/two", "{}")
            self.assertEqual((status, answer["code"]), (503, "query_unavailable"))
            self.assertRegex(answer["detail"], "kept apart.*prepare.sql as a superuser")
            self.assertEqual(site.call("GET", "/v1/workspaces/two")[0], 404)
            self.assertEqual(site.sql("select name from millrace.workspace"), "default")
            # What had been found is forgotten by a new process, as after thirty seconds.
            site.control("analytics", "-d")
            site.wait(lambda: not site.pid("analytics"), 60, "analytics ends")
            site.control("analytics", "-u")
            site.wait(lambda: site.ask(site.port, "GET", "/readyz")[0] == 200, 60, "analytics is ready")
            self.assertEqual(self.counted(site)[1]["rows"], [[42]])

            server.prepare_as_superuser()
            site.must("PUT", "/v1/workspaces/two", "{}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
