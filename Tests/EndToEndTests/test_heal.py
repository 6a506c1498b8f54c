"""Healing on the whole platform: bad records are quarantined, their pipeline is mended, and they are run again, while
store is killed inside the transactions that take them in."""

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
from table_locks import held  # noqa: E402

NDJSON = "application/x-ndjson"
# Of each ten records: one has a unit that version 1 does not know, one is no number under any version.
RECORDS = 200


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


def wait_for(what, condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return found


class Heal(unittest.TestCase):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:40]

    def put(self, *steps):
        definition = {"source": self.name, "steps": list(steps), "target": {"dataset": self.name}}
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(definition))

    def first_version(self):
        self.put({"cast": {"n": "int8"}})

    def mended(self):
        self.put({"derive": {"n": "replace(n::text, 'kg', '')"}}, {"cast": {"n": "int8"}})

    def ingest(self, batches):
        receipts = []
        for batch in range(batches):
            body = ""
            for n in range(batch * RECORDS, (batch + 1) * RECORDS):
                text = f"{n}kg" if n % 10 == 3 else "none" if n % 10 == 7 else str(n)
                body += json.dumps({"n": text}) + "\n"
            receipts.append(platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)["receipt"])
        platform.wait_finished(self.name)
        return receipts

    def heal(self, query="", body="{}"):
        return platform.call("POST", f"/v1/datasets/{self.name}/quarantine/replay{query}", body)

    def rows(self):
        return platform.sql("select concat_ws('|', count(*), count(distinct n), count(distinct (_batch, _row)), "
                            f"count(*) filter (where n % 10 = 3), min(_out)) from ws_default.{self.name}")

    def quarantined(self):
        return platform.sql(
            "select concat_ws('|', count(*), min(q.version), max(q.version)) from landing.quarantine q "
            f"join millrace.dataset d on d.id = q.dataset_id where d.name = '{self.name}'")

    def expect(self, batches, receipts, healed):
        total = batches * RECORDS
        bad = total // 10 if healed else total // 5
        good = total - bad
        self.assertEqual(self.rows(), f"{good}|{good}|{good}|{total // 10 if healed else 0}|0")
        version = 2 if healed else 1
        self.assertEqual(self.quarantined(), f"{bad}|{version}|{version}")
        for receipt in receipts:
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            self.assertEqual(
                [answer[name] for name in ("state", "received", "stored", "filtered", "quarantined", "duplicates")],
                ["stored", RECORDS, good // batches, 0, bad // batches, 0])

    def test_one_reason_leaves_the_others(self):
        """Two columns fail by one code: the records of one column are tried, those of the other are not."""
        first = {"cast": {"n": "int8", "m": "int8", "k": "int8"}}
        self.put(first)
        records = [{"n": "1kg", "m": "1"}, {"n": "2", "m": "2kg"}, {"n": "3kg", "m": "3kg"}, {"n": "4", "m": "4"},
                   {"n": "5", "m": "5", "k": "5kg"}]
        platform.must("POST", f"/v1/ingest/{self.name}", "\n".join(map(json.dumps, records)), content_type=NDJSON)
        platform.wait_finished(self.name)
        mended = [{"derive": {name: f"replace({name}::text, 'kg', '')"}} for name in "nmk"]
        self.put(*mended, first)
        reasons = platform.must("GET", f"/v1/datasets/{self.name}/quarantine/reasons")["items"]
        self.assertEqual({(one["column"], one["records"]) for one in reasons}, {("n", 2), ("m", 1), ("k", 1)})
        reason = {name: next(one for one in reasons if one["column"] == "n")[name]
                  for name in ("code", "step", "column", "stage")}
        for other in ({"step": None}, {"step": "steps[7].cast"}, {"column": None}, {"stage": "store"}):
            status, answer = self.heal("?wait=60s", json.dumps({"reason": reason | other}))
            self.assertEqual((status, answer["healed"], answer["failing"]), (200, 0, 0), other)
        status, answer = self.heal("?wait=60s", json.dumps({"pipeline": self.name, "reason": reason}))
        self.assertEqual((status, answer["healed"], answer["failing"]), (200, 2, 0))
        left = platform.must("GET", f"/v1/datasets/{self.name}/quarantine")["items"]
        self.assertEqual([json.loads(item["raw"])["n"] for item in left], ["2", "5"])
        self.assertEqual(platform.must("GET", f"/v1/runs/{answer['runs'][0]}")["request"]["reason"], reason)

    def kill(self, service):
        pids = [pid for pid, line in platform.processes().items()
                if line.split(" ")[0].endswith(f"millrace-{service}")]
        self.assertEqual(len(pids), 1, platform.processes())
        os.kill(pids[0], signal.SIGKILL)
        platform.wait_until_ready()

    def test_mended_records_leave_the_quarantine(self):
        self.first_version()
        receipts = self.ingest(3)
        self.expect(3, receipts, healed=False)
        self.mended()
        status, answer = self.heal("?wait=60s")
        self.assertEqual((status, answer["healed"], answer["failing"], answer["failed_batches"]), (200, 60, 60, 0))
        self.expect(3, receipts, healed=True)
        run = platform.must("GET", f"/v1/runs/{answer['runs'][0]}")
        self.assertEqual((run["kind"], run["state"], run["version"], run["progress"]),
                         ("heal", "succeeded", 2, {"done": 3, "total": 3}))
        self.assertEqual(run["records"],
                         {"read": None, "stored": 60, "filtered": 0, "quarantined": 60, "duplicates": 0})
        # Once more changes nothing.
        status, answer = self.heal("?wait=60s")
        self.assertEqual((status, answer["healed"], answer["failing"]), (200, 0, 60))
        self.expect(3, receipts, healed=True)
        # A replay makes the same of it, and a heal after it finds the same records.
        request = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
        replay = platform.must("POST", f"/v1/pipelines/{self.name}/replay", json.dumps(request))["run"]
        wait_for("the replay", lambda: platform.must("GET", f"/v1/runs/{replay}")["state"] == "succeeded")
        self.expect(3, receipts, healed=True)

    def test_store_is_killed_while_records_heal(self):
        self.first_version()
        receipts = self.ingest(6)
        self.mended()
        with held(platform, f"ws_default.{self.name}"):
            status, made = self.heal()
            self.assertEqual(status, 202)
            for _ in range(2):
                wait_for("store stands still", lambda: platform.sql(
                    "select count(*) from pg_locks where not granted and relation = "
                    f"'ws_default.{self.name}'::regclass") != "0")
                self.kill("store")
        run = wait_for("the run's end", lambda: (found := platform.must(
            "GET", f"/v1/runs/{made['run']}"))["state"] not in ("queued", "running") and found)
        self.assertEqual((run["state"], run["records"]["stored"], run["records"]["quarantined"]),
                         ("succeeded", 120, 120), run)
        self.expect(6, receipts, healed=True)

    def test_many_heal_at_once(self):
        self.first_version()
        receipts = self.ingest(4)
        self.mended()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.heal("?wait=60s"))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = [answer[0] for answer in answers]
        self.assertEqual(set(statuses) - {200, 409}, set(), answers)
        self.assertEqual(sum(answer["healed"] for status, answer in answers if status == 200), 80, answers)
        self.expect(4, receipts, healed=True)

    # Other modes and outputs

    KEYED = [("id", "int8"), ("seq", "int8"), ("op", "text"), ("body", "text")]
    BEST = {"latest": ("seq desc nulls last, _batch desc, _row desc", "op is distinct from 'delete'"),
            "last": ("_batch desc, _row desc", "true"), "first": ("_batch, _row", "true")}

    def keyed(self, version):
        """Four pipelines over one source; the first version takes no id with a unit."""
        mend = [{"derive": {"id": "replace(id::text, 'kg', '')"}}] if version > 1 else []
        for suffix, target in (("all", {"mode": "append"}), ("last", {"mode": "upsert"}), ("first", {"mode": "ignore"}),
                               ("latest", {"mode": "upsert", "delete_when": "op = 'delete'"})):
            if version == 1:
                columns = [{"name": name, "type": kind} for name, kind in self.KEYED]
                key = {} if suffix == "all" else {"primary_key": ["id"]}
                more = {"version_column": "seq"} if suffix == "latest" else {}
                platform.must("PUT", f"/v1/datasets/{self.name}_{suffix}",
                              json.dumps({"columns": columns, **key, **more}))
            platform.must("PUT", f"/v1/pipelines/{self.name}_{suffix}", json.dumps(
                {"source": self.name, "steps": [*mend, {"cast": {"id": "int8"}}],
                 "target": {"dataset": f"{self.name}_{suffix}", **target}}))

    def send_keyed(self, requests, seed):
        generator = random.Random(seed)
        receipts = []
        for number in range(requests):
            records = []
            for place in range(100):
                key = generator.randrange(300)
                unit = "kg" if generator.random() < 0.2 else " pounds" if generator.random() < 0.05 else ""
                records.append({"id": f"{key}{unit}", "seq": generator.randrange(200),
                                "op": "delete" if generator.random() < 0.2 else "set",
                                "body": f"{seed} {number} {place}"})
            body = "".join(json.dumps(record) + "\n" for record in records)
            receipts.append(platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)["receipt"])
        platform.wait_finished(self.name)
        return receipts

    def expect_best(self):
        """Each key has the best of all rows that there ever were of it, whenever they came or were healed."""
        for suffix, (order, alive) in self.BEST.items():
            best = (f"select * from (select distinct on (id) * from ws_default.{self.name}_all order by id, {order}) w "
                    f"where {alive}")
            wrong = platform.sql(
                f"select count(*) from ({best}) w full join ws_default.{self.name}_{suffix} d on d.id = w.id where "
                "(w.id, w.seq, w.op, w.body, w._batch, w._row) is distinct from "
                "(d.id, d.seq, d.op, d.body, d._batch, d._row)")
            self.assertEqual(wrong, "0", suffix)

    def expect_receipts(self, receipts, quarantined):
        total = 0
        for receipt in receipts:
            for output in platform.must("GET", f"/v1/receipts/{receipt}")["outputs"]:
                self.assertEqual(output["stored"] + output["quarantined"] + output["duplicates"], 100, output)
                total += output["quarantined"]
        self.assertEqual(total, quarantined)

    def count_quarantined(self):
        return int(platform.sql(
            "select count(*) from landing.quarantine q join millrace.dataset d on d.id = q.dataset_id "
            f"where d.name like '{self.name}%'"))

    def ended(self, run):
        return wait_for("the run's end", lambda: (found := platform.must(
            "GET", f"/v1/runs/{run}"))["state"] not in ("queued", "running") and found)

    def test_keys_hold_the_best_row_whatever_was_healed_when(self):
        self.keyed(1)
        receipts = self.send_keyed(6, seed=1)
        self.keyed(2)
        # What is newer is there before what is older heals.
        receipts += self.send_keyed(6, seed=2)
        before = self.count_quarantined()
        self.expect_best()
        runs = []
        for suffix in ("all", "last", "first", "latest"):
            status, answer = platform.call("POST", f"/v1/datasets/{self.name}_{suffix}/quarantine/replay", "{}")
            self.assertEqual(status, 202, answer)
            runs.append(answer["run"])
        hits = 0
        for service in ("store", "transform", "store", "transform", "store"):
            open_runs = [run for run in runs if platform.must("GET", f"/v1/runs/{run}")["state"] in
                         ("queued", "running")]
            if not open_runs:
                break
            hits += 1
            self.kill(service)
        self.assertGreater(hits, 0, "no kill hit a heal: the test has shown nothing")
        for run in runs:
            found = self.ended(run)
            self.assertEqual((found["state"], found["batches"]["failed"]), ("succeeded", 0), found)
        # Of four pipelines: those without a unit that anybody knows.
        left = self.count_quarantined()
        self.assertEqual(left, 4 * int(platform.sql(
            "select count(*) from landing.quarantine q join millrace.dataset d on d.id = q.dataset_id where "
            f"d.name = '{self.name}_all' and convert_from(raw, 'UTF8') like '%pounds%'")))
        self.assertLess(left, before)
        self.expect_best()
        self.expect_receipts(receipts, left)
        self.assertEqual(int(platform.sql(f"select count(*) from ws_default.{self.name}_all")) + left // 4, 1_200)
        # A record that was healed says which version it was.
        batch, row = platform.sql("select batch_id || ' ' || rows[1] from millrace.healed h join millrace.pipeline p "
                                  f"on p.id = h.pipeline_id where p.name = '{self.name}_all' limit 1").split()
        items = platform.must("GET", f"/v1/datasets/{self.name}_all/lineage?batch={batch}&row={row}")["items"]
        self.assertEqual([item["version"] for item in items], [2])
        # Again, nothing changes; and neither does a rebuild.
        rows = platform.sql(f"select md5(string_agg(t::text, ' ' order by id)) from ws_default.{self.name}_latest t")
        status, answer = platform.call("POST", f"/v1/datasets/{self.name}_latest/quarantine/replay?wait=60s", "{}")
        self.assertEqual((status, answer["healed"], answer["failing"]), (200, 0, left // 4))
        request = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
        replay = platform.must("POST", f"/v1/pipelines/{self.name}_latest/replay", json.dumps(request))["run"]
        self.assertEqual(self.ended(replay)["state"], "succeeded")
        self.assertEqual(rows, platform.sql(
            f"select md5(string_agg(t::text, ' ' order by id)) from ws_default.{self.name}_latest t"))
        self.expect_receipts(receipts, left)

    def test_what_was_healed_stays_so_in_another_pipelines_rebuild(self):
        columns = [{"name": name, "type": kind} for name, kind in (("id", "int8"), ("body", "text"))]
        platform.must("PUT", f"/v1/datasets/{self.name}", json.dumps({"columns": columns, "primary_key": ["id"]}))

        def put(source, steps):
            platform.must("PUT", f"/v1/pipelines/{source}", json.dumps(
                {"source": source, "steps": [*steps, {"cast": {"id": "int8"}}],
                 "target": {"dataset": self.name, "mode": "upsert"}}))

        one, two = f"{self.name[:40]}_one", f"{self.name[:40]}_two"
        put(one, [])
        put(two, [])
        platform.must("POST", f"/v1/ingest/{one}", "\n".join(json.dumps(record) for record in (
            {"id": "1", "body": "a"}, {"id": "2kg", "body": "b"}, {"id": "none", "body": "c"},
            {"id": "4", "body": "d"})), content_type=NDJSON)
        platform.wait_finished(one)
        platform.must("POST", f"/v1/ingest/{two}", json.dumps({"id": "4", "body": "e"}), content_type=NDJSON)
        platform.wait_finished(two)
        put(one, [{"derive": {"id": "replace(id::text, 'kg', '')", "body": "upper(body)"}}])
        status, answer = self.heal("?wait=60s")
        self.assertEqual((status, answer["healed"], answer["failing"]), (200, 1, 1), answer)
        expected = "1 a, 2 B, 4 e"
        rows = f"select string_agg(id || ' ' || body, ', ' order by id) from ws_default.{self.name}"
        self.assertEqual(platform.sql(rows), expected)
        request = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
        for _ in range(2):
            run = platform.must("POST", f"/v1/pipelines/{two}/replay", json.dumps(request))["run"]
            ended = self.ended(run)
            self.assertEqual((ended["state"], ended["error"]), ("succeeded", None))
            self.assertEqual(platform.sql(rows), expected)
            self.assertEqual(platform.sql(
                "select concat_ws(' ', a.version, stored, quarantined, h.version, h.rows) from millrace.application a "
                "join millrace.pipeline p on p.id = a.pipeline_id left join millrace.healed h using (batch_id, "
                f"pipeline_id) where p.name = '{one}'"), "1 3 1 2 {1}")
        # Its own makes all of it anew.
        run = platform.must("POST", f"/v1/pipelines/{one}/replay", json.dumps(request))["run"]
        self.assertEqual(self.ended(run)["state"], "succeeded")
        self.assertEqual(platform.sql(rows), "1 A, 2 B, 4 e")
        self.assertEqual(platform.sql("select count(*) from millrace.healed h join millrace.pipeline p "
                                      f"on p.id = h.pipeline_id where p.name = '{one}'"), "0")

    def test_records_heal_into_the_outputs_that_they_belong_to(self):
        def put(*steps):
            route = {"route": [{"when": "n % 2 = 1", "dataset": f"{self.name}_odd", "mode": "upsert"}]}
            platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(
                {"source": self.name, "steps": [*steps, {"cast": {"n": "int8"}}, route],
                 "target": {"dataset": self.name}}))

        platform.must("PUT", f"/v1/datasets/{self.name}_odd", json.dumps(
            {"columns": [{"name": "n", "type": "int8"}], "primary_key": ["n"]}))
        put()
        receipts = self.ingest(3)
        put({"derive": {"n": "replace(n::text, 'kg', '')"}})
        # Those that failed count in the target, although all of them are odd.
        status, answer = self.heal("?wait=60s")
        self.assertEqual((status, answer["healed"], answer["failing"]), (200, 60, 60), answer)
        self.assertEqual(platform.sql(f"select count(*) || ' ' || sum(n % 2) from ws_default.{self.name}"), "300 0")
        self.assertEqual(platform.sql(
            f"select concat_ws(' ', count(*), min(n % 2), count(*) filter (where n % 10 = 3)) "
            f"from ws_default.{self.name}_odd"), "240 1 60")
        for receipt in receipts:
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            self.assertEqual(
                {output["dataset"]: [output[name] for name in ("stored", "quarantined", "duplicates")]
                 for output in answer["outputs"]},
                {self.name: [100, 20, 0], f"{self.name}_odd": [80, 0, 0]})
        self.assertEqual(platform.sql(
            "select string_agg(distinct concat_ws(' ', a.output, a.received), ', ') from millrace.application a join "
            f"millrace.pipeline p on p.id = a.pipeline_id where p.name = '{self.name}'"), "0 120, 1 80")

    def test_a_heal_shows_how_far_it_is_and_is_cancelled(self):
        self.first_version()
        receipts = self.ingest(4)
        self.mended()
        with held(platform, f"ws_default.{self.name}"):
            status, made = self.heal(body='{"max_parallel": 1}')
            self.assertEqual(status, 202)
            wait_for("store stands still", lambda: platform.sql(
                "select count(*) from pg_locks where not granted and relation = "
                f"'ws_default.{self.name}'::regclass") != "0")
            run = platform.must("GET", f"/v1/runs/{made['run']}")
            self.assertEqual((run["kind"], run["state"], run["progress"]), ("heal", "running", {"done": 0, "total": 4}))
            self.assertEqual(platform.sql(
                "select count(*) from queue.permit p join queue.job j on j.id = p.job where kind = 'heal'"), "1")
            self.assertEqual(platform.must("POST", f"/v1/runs/{made['run']}/cancel")["state"], "cancelled")
        wait_for("the jobs' end", lambda: platform.sql(
            "select count(*) from queue.permit p join queue.job j on j.id = p.job where kind in ('heal', 'run.heal')")
            == "0")
        self.expect(4, receipts, healed=False)
        run = platform.must("GET", f"/v1/runs/{made['run']}")
        self.assertEqual((run["state"], run["progress"]), ("cancelled", {"done": 0, "total": 4}))
        status, answer = self.heal("?wait=60s")
        self.assertEqual((status, answer["healed"]), (200, 80), answer)
        self.expect(4, receipts, healed=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
