"""Upsert, ignore and deletions on the whole platform: three pipelines read one source, one of them keeps all rows, and
SQL says from these what the others must hold, while store is killed over and over."""

import json
import os
import random
import signal
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402

NDJSON = "application/x-ndjson"
COLUMNS = [("id", "int8"), ("seq", "int8"), ("op", "text"), ("body", "text")]


def setUpModule():
    global platform
    platform = Platform(port=int(os.environ.get("E2E_MODES_PORT", "18960"))).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


class Modes(unittest.TestCase):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:30]

    def dataset(self, suffix, **definition):
        columns = [{"name": name, "type": kind} for name, kind in COLUMNS]
        platform.must("PUT", f"/v1/datasets/{self.name}_{suffix}", json.dumps({"columns": columns, **definition}))

    def pipeline(self, suffix, mode, **target):
        definition = {"source": self.name, "target": {"dataset": f"{self.name}_{suffix}", "mode": mode, **target}}
        platform.must("PUT", f"/v1/pipelines/{self.name}_{suffix}", json.dumps(definition))

    def send(self, records):
        body = "".join(json.dumps(record) + "\n" for record in records)
        return platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)["receipt"]

    def rows(self, suffix, sql):
        return platform.sql(f"select {sql} from ws_default.{self.name}_{suffix}")

    def kill_store(self):
        for pid, line in platform.processes().items():
            if line.split(" ")[0].endswith("millrace-store"):
                os.kill(pid, signal.SIGKILL)

    def expect(self, suffix, order, where="true"):
        """The dataset holds for each key the best row in this order of all that there were, and no other."""
        best = (f"select * from (select distinct on (id) * from ws_default.{self.name}_all where id is not null "
                f"order by id, {order}) w where {where}")
        wrong = platform.sql(
            f"select count(*) from ({best}) w full join ws_default.{self.name}_{suffix} d on d.id = w.id "
            "where (w.id, w.seq, w.op, w.body, w._batch, w._row) is distinct from "
            "(d.id, d.seq, d.op, d.body, d._batch, d._row)")
        self.assertEqual(wrong, "0")

    def test_store_is_killed_while_it_merges(self):
        self.dataset("all")
        self.dataset("latest", primary_key=["id"], version_column="seq")
        self.dataset("last", primary_key=["id"])
        self.dataset("first", primary_key=["id"])
        self.pipeline("all", "append")
        self.pipeline("latest", "upsert", delete_when="op = 'delete'")
        self.pipeline("last", "upsert")
        self.pipeline("first", "ignore")
        generator = random.Random(20)
        receipts = {}
        lock = threading.Lock()
        requests = []
        for number in range(240):
            records = [
                {"id": generator.randrange(2_000), "seq": generator.randrange(400),
                 "op": "delete" if generator.random() < 0.2 else "set", "body": f"{number} {place}"}
                for place in range(generator.choice((1, 3, 40, 400)))]
            # Two of a hundred lack the key; deletions need no more than that.
            for record in records:
                if generator.random() < 0.02:
                    record["id"] = None
            requests.append(records)

        def client():
            while True:
                with lock:
                    if not requests:
                        return
                    records = requests.pop()
                receipt = self.send(records)
                with lock:
                    receipts[receipt] = records

        threads = [threading.Thread(target=client) for _ in range(4)]
        for thread in threads:
            thread.start()
        merging = ("select count(*) from pg_stat_activity where state <> 'idle' and "
                   "(query ilike 'with winner%' or query ilike 'copy pg_temp%')")
        hits = 0
        for _ in range(400):
            if hits >= 6 or not (any(thread.is_alive() for thread in threads) or platform.unfinished(self.name)):
                break
            if platform.sql(merging) != "0":
                self.kill_store()
                hits += 1
                platform.wait_until_ready()
        for thread in threads:
            thread.join()
        self.assertGreater(hits, 0, "no kill hit a merge: the test has shown nothing")
        platform.wait_finished(self.name, seconds=240)

        self.expect("latest", "seq desc nulls last, _batch desc, _row desc", "op is distinct from 'delete'")
        self.expect("last", "_batch desc, _row desc")
        self.expect("first", "_batch, _row")
        self.assertGreater(int(self.rows("latest", "count(*)")), 1_000)
        self.check_receipts(receipts)

    def check_receipts(self, receipts):
        """Each record is counted once for each output; those without a key are quarantined, nothing else is."""
        stored = {}
        for receipt, records in receipts.items():
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            self.assertEqual(len(answer["outputs"]), 4)
            keyless = sum(record["id"] is None for record in records)
            for output in answer["outputs"]:
                suffix = output["dataset"].removeprefix(f"{self.name}_")
                self.assertEqual((output["state"], output["filtered"]), ("stored", 0), output)
                self.assertEqual(output["quarantined"], 0 if suffix == "all" else keyless, output)
                self.assertEqual(output["stored"] + output["quarantined"] + output["duplicates"], len(records), output)
                stored[suffix] = stored.get(suffix, 0) + output["stored"]
                if suffix == "all":
                    self.assertEqual(output["duplicates"], 0)
        total = sum(map(len, receipts.values()))
        self.assertEqual(stored["all"], total)
        self.assertEqual(self.rows("all", "count(*)"), str(total))
        for suffix in ("latest", "last", "first"):
            # Each row that is there was stored once; others were stored before it.
            self.assertGreaterEqual(stored[suffix], int(self.rows(suffix, "count(*)")))
            self.assertLess(stored[suffix], total)

    def test_a_key_that_comes_twice_and_what_cannot_be_replayed(self):
        self.dataset("one", primary_key=["id"], version_column="seq")
        self.pipeline("one", "upsert", delete_when="op = 'delete'")
        first = self.send([{"id": 1, "seq": 2, "op": "set", "body": "new"}, {"id": 1, "seq": 1, "body": "old"},
                           {"id": 2, "seq": 9, "op": "delete"}, {"id": 3, "seq": 1, "body": "three"}])
        platform.wait_finished(self.name)
        second = self.send([{"id": 2, "seq": 8, "body": "too late"}, {"id": 3, "seq": 1, "body": "three again"}])
        platform.wait_finished(self.name)
        self.assertEqual(self.rows("one", "string_agg(id || ' ' || body, ', ' order by id)"),
                         "1 new, 3 three again")
        counts = ("received", "stored", "filtered", "quarantined", "duplicates")
        for receipt, expected in ((first, [4, 3, 0, 0, 1]), (second, [2, 1, 0, 0, 1])):
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            self.assertEqual([answer[name] for name in counts], expected)
        always = json.dumps({"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"})
        status, answer = platform.call("POST", f"/v1/pipelines/{self.name}_one/replay", always)
        self.assertEqual((status, answer["code"]), (409, "conflict"), answer)
        # The key cannot be taken away from under the pipeline, nor another mode be mixed in.
        columns = [{"name": name, "type": kind} for name, kind in COLUMNS]
        status, answer = platform.call("PUT", f"/v1/datasets/{self.name}_one", json.dumps({"columns": columns}))
        self.assertEqual((status, answer["code"], answer["errors"][0]["path"]),
                         (409, "incompatible_change", "primary_key"), answer)
        other = json.dumps({"source": "elsewhere", "target": {"dataset": f"{self.name}_one"}})
        status, answer = platform.call("PUT", f"/v1/pipelines/{self.name}_other", other)
        self.assertEqual((status, answer["code"], answer["errors"][0]["path"]), (409, "conflict", "target.mode"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
