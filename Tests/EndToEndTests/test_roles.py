"""APIs and workers apart, as on Kubernetes; and what the number of workers follows there, asked of the real schema."""

import json
import os
import pwd
import subprocess
import sys
import time
import unittest
from contextlib import closing
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "Tests/Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(REPOSITORY / ".build/debug"))
from bench_start import settings_of  # noqa: E402
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402

SCALING = REPOSITORY / "deploy/kubernetes/components/keda/scaling.yaml"
REQUESTS = 30


def queries():
    """{queue: the scaler's query}"""
    scaled = (resource for resource in yaml.safe_load_all(SCALING.read_text()) if resource["kind"] == "ScaledObject")
    return {resource["metadata"]["name"].removesuffix("-worker"): resource["spec"]["triggers"][0]["metadata"]["query"]
            for resource in scaled}


class RoleTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        port = first_port(__file__)
        cls.platform = Platform(port, settings={"MILLRACE_ROLE": "api"}).__enter__()
        cls.platform.wait_until_ready()
        cls.queries = queries()

    @classmethod
    def tearDownClass(cls):
        cls.platform.__exit__()

    def depth(self, queue, before=""):
        """What the scaler reads; after `before`, which is rolled back."""
        return float(self.platform.sql(f"begin; {before} {self.queries[queue]}; rollback").splitlines()[-1])

    def worker(self, service, port):
        """The service as a worker, beside the one that only answers; ended with the test."""
        settings = settings_of(self.platform, service) | {"MILLRACE_ROLE": "worker", "MILLRACE_LISTEN_PORT": str(port)}
        # A folder of the launcher's, and there is nobody to show it to.
        settings.pop("MILLRACE_CONSOLE", None)
        user = pwd.getpwnam("millrace").pw_uid if os.geteuid() == 0 else None
        binary = Path(os.environ["BENCH_BINARIES"]) / f"millrace-{service}"
        process = subprocess.Popen([binary], env=settings, cwd="/", user=user)
        self.addCleanup(lambda: (process.terminate(), process.wait(60)))
        self.wait_until(lambda: subprocess.run(
            [binary, "health"], env=settings, stderr=subprocess.DEVNULL, check=False).returncode == 0)

    def wait_until(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "waited in vain")
            time.sleep(0.05)

    def test_1_an_api_works_on_nothing_and_the_depth_says_what_waits(self):
        self.assertEqual({queue: self.depth(queue) for queue in self.queries},
                         {"transform": 0, "store": 0, "analytics": 0})
        self.platform.must("PUT", "/v1/datasets/roles", json.dumps(
            {"columns": [{"name": "n", "type": "int8"}, {"name": "at", "type": "timestamptz"}]}))
        for number in range(REQUESTS):
            record = json.dumps({"n": number, "at": "2026-01-01T00:00:00Z"})
            self.platform.must("POST", "/v1/ingest/roles", f"{record}\n", "application/x-ndjson")
        waiting = int(self.platform.sql("select count(*) from queue.ready"))
        self.assertGreater(waiting, 1)
        self.assertEqual(self.depth("transform"), waiting)
        self.assertEqual(self.depth("store"), 0)
        self.platform.must("POST", "/v1/queues/transform/pause")
        self.assertEqual(self.depth("transform"), 0)
        self.platform.must("POST", "/v1/queues/transform/resume")
        self.assertEqual(self.depth("transform"), waiting)

    def test_2_the_depth_counts_items_the_gate_and_leases_and_has_an_end(self):
        waiting = self.depth("transform")
        array = "select queue.enqueue('transform', 'none', 1, array['{}'::jsonb], in_items => 500);"
        self.assertEqual(self.depth("transform", array), waiting + 500)
        self.assertEqual(self.depth("store", array), 0)
        row = ("insert into queue.ready (position, job, lane, priority, attempt, last, flow) "
               "select nextval('queue.position'), 1, {}, {}, 1, 20, 1 "
               "from queue.queue q, generate_series(1, {}) where q.name = 'store';")
        self.assertEqual(self.depth("store", row.format("queue.gate_of(q.id)", 0, 7)), 7)
        self.assertEqual(self.depth("store", row.format("q.id * 2 + 1", -2, 3)), 3)
        self.assertEqual(self.depth("store", row.format("q.id * 2", 2, 5000)), 1000)
        lease = ("insert into queue.lease (id, worker, claimed_at, queue, solo, jobs, attempts, lasts) select "
                 "-1, -1, now(), id, false, '{1,2,3}', '{1,1,1}', '{20,20,20}' from queue.queue where name = 'store';")
        self.assertEqual(self.depth("store", lease), 3)
        # What is under a lease keeps its worker, also in a queue that is paused.
        self.assertEqual(self.depth("store", lease + "update queue.queue set paused = true;"), 3)

    def test_2_what_no_worker_may_take_needs_none(self):
        waiting = self.depth("transform")
        blocked = ("insert into queue.blocked (position, limit_id, job, queue, attempt, last) "
                   "select nextval('queue.position'), 1, 1, id, 1, 20 from queue.queue where name = 'transform';")
        self.assertEqual(self.depth("transform", blocked), waiting)
        later = "select queue.enqueue('transform', 'none', 1, array['{}'::jsonb], in_delay => 3600);"
        self.assertEqual(self.depth("transform", later), waiting)

    def test_3_workers_do_what_waits(self):
        self.worker("transform", self.platform.port + 10)
        self.wait_until(lambda: self.depth("transform") == 0)
        self.assertGreater(self.depth("store"), 0)
        with closing(self.platform.connect(self.platform.port + 10)) as worker:
            status, answer = self.platform.call("GET", "/v1/pipelines", connection=worker)
        self.assertEqual((status, answer["code"]), (404, "not_found"))
        self.worker("store", self.platform.port + 11)
        self.wait_until(lambda: self.depth("store") == 0)
        self.platform.wait_finished("roles")
        self.assertEqual(self.platform.sql("select count(*), sum(n) from ws_default.roles"),
                         f"{REQUESTS}|{sum(range(REQUESTS))}")

    def test_4_a_rollup_is_made_by_an_analytics_worker(self):
        self.platform.must("PUT", "/v1/rollups/roles", json.dumps(
            {"dataset": "roles", "time": {"column": "at", "grain": "day"}, "dimensions": [],
             "measures": {"total": "sum(n)"}}))
        self.assertGreater(self.depth("analytics"), 0)
        self.assertEqual(self.depth("store"), 0)
        # The API has nothing of it done: it claims nothing.
        self.assertEqual(self.platform.sql("select count(*) from queue.worker where name like 'analytics%'"), "0")
        self.worker("analytics", self.platform.port + 12)
        self.wait_until(lambda: self.platform.must("GET", "/v1/rollups/roles")["state"] == "ready")
        self.wait_until(lambda: self.depth("analytics") == 0)
        found = self.platform.must("GET", "/v1/rollups/roles/data")
        self.assertEqual([row["total"] for row in found["items"]], [sum(range(REQUESTS))])
        with closing(self.platform.connect(self.platform.port + 12)) as worker:
            status, answer = self.platform.call("POST", "/v1/query", '{"sql": "select 1"}', connection=worker)
            self.assertEqual((status, answer["code"]), (404, "not_found"))
            status, answer = self.platform.call("GET", "/readyz", connection=worker)
        self.assertEqual(status, 200)
        self.assertNotIn("query isolation", [check["check"] for check in answer["checks"]])


if __name__ == "__main__":
    unittest.main(verbosity=2)
