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
from ports import first_port  # noqa: E402

NDJSON = "application/x-ndjson"
ALWAYS = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
ENDED = ("succeeded", "failed", "cancelled", "timed_out")
COLUMNS = [("id", "int8"), ("seq", "int8"), ("op", "text"), ("body", "text")]


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


class Modes(unittest.TestCase):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:30]

    def dataset(self, suffix, **definition):
        columns = [{"name": name, "type": kind} for name, kind in COLUMNS]
        platform.must("PUT", f"/v1/datasets/{self.name}_{suffix}", json.dumps({"columns": columns, **definition}))

    def pipeline(self, suffix, mode, steps=(), **target):
        definition = {"source": self.name, "steps": list(steps),
                      "target": {"dataset": f"{self.name}_{suffix}", "mode": mode, **target}}
        platform.must("PUT", f"/v1/pipelines/{self.name}_{suffix}", json.dumps(definition))

    def send(self, records):
        body = "".join(json.dumps(record) + "\n" for record in records)
        return platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)["receipt"]

    def rows(self, suffix, sql):
        return platform.sql(f"select {sql} from ws_default.{self.name}_{suffix}")

    def kill(self, *services):
        for pid, line in platform.processes().items():
            if any(line.split(" ")[0].endswith(f"millrace-{service}") for service in services):
                os.kill(pid, signal.SIGKILL)

    def wrong(self, suffix, order, where="true", among="true", body="w.body"):
        """How many keys do not hold the best row in this order of all that there were, or hold another."""
        best = (f"select * from (select distinct on (id) * from ws_default.{self.name}_all where id is not null "
                f"and {among} order by id, {order}) w where {where}")
        return int(platform.sql(
            f"select count(*) from ({best}) w full join ws_default.{self.name}_{suffix} d on d.id = w.id "
            f"where (w.id, w.seq, w.op, {body}, w._batch, w._row) is distinct from "
            "(d.id, d.seq, d.op, d.body, d._batch, d._row)"))

    def expect(self, suffix, order, *how, **more):
        self.assertEqual(self.wrong(suffix, order, *how, **more), 0)

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
                self.kill("store")
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

    def test_a_key_that_comes_twice_and_what_does_not_go_together(self):
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
        # The key cannot be taken away from under the pipeline, nor another mode be mixed in.
        columns = [{"name": name, "type": kind} for name, kind in COLUMNS]
        status, answer = platform.call("PUT", f"/v1/datasets/{self.name}_one", json.dumps({"columns": columns}))
        self.assertEqual((status, answer["code"], answer["errors"][0]["path"]),
                         (409, "incompatible_change", "primary_key"), answer)
        other = json.dumps({"source": "elsewhere", "target": {"dataset": f"{self.name}_one"}})
        status, answer = platform.call("PUT", f"/v1/pipelines/{self.name}_other", other)
        self.assertEqual((status, answer["code"], answer["errors"][0]["path"]), (409, "conflict", "target.mode"))

    # Rebuilding

    FRESH = [{"filter": "seq % 5 <> 3"}, {"derive": {"body": "body || '!'"}}]
    LATEST = "seq desc nulls last, _batch desc, _row desc"
    ALIVE = "op is distinct from 'delete'"

    def latest(self, steps=()):
        self.pipeline("latest", "upsert", steps, delete_when="op = 'delete'")

    def prepare(self, requests, records=100):
        self.dataset("all")
        self.dataset("latest", primary_key=["id"], version_column="seq")
        self.pipeline("all", "append")
        self.latest()
        self.generator = random.Random(30)
        receipts = [self.send(self.records(records, number)) for number in range(requests)]
        platform.wait_finished(self.name)
        self.expect("latest", self.LATEST, self.ALIVE)
        return receipts

    def records(self, count, number):
        return [{"id": self.generator.randrange(1_000), "seq": self.generator.randrange(400),
                 "op": "delete" if self.generator.random() < 0.2 else "set", "body": f"{number} {place}"}
                for place in range(count)]

    def replay(self, **request):
        return platform.call("POST", f"/v1/pipelines/{self.name}_latest/replay", json.dumps(request or ALWAYS))

    def start(self):
        status, answer = self.replay()
        self.assertEqual(status, 202, answer)
        return answer["run"]

    def wait_ended(self, run, seconds=300):
        deadline = time.monotonic() + seconds
        while (found := platform.must("GET", f"/v1/runs/{run}"))["state"] not in ENDED:
            self.assertLess(time.monotonic(), deadline, found)
            time.sleep(0.02)
        return found

    def expect_fresh(self):
        self.expect("latest", self.LATEST, self.ALIVE, among="seq % 5 <> 3", body="w.body || '!'")

    def shadows(self):
        return platform.sql(f"select count(*) from pg_class where relname like '{self.name}%.re%'")

    def test_a_new_version_rebuilds_the_dataset_and_losers_come_back(self):
        receipts = self.prepare(20)
        self.latest(self.FRESH)
        run = self.wait_ended(self.start())
        self.assertEqual((run["state"], run["version"], run["batches"]["failed"]), ("succeeded", 2, 0), run)
        self.expect_fresh()
        self.assertEqual(self.shadows(), "0")
        records = run["records"]
        self.assertIsNone(records.pop("read"))
        self.assertEqual(sum(records.values()), 2_000)
        filtered = int(self.rows("all", "count(*) filter (where seq % 5 = 3)"))
        self.assertEqual((records["filtered"], records["quarantined"]), (filtered, 0))
        for receipt in receipts:
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            output, = (output for output in answer["outputs"] if output["dataset"].endswith("latest"))
            self.assertEqual((output["state"], output["version"]), ("stored", 2))
            self.assertEqual(output["stored"] + output["filtered"] + output["duplicates"], 100)
        # What comes later meets what was rebuilt, deletions included; and the whole can be done again.
        self.send(self.records(400, 77))
        platform.wait_finished(self.name)
        self.expect_fresh()
        self.assertEqual(self.wait_ended(self.start())["state"], "succeeded")
        self.expect_fresh()
        indexes = platform.sql(f"select string_agg(indexname, ' ' order by indexname) from pg_indexes "
                               f"where tablename like '{self.name}_latest%'")
        name = f"{self.name}_latest"
        self.assertEqual(indexes, f"{name}.batch {name}.deleted.at {name}.deleted.key {name}.key")
        answer = platform.must("POST", "/v1/query", json.dumps({"sql": f"select count(*) from {name}"}))
        self.assertEqual(str(answer["rows"][0][0]), self.rows("latest", "count(*)"))

    def test_rebuilds_while_records_come_in_and_services_are_killed(self):
        self.prepare(100, records=30)
        self.latest(self.FRESH)
        hits = 0

        def send():
            generator = random.Random(40)
            for number in range(1_000, 1_300):
                records = [{"id": generator.randrange(1_000), "seq": generator.randrange(400),
                            "op": "delete" if generator.random() < 0.2 else "set", "body": f"{number} {place}",
                            **({"late": number} if number >= 1_100 else {})}
                           for place in range(20)]
                self.send(records)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            for services in (("store",), ("store", "transform")):
                run = self.start()
                # In the middle: some of the parts are there, and the tables have not changed places.
                part = f"select count(*) from millrace.rebuild_output where run = {run}"
                while platform.sql(part) == "0" and platform.must("GET", f"/v1/runs/{run}")["state"] not in ENDED:
                    time.sleep(0.005)
                self.kill(*services)
                hits += platform.sql(part) != "0"
                platform.wait_until_ready()
                ended = self.wait_ended(run)
                self.assertEqual(ended["state"], "succeeded", ended)
        finally:
            sender.join()
        self.assertGreater(hits, 0, "no kill hit a rebuild: the test has shown nothing")
        platform.wait_finished(self.name)
        self.expect_fresh()
        # A column that came in the middle has its values.
        schema = f"ws_default.{self.name}"
        self.assertEqual(platform.sql(
            f"select count(l.late) > 0, count(*) filter (where l.late is distinct from a.late) from {schema}_latest l "
            f"join {schema}_all a on a._batch = l._batch and a._row = l._row"), "t|0")
        self.assertEqual(self.shadows(), "0")
        # Those of a cancelled run stay until maintenance comes by.
        self.assertEqual(platform.sql(
            "select count(*) from millrace.rebuild_part p join millrace.run r on r.id = p.run "
            "where r.state <> 'cancelled'"), "0")

    def test_a_rebuild_is_cancelled_and_another_one_succeeds(self):
        self.prepare(20)
        self.latest(self.FRESH)
        platform.must("POST", "/v1/queues/store/pause")
        try:
            run = self.start()
            while platform.sql(f"select count(*) from millrace.run_batch where run = {run} and batch > 0 "
                               "and state <> 'transformed'") != "0":
                time.sleep(0.02)
            status, answer = self.replay()
            self.assertEqual((status, answer["code"], answer["run"]), (409, "conflict", run))
            name = f"{self.name}_latest"
            status, answer = platform.call("DELETE", f"/v1/datasets/{name}?confirm={name}")
            self.assertEqual((status, answer["code"]), (409, "in_use"))
            self.assertEqual(platform.must("POST", f"/v1/runs/{run}/cancel")["state"], "cancelled")
        finally:
            platform.must("POST", "/v1/queues/store/resume")
        self.send([{"id": 1, "seq": 1_000, "op": "set", "body": "x"}])
        platform.wait_finished(self.name)
        # The rows are those of the first version still, but for what has come in since.
        self.expect("latest", self.LATEST, self.ALIVE, body="w.body || case when w.seq = 1000 then '!' else '' end")
        self.assertEqual(self.wait_ended(self.start())["state"], "succeeded")
        self.expect_fresh()

    def test_rows_that_go_into_one_table_only_end_the_rebuild(self):
        self.prepare(5)
        self.latest(self.FRESH)
        platform.must("POST", "/v1/queues/store/pause")
        try:
            run = self.start()
            while platform.sql(f"select count(*) from millrace.run_batch where run = {run} and batch > 0 "
                               "and state <> 'transformed'") != "0":
                time.sleep(0.02)
            # Records of a source of the dataset's name are appended to it; its jobs go first.
            platform.must("POST", f"/v1/ingest/{self.name}_latest", '{"id": 5000, "body": "appended"}',
                          content_type=NDJSON)
            while platform.sql("select count(*) from queue.job where kind = 'load' and id > (select max(id) from "
                               "queue.job where kind = 'rebuild')") == "0":
                time.sleep(0.02)
        finally:
            platform.must("POST", "/v1/queues/store/resume")
        ended = self.wait_ended(run)
        self.assertEqual(ended["state"], "failed", ended)
        self.assertTrue(ended["error"].startswith("rebuild_outdated"), ended)
        self.assertEqual(platform.sql(f"delete from ws_default.{self.name}_latest where id = 5000 returning body"),
                         "appended")
        self.expect("latest", self.LATEST, self.ALIVE)

    def test_what_would_be_lost_is_refused(self):
        self.prepare(3)
        batches = platform.must("GET", f"/v1/batches?source={self.name}")["items"]
        status, answer = self.replay(batches=[batches[0]["id"]])
        self.assertEqual((status, answer["code"]), (409, "conflict"), answer)
        self.assertIn("as a whole", answer["detail"])
        table = f"ws_default.{self.name}_latest"
        platform.sql(f"insert into {table} (id, _batch, _row, _out) values (-1, 999999999, 0, 0)")
        status, answer = self.replay()
        self.assertEqual((status, answer["code"]), (409, "conflict"), answer)
        self.assertIn("would be lost", answer["detail"])
        platform.sql(f"delete from {table} where id = -1")
        second = batches[1]["id"]
        platform.sql(f"insert into landing.expired values ('payload', -1, {second}, {second} + 1, now(), now())")
        status, answer = self.replay()
        self.assertEqual((status, answer["code"], answer["batches"]), (409, "raw_expired", [second]), answer)
        platform.sql(f"delete from landing.expired where low = {second}")
        self.assertEqual(self.wait_ended(self.start())["state"], "succeeded")
        self.expect("latest", self.LATEST, self.ALIVE)


if __name__ == "__main__":
    unittest.main(verbosity=2)
