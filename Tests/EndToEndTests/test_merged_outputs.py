"""What merges rows by a key, and fails or is routed in the middle: a rebuild whose batch could not be read is redriven,
and a pipeline deletes in each of the datasets that it routes rows to."""

import json
import os
import random
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402

NDJSON = "application/x-ndjson"
ALWAYS = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
ENDED = ("succeeded", "failed", "cancelled", "timed_out")
COUNTS = ("received", "stored", "filtered", "quarantined", "duplicates")
COLUMNS = [("id", "int8"), ("seq", "int8"), ("op", "text"), ("kind", "text"), ("body", "text")]


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


class MergedOutputs(unittest.TestCase):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:36]

    def dataset(self, name, **definition):
        columns = [{"name": column, "type": kind} for column, kind in COLUMNS]
        platform.must("PUT", f"/v1/datasets/{name}", json.dumps({"columns": columns, **definition}))

    def send(self, records):
        body = "".join(json.dumps(record) + "\n" for record in records)
        return platform.must("POST", f"/v1/ingest/{self.name}?wait=stored&timeout=60s", body,
                             content_type=NDJSON)["receipt"]

    def ended(self, run):
        deadline = time.monotonic() + 300
        while (found := platform.must("GET", f"/v1/runs/{run}"))["state"] not in ENDED:
            self.assertLess(time.monotonic(), deadline, found)
            time.sleep(0.02)
        return found

    def rows(self, dataset, sql="string_agg(concat_ws(' ', id, seq, body), ', ' order by id)"):
        return platform.sql(f"select {sql} from ws_default.{dataset}")

    # A rebuild that fails

    def upsert(self, body):
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps({
            "source": self.name, "steps": [{"derive": {"body": body}}],
            "target": {"dataset": self.name, "mode": "upsert", "delete_when": "op = 'delete'"}}))

    def prepare(self):
        """Six batches under the first version, and the raw bytes of the third one away."""
        self.dataset(self.name, primary_key=["id"], version_column="seq")
        self.upsert("body || '!'")
        generator = random.Random(3)
        receipts, best = [], {}
        for batch in range(6):
            records = [{"id": generator.randrange(60), "seq": generator.randrange(10**6), "body": f"{batch} {place}",
                        "op": "delete" if generator.random() < 0.2 else "set"} for place in range(50)]
            receipts.append(self.send(records))
            for record in records:
                if record["id"] not in best or best[record["id"]]["seq"] <= record["seq"]:
                    best[record["id"]] = record
        batches = platform.must("GET", f"/v1/batches?source={self.name}&limit=500")["items"]
        third = sorted(int(batch["id"]) for batch in batches)[2]
        platform.sql(f"create table landing.kept_{third} as select * from landing.payload where batch_id = {third}; "
                     f"delete from landing.payload where batch_id = {third}")
        return receipts, {key: record for key, record in best.items() if record["op"] != "delete"}, third

    def restore(self, batch):
        platform.sql(f"insert into landing.payload select * from landing.kept_{batch}; "
                     f"drop table landing.kept_{batch}")

    def expect(self, best, mark):
        self.assertEqual(self.rows(self.name), ", ".join(
            f"{key} {record['seq']} {record['body']}{mark}" for key, record in sorted(best.items())))

    def start_and_fail(self, third):
        self.upsert("body || '?'")
        run = self.ended(platform.must("POST", f"/v1/pipelines/{self.name}/replay", json.dumps(ALWAYS))["run"])
        self.assertEqual((run["state"], run["batches"]["failed"] > 0), ("failed", True), run)
        errors = {error["batch"]: error for error in run["errors"]}
        self.assertIn(str(third), {str(batch) for batch in errors}, run)
        self.assertTrue(run["error"].startswith("raw_expired"), run)
        return run, next(error["job"] for batch, error in errors.items() if str(batch) == str(third))

    def test_a_failed_rebuild_is_redriven_and_takes_the_place(self):
        receipts, best, third = self.prepare()
        self.expect(best, "!")
        run, job = self.start_and_fail(third)
        # Nothing of it is seen.
        self.expect(best, "!")
        for receipt in receipts:
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            self.assertEqual((answer["state"], answer["outputs"][0]["version"]), ("stored", 1))
        self.restore(third)
        self.assertEqual(platform.must("POST", f"/v1/jobs/{job}/retry")["result"], "ready")
        deadline = time.monotonic() + 60
        while (found := platform.must("GET", f"/v1/runs/{run['id']}"))["state"] != "succeeded":
            self.assertLess(time.monotonic(), deadline, found)
            time.sleep(0.02)
        self.assertEqual((found["error"], found["errors"], found["batches"]["failed"]), (None, [], 0), found)
        self.expect(best, "?")
        for receipt in receipts:
            output, = platform.must("GET", f"/v1/receipts/{receipt}")["outputs"]
            self.assertEqual((output["state"], output["version"]), ("stored", 2))
            self.assertEqual(output["stored"] + output["duplicates"], 50)

    def test_a_failed_rebuild_that_something_came_after_is_outdated(self):
        receipts, best, third = self.prepare()
        run, job = self.start_and_fail(third)
        self.send([{"id": 1_000, "seq": 1, "op": "set", "body": "new"}])
        best[1_000] = {"seq": 1, "body": "new"}
        now = {key: {**record, "body": record["body"] + ("?" if key == 1_000 else "!")} for key, record in best.items()}
        self.expect(now, "")
        self.restore(third)
        self.assertEqual(platform.must("POST", f"/v1/jobs/{job}/retry")["result"], "ready")
        deadline = time.monotonic() + 60
        while "rebuild_outdated" not in (found := platform.must("GET", f"/v1/runs/{run['id']}"))["error"] or \
                found["state"] != "failed":
            self.assertLess(time.monotonic(), deadline, found)
            time.sleep(0.02)
        self.expect(now, "")
        # Another run does it.
        ended = self.ended(platform.must("POST", f"/v1/pipelines/{self.name}/replay", json.dumps(ALWAYS))["run"])
        self.assertEqual(ended["state"], "succeeded", ended)
        self.expect(best, "?")

    # Routes

    def put_routed(self):
        for suffix in ("", "_eu", "_log"):
            self.dataset(self.name + suffix, **({} if suffix == "_log" else
                                                {"primary_key": ["id"], "version_column": "seq"}))
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps({
            "source": self.name,
            "steps": [{"route": [
                {"when": "kind = 'eu'", "dataset": f"{self.name}_eu", "mode": "upsert", "delete_when": "op = 'drop'"},
                {"when": "kind = 'log'", "dataset": f"{self.name}_log"}]}],
            "target": {"dataset": self.name, "mode": "upsert", "delete_when": "op = 'delete'"}}))

    def test_a_routed_pipeline_deletes_in_each_of_its_datasets(self):
        self.put_routed()
        first = self.send([
            {"id": 1, "seq": 1, "kind": "us", "body": "a"}, {"id": 1, "seq": 1, "kind": "eu", "body": "b"},
            {"id": 1, "seq": 1, "kind": "log", "op": "delete", "body": "c"},
            {"id": 2, "seq": 1, "kind": "eu", "body": "d"}, {"id": 2, "seq": 1, "kind": "us", "body": "e"}])
        # Each output has its own condition: `delete` deletes in the target, `drop` in the branch, nothing in the log.
        second = self.send([
            {"id": 1, "seq": 2, "kind": "us", "op": "delete"}, {"id": 1, "seq": 2, "kind": "eu", "op": "delete",
                                                                "body": "f"},
            {"id": 2, "seq": 2, "kind": "eu", "op": "drop"}, {"id": 2, "seq": 2, "kind": "us", "op": "drop",
                                                              "body": "g"},
            {"id": 2, "seq": 2, "kind": "log", "op": "drop", "body": "h"}, {"seq": 3, "kind": "eu", "op": "drop"}])
        # What is older comes too late for what was deleted.
        third = self.send([{"id": 1, "seq": 1, "kind": "us", "body": "late"},
                           {"id": 2, "seq": 1, "kind": "eu", "body": "late"},
                           {"id": 2, "seq": 5, "kind": "eu", "body": "back"}])
        self.assertEqual(self.rows(self.name), "2 2 g")
        self.assertEqual(self.rows(f"{self.name}_eu"), "1 2 f, 2 5 back")
        self.assertEqual(self.rows(f"{self.name}_log", "string_agg(body, ' ' order by body)"), "c h")
        expected = {first: [[2, 0, 0], [2, 0, 0], [1, 0, 0]], second: [[2, 0, 0], [2, 1, 0], [1, 0, 0]],
                    third: [[0, 0, 1], [1, 0, 1], [0, 0, 0]]}
        for receipt, outputs in expected.items():
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            self.assertEqual([[output[key] for key in ("stored", "quarantined", "duplicates")]
                              for output in answer["outputs"]], outputs)
            self.assertEqual(answer["received"], sum(map(sum, outputs)))
        item, = platform.must("GET", f"/v1/datasets/{self.name}_eu/quarantine")["items"]
        error, = item["errors"]
        self.assertEqual((item["output"], error["code"], error["column"]), (1, "not_null", "id"))
        # A replay makes the same of it, in whatever order the batches are read.
        run = self.ended(platform.must("POST", f"/v1/pipelines/{self.name}/replay", json.dumps(ALWAYS))["run"])
        self.assertEqual(run["state"], "succeeded", run)
        self.assertEqual(self.rows(self.name), "2 2 g")
        self.assertEqual(self.rows(f"{self.name}_eu"), "1 2 f, 2 5 back")
        self.assertEqual(self.rows(f"{self.name}_log", "string_agg(body, ' ' order by body)"), "c h")

    def test_many_batches_delete_by_routes_whatever_their_order(self):
        self.put_routed()
        generator = random.Random(8)
        best = {"us": {}, "eu": {}}
        total = 0
        for batch in range(30):
            records = []
            for place in range(40):
                kind = generator.choice(("us", "eu"))
                record = {"id": generator.randrange(50), "seq": generator.randrange(10**9), "kind": kind,
                          "op": generator.choice(("set", "set", "delete", "drop")), "body": f"{batch} {place}"}
                records.append(record)
                known = best[kind].get(record["id"])
                if known is None or known["seq"] < record["seq"]:
                    best[kind][record["id"]] = record
            total += len(records)
            body = "".join(json.dumps(record) + "\n" for record in records)
            platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)
        platform.wait_finished(self.name)
        for kind, suffix, gone in (("us", "", "delete"), ("eu", "_eu", "drop")):
            self.assertEqual(self.rows(self.name + suffix), ", ".join(
                f"{key} {record['seq']} {record['body']}" for key, record in sorted(best[kind].items())
                if record["op"] != gone))
        self.assertEqual(platform.sql(
            "select sum(a.received), sum(a.stored + a.duplicates) from millrace.application a "
            f"join millrace.source s on s.id = a.source_id where s.name = '{self.name}'"), f"{total}|{total}")

    def test_deletions_that_make_no_sense_are_refused_with_paths(self):
        self.dataset(self.name, primary_key=["id"])
        branch = {"when": "id = 1", "dataset": self.name}
        cases = [
            ({**branch, "mode": "append", "delete_when": "op = 'x'"}, "steps[0].route[0].delete_when"),
            ({**branch, "mode": "ignore", "delete_when": "op = 'x'"}, "steps[0].route[0].delete_when"),
            ({**branch, "mode": "upsert", "delete_when": "op +"}, "steps[0].route[0].delete_when"),
            ({**branch, "mode": "upsert", "delete_when": "1 + 1"}, "steps[0].route[0].delete_when"),
        ]
        for given, path in cases:
            definition = {"source": self.name, "steps": [{"route": [given]}],
                          "target": {"dataset": f"{self.name}_rest"}}
            status, answer = platform.call("PUT", f"/v1/pipelines/{self.name}", json.dumps(definition))
            self.assertEqual((status, answer["errors"][0]["path"]), (422, path), answer)


if __name__ == "__main__":
    unittest.main(verbosity=2)
