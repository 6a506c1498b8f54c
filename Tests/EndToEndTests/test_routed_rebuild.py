"""A replay of a pipeline that routes rows to several datasets and merges some by a key: all of its outputs change at
once, whoever is killed, and none does where the run is cancelled. A second pipeline keeps all rows, and SQL says from
these what each output must hold."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import PSQL, Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402

NDJSON = "application/x-ndjson"
ALWAYS = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
ENDED = ("succeeded", "failed", "cancelled", "timed_out")
COLUMNS = [("id", "int8"), ("seq", "int8"), ("op", "text"), ("kind", "text"), ("body", "text"), ("ts", "timestamptz")]
KINDS = ("us", "eu", "seen", "log")
# In the order of their ids. The pipeline names them in another one.
DATASETS = {"all": {}, "seen": {"primary_key": ["id"]}, "log": {},
            "main": {"primary_key": ["id"], "version_column": "seq"},
            "eu": {"primary_key": ["id"], "version_column": "seq"}}
OUTPUTS = ("main", "eu", "seen", "log")
DELETES = {"mode": "upsert", "delete_when": "op = 'delete'"}


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


class RoutedRebuild(unittest.TestCase):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:36]
        self.random = random.Random(self.name)
        self.sent = {}

    # What there is

    def put_datasets(self, **log):
        columns = [{"name": name, "type": kind} for name, kind in COLUMNS]
        for suffix, definition in (DATASETS | {"log": log}).items():
            platform.must("PUT", f"/v1/datasets/{self.name}_{suffix}", json.dumps({"columns": columns, **definition}))

    def put(self, name, source, steps, routes, target):
        def place(suffix, how):
            return {"dataset": f"{self.name}_{suffix}", **how}
        branches = [{"when": when, **place(suffix, how)} for when, suffix, how in routes]
        platform.must("PUT", f"/v1/pipelines/{name}", json.dumps(
            {"source": source, "steps": [*steps, *([{"route": branches}] if routes else [])],
             "target": place(*target)}))

    def first(self):
        self.put(self.name, self.name, [],
                 [("kind = 'eu'", "eu", DELETES), ("kind = 'seen'", "seen", {"mode": "ignore"}),
                  ("kind = 'log'", "log", {})], ("main", DELETES))

    def second(self):
        """Some rows of `eu` go to the log, which is another output now, as `seen` is; a fifth of all are left out."""
        self.put(self.name, self.name, [{"filter": "seq % 5 <> 3"}, {"derive": {"body": "body || '!'"}}],
                 [("kind = 'eu' and id % 7 <> 0", "eu", DELETES), ("kind in ('log', 'eu')", "log", {}),
                  ("kind = 'seen'", "seen", {"mode": "ignore"})], ("main", DELETES))

    def records(self, count, **more):
        records = [{"id": self.random.randrange(300), "seq": self.random.randrange(10**6),
                    "op": "delete" if self.random.random() < 0.1 else "set", "kind": self.random.choice(KINDS),
                    "body": str(self.random.randrange(10**9)),
                    "ts": f"2026-01-0{self.random.randrange(1, 8)}T00:00:00Z", **more} for _ in range(count)]
        for record in records:
            if record["kind"] in ("us", "eu") and self.random.random() < 0.03:
                record["id"] = None
        return records

    def send(self, records, source=None):
        body = "".join(json.dumps(record) + "\n" for record in records)
        receipt = platform.must("POST", f"/v1/ingest/{source or self.name}", body, content_type=NDJSON)["receipt"]
        self.sent[receipt] = records
        return receipt

    def prepare(self, requests=12, records=100, **log):
        self.put_datasets(**log)
        self.put(f"{self.name}_all", self.name, [], [], ("all", {}))
        self.first()
        for _ in range(requests):
            self.send(self.records(records))
        platform.wait_finished(self.name)
        self.expect_first()

    def batches(self):
        return sorted(int(batch["id"]) for batch in platform.must("GET", f"/v1/batches?source={self.name}")["items"])

    def rows(self, suffix, sql="count(*)"):
        return platform.sql(f"select {sql} from ws_default.{self.name}_{suffix}")

    # What there must be

    def wrong(self, suffix, among, order=None, alive="true", body="w.body"):
        """How many rows a dataset has that it must not, or lacks."""
        every = f"select * from ws_default.{self.name}_all where {among}"
        key = "d._batch = w._batch and d._row = w._row"
        if order:
            every = (f"select * from (select distinct on (id) * from ({every}) a where id is not null "
                     f"order by id, {order}) w where {alive}")
            key = "d.id = w.id"
        return int(platform.sql(
            f"select count(*) from ({every}) w full join ws_default.{self.name}_{suffix} d on {key} "
            f"where (w.id, w.seq, w.op, {body}, w._batch, w._row) is distinct from "
            "(d.id, d.seq, d.op, d.body, d._batch, d._row)"))

    LATEST = "seq desc nulls last, _batch desc, _row desc"
    ALIVE = "op is distinct from 'delete'"

    def expect_first(self, eu=None):
        """`eu` names another source whose records are in that dataset, and in no other."""
        own = f"_batch in ({', '.join(map(str, self.batches()))}) and " if eu else ""
        self.assertEqual({
            "main": self.wrong("main", own + "kind = 'us'", self.LATEST, self.ALIVE),
            "eu": self.wrong("eu", "kind = 'eu'", self.LATEST, self.ALIVE),
            "seen": self.wrong("seen", own + "kind = 'seen'", "_batch, _row"),
            "log": self.wrong("log", own + "kind = 'log'")}, dict.fromkeys(OUTPUTS, 0))

    def expect_second(self, but=()):
        """`but` are batches that the first version has made."""
        old = f"w._batch in ({', '.join(map(str, but))})" if but else "false"
        body = {"body": f"w.body || case when {old} then '' else '!' end"}

        def among(first, second):
            return f"case when {old} then {first} else seq % 5 <> 3 and ({second}) end".replace("w._batch", "_batch")

        self.assertEqual({
            "main": self.wrong("main", among("kind = 'us'", "kind = 'us'"), self.LATEST, self.ALIVE, **body),
            "eu": self.wrong("eu", among("kind = 'eu'", "kind = 'eu' and id % 7 <> 0"), self.LATEST, self.ALIVE,
                             **body),
            "seen": self.wrong("seen", among("kind = 'seen'", "kind = 'seen'"), "_batch, _row", **body),
            # A row without a key is in no branch whose condition is not true for it.
            "log": self.wrong("log", among("kind = 'log'", "kind = 'log' or kind = 'eu' and (id % 7 <> 0) is not true"),
                              **body),
        }, dict.fromkeys(OUTPUTS, 0))
        self.assertGreater(min(int(self.rows(suffix)) for suffix in OUTPUTS), 10)

    def nothing_is_left(self):
        self.assertEqual(platform.sql(f"select count(*) from pg_class where relname like '{self.name}%.re%'"), "0")
        # Those of a cancelled run stay until maintenance comes by.
        for table in ("rebuild_part", "rebuild_output"):
            self.assertEqual(platform.sql(
                f"select count(*) from millrace.{table} p join millrace.run r on r.id = p.run "
                f"join millrace.pipeline l on l.id = r.pipeline_id where r.state <> 'cancelled' "
                f"and l.name like '{self.name}%'"), "0")

    # Runs

    def replay(self, name=None, dry=False, **request):
        return platform.call("POST", f"/v1/pipelines/{name or self.name}/replay{'?dry_run=true' if dry else ''}",
                             json.dumps(request or ALWAYS))

    def start(self, **how):
        status, answer = self.replay(**how)
        self.assertEqual(status, 202, answer)
        return answer["run"]

    def ended(self, run, seconds=300):
        deadline = time.monotonic() + seconds
        while (found := platform.must("GET", f"/v1/runs/{run}"))["state"] not in ENDED:
            self.assertLess(time.monotonic(), deadline, found)
            time.sleep(0.02)
        return found

    def succeeded(self, run):
        found = self.ended(run)
        self.assertEqual((found["state"], found["batches"]["failed"]), ("succeeded", 0), found)
        return found

    def kill(self, *services):
        for pid, line in platform.processes().items():
            if any(line.split(" ")[0].endswith(f"millrace-{service}") for service in services):
                os.kill(pid, signal.SIGKILL)

    def holding(self, *suffixes, seconds=60):
        """A reader of these datasets that does not end; in a `with`."""
        return Reader([f"ws_default.{self.name}_{suffix}" for suffix in suffixes], seconds)

    def wait_exchanging(self, run):
        """Until the exchange waits for a reader, with all else of it done."""
        wait_for("the exchange", lambda: platform.sql(
            "select count(*) from pg_locks l join pg_class c on c.oid = l.relation "
            f"where not l.granted and l.mode = 'AccessExclusiveLock' and c.relname like '{self.name}%'") != "0")
        self.assertEqual(platform.must("GET", f"/v1/runs/{run}")["state"], "running")

    # Tests

    def test_readers_see_all_outputs_as_they_were_or_as_they_are_to_be(self):
        self.prepare()
        self.second()
        seen, failures = Counter(), []
        over = threading.Event()

        def look(suffixes):
            def state(suffix):
                return ("(select case when bool_and(body like '%!') then 'new' when bool_or(body like '%!') "
                        f"then 'both' else 'old' end from {self.name}_{suffix})")
            sql = f"select {', '.join(state(suffix) for suffix in suffixes)}"
            while not over.is_set():
                status, answer = platform.call("POST", "/v1/query", json.dumps({"sql": sql}))
                if status != 200:
                    failures.append(answer)
                    return
                seen[tuple(sorted(set(answer["rows"][0])))] += 1

        def cross():
            """Holds a later dataset while it asks for an earlier one."""
            for _ in range(6):
                try:
                    platform.sql(f"begin; select count(*) from ws_default.{self.name}_eu; select pg_sleep(1.2); "
                                 f"select count(*) from ws_default.{self.name}_main; commit")
                except subprocess.CalledProcessError as error:
                    failures.append(error)
                    return
                over.wait(0.6)

        readers = [threading.Thread(target=look, args=(order,)) for order in (OUTPUTS, OUTPUTS[::-1])]
        for thread in (*readers, crossing := threading.Thread(target=cross)):
            thread.start()
        try:
            wait_for("the readers", lambda: seen[("old",)] > 5)
            run = self.succeeded(self.start())
            after = seen[("new",)]
            wait_for("the readers", lambda: seen[("new",)] > after + 5 or failures)
        finally:
            over.set()
            for thread in (*readers, crossing):
                thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(set(seen), {("old",), ("new",)}, "a reader saw outputs of two versions")
        self.assertEqual((run["version"], run["progress"]["total"]), (2, run["progress"]["done"]), run)
        self.expect_second()
        self.nothing_is_left()

    def test_counts_and_quarantine_of_each_output(self):
        self.prepare(requests=6)
        quarantine = {suffix: len(self.quarantined(suffix)) for suffix in OUTPUTS}
        self.assertGreater(quarantine["eu"], 0)
        self.second()
        run = self.succeeded(self.start())
        self.expect_second()
        counted = Counter()
        for receipt, records in self.sent.items():
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            outputs = {output["dataset"].removeprefix(f"{self.name}_"): output for output in answer["outputs"]
                       if output["pipeline"] == self.name}
            self.assertEqual(sorted(outputs), sorted(OUTPUTS))
            expected = Counter()
            for record in records:
                left, key, kind = record["seq"] % 5 == 3, record["id"], record["kind"]
                suffix = ("main" if left or kind == "us" else kind if kind != "eu" else
                          "eu" if key is not None and key % 7 else "log")
                expected[suffix] += 1
                expected[suffix, "filtered"] += left
                expected[suffix, "quarantined"] += not left and key is None and suffix in ("main", "eu")
            for suffix, output in outputs.items():
                self.assertEqual((output["state"], output["version"]), ("stored", 2), output)
                parts = {part: output[part] for part in ("stored", "filtered", "quarantined", "duplicates")}
                self.assertEqual(sum(parts.values()), expected[suffix], (suffix, output))
                for part in ("filtered", "quarantined"):
                    self.assertEqual(parts[part], expected[suffix, part], (suffix, part, output))
                counted.update(parts)
                if suffix == "log":
                    self.assertEqual(parts["duplicates"], 0)
                    counted["log"] += parts["stored"]
        self.assertEqual(counted["log"], int(self.rows("log")))
        self.assertEqual({part: run["records"][part] for part in ("stored", "filtered", "quarantined", "duplicates")},
                         {part: counted[part] for part in ("stored", "filtered", "quarantined", "duplicates")})
        items = [item for suffix in OUTPUTS for item in self.quarantined(suffix)]
        self.assertEqual((len(items), {item["version"] for item in items}), (counted["quarantined"], {2}))
        # Again, nothing changes; and back, records leave the log for the dataset that is merged.
        self.succeeded(self.start())
        self.expect_second()
        self.first()
        self.succeeded(self.start())
        self.expect_first()
        self.assertEqual({suffix: len(self.quarantined(suffix)) for suffix in OUTPUTS}, quarantine)
        # What the log had leaves it when it is none of the outputs any more.
        self.put(self.name, self.name, [],
                 [("kind = 'eu'", "eu", DELETES), ("kind = 'seen'", "seen", {"mode": "ignore"})], ("main", DELETES))
        self.succeeded(self.start())
        self.assertEqual(self.rows("log"), "0")
        self.assertEqual(self.wrong("main", "kind in ('us', 'log')", self.LATEST, self.ALIVE), 0)
        for receipt in self.sent:
            outputs = [output["dataset"] for output in platform.must("GET", f"/v1/receipts/{receipt}")["outputs"]]
            self.assertNotIn(f"{self.name}_log", outputs)

    def quarantined(self, suffix):
        return platform.must("GET", f"/v1/datasets/{self.name}_{suffix}/quarantine?limit=500")["items"]

    def test_rows_that_a_table_refuses_at_the_exchange_are_quarantined(self):
        self.put_datasets(primary_key=["id"])
        self.put(f"{self.name}_all", self.name, [], [], ("all", {}))
        self.first()
        for _ in range(4):
            self.send(self.records(60))
        platform.wait_finished(self.name)
        self.second()
        # What is refused is not known before the tables change places: rows come in meanwhile whose keys are those of
        # rows that are to be appended.
        platform.must("POST", "/v1/queues/store/pause")
        try:
            run = self.start()
            wait_for("the parts", lambda: platform.sql(
                f"select count(*) from millrace.run_batch where run = {run} and batch > 0 and state <> 'transformed'")
                == "0")
            late = self.send([{**record, "id": 7 * place, "seq": 1} for place, record in
                              enumerate(self.records(40, kind="log"))])
            wait_for("the transformation", lambda: platform.must("GET", f"/v1/receipts/{late}")["state"] != "accepted")
        finally:
            platform.must("POST", "/v1/queues/store/resume")
        found = self.succeeded(run)
        self.assertEqual(int(self.rows("log")), int(self.rows("log", "count(distinct id)")))
        refused = [item for item in self.quarantined("log") if item["errors"][0]["code"] == "duplicate_key"]
        keyed = platform.sql(
            f"select count(*) from ws_default.{self.name}_all where seq % 5 <> 3 and (kind = 'log' or kind = 'eu' and "
            "id % 7 = 0) and id is not null")
        self.assertEqual(int(self.rows("log")) + len(refused), int(keyed))
        self.assertGreater(len(refused), 5)
        for item in refused:
            self.assertEqual((item["stage"], item["version"]), ("store", 2), item)
            self.assertIn('"seq"', item["raw"])
        total = Counter()
        for receipt, records in self.sent.items():
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            outputs = [output for output in answer["outputs"] if output["pipeline"] == self.name]
            parts = Counter({part: sum(output[part] for output in outputs)
                             for part in ("stored", "filtered", "quarantined", "duplicates")})
            self.assertEqual(sum(parts.values()), len(records), answer)
            total += parts if receipt != late else Counter()
        self.assertEqual(total, Counter({part: found["records"][part] for part in total}))

    def test_services_are_killed_while_records_come_in(self):
        self.prepare(requests=60, records=30)
        self.second()
        over = threading.Event()

        def send():
            number = 0
            while not over.is_set():
                number += 1
                self.send(self.records(20, **({"late": number} if number > 20 else {})))
                # A rebuild stands behind what comes in, and each reads all that came before.
                over.wait(0.2)
                while platform.unfinished(self.name) > 4 and not over.is_set():
                    over.wait(0.05)

        sender = threading.Thread(target=send)
        sender.start()
        hits = 0
        try:
            for services in (("store",), ("transform",), ("store", "transform")):
                run = self.start()
                part = f"select count(*) from millrace.rebuild_output where run = {run}"
                while platform.sql(part) == "0" and platform.must("GET", f"/v1/runs/{run}")["state"] not in ENDED:
                    time.sleep(0.005)
                self.kill(*services)
                hits += platform.sql(part) != "0"
                platform.wait_until_ready()
                self.succeeded(run)
            # In the middle of the exchange, when all but the change of the tables is done.
            with self.holding("eu", "seen"):
                run = self.start()
                self.wait_exchanging(run)
                self.kill("store")
                platform.wait_until_ready()
            self.succeeded(run)
        finally:
            over.set()
            sender.join()
        self.assertGreater(hits, 0, "no kill hit a rebuild: the test has shown nothing")
        platform.wait_finished(self.name)
        self.expect_second()
        self.nothing_is_left()
        # A column that came in the middle has its values, in the datasets of both kinds.
        for suffix in ("main", "log"):
            schema = f"ws_default.{self.name}"
            self.assertEqual(platform.sql(
                f"select count(d.late) > 0, count(*) filter (where d.late is distinct from a.late) from "
                f"{schema}_{suffix} d join {schema}_all a on a._batch = d._batch and a._row = d._row"), "t|0")

    def test_a_cancelled_run_changes_nothing(self):
        self.prepare()
        # Another pipeline's datasets are this one's in part.
        self.put(f"{self.name}_b", f"{self.name}_b", [], [("kind = 'eu'", "eu", DELETES)], ("rest", {}))
        self.send(self.records(50, kind="us"), source=f"{self.name}_b")
        platform.wait_finished(f"{self.name}_b")
        self.second()
        platform.must("POST", "/v1/queues/store/pause")
        try:
            run = self.start()
            wait_for("the parts", lambda: platform.sql(
                f"select count(*) from millrace.run_batch where run = {run} and batch > 0 and state <> 'transformed'")
                == "0")
            for name in (self.name, f"{self.name}_b"):
                status, answer = self.replay(name)
                self.assertEqual((status, answer["code"], answer["run"]), (409, "conflict", run), answer)
            for suffix in ("main", "eu", "seen"):
                name = f"{self.name}_{suffix}"
                status, answer = platform.call("DELETE", f"/v1/datasets/{name}?confirm={name}")
                self.assertEqual((status, answer["code"]), (409, "in_use"), answer)
            self.assertEqual(platform.must("POST", f"/v1/runs/{run}/cancel")["state"], "cancelled")
        finally:
            platform.must("POST", "/v1/queues/store/resume")
        # And once in the middle of the exchange.
        with self.holding("main"):
            run = self.start()
            self.wait_exchanging(run)
            self.assertEqual(platform.must("POST", f"/v1/runs/{run}/cancel")["state"], "cancelled")
        wait_for("the jobs", lambda: platform.sql("select count(*) from queue.lease") == "0")
        self.expect_first()
        self.assertEqual(platform.sql(
            "select count(*) from millrace.application a join millrace.pipeline p on p.id = a.pipeline_id "
            f"where p.name = '{self.name}' and (a.version <> 1 or a.run_id is not null)"), "0")
        self.succeeded(self.start())
        self.expect_second()
        self.nothing_is_left()

    def test_other_pipelines_keep_the_outputs_that_are_not_rebuilt(self):
        self.prepare(requests=6)
        other = f"{self.name}_b"
        self.put(f"{other}_all", other, [], [], ("all", {}))
        self.put(other, other, [], [("kind = 'eu'", "eu", DELETES)], ("rest", {}))
        for _ in range(4):
            self.send(self.records(80), source=other)
        platform.wait_finished(other)

        def ledger(*outputs):
            return platform.sql(
                "select string_agg(a::text, ' ' order by a.batch_id, a.output) from millrace.application a "
                f"join millrace.pipeline p on p.id = a.pipeline_id where p.name = '{other}' "
                f"and a.output in ({', '.join(map(str, outputs))})")

        digest = f"select md5(string_agg(t::text, ' ' order by _batch, _row)) from ws_default.{self.name}_rest t"
        kept, rows, made = ledger(0), platform.sql(digest), ledger(1)
        self.second()
        run = self.succeeded(self.start())
        self.assertEqual((ledger(0), platform.sql(digest)), (kept, rows))
        self.assertNotEqual(ledger(1), made)
        self.assertEqual(run["progress"]["total"], 6 + 4 + 1)
        # Rows of the other pipeline have no mark, and lose and win as they did.
        batches = (f"_batch in (select b.id from millrace.batch b join millrace.source s on s.id = b.source_id "
                   f"where s.name = '{other}')")
        among = f"kind = 'eu' and ({batches} or seq % 5 <> 3 and id % 7 <> 0)"
        self.assertEqual(self.wrong(
            "eu", among, self.LATEST, self.ALIVE, body=f"w.body || case when w.{batches} then '' else '!' end"), 0)
        self.assertGreater(int(self.rows("eu", f"count(*) filter (where {batches})")), 5)
        self.assertEqual(str(len(self.quarantined("eu"))), platform.sql(
            f"select count(*) from ws_default.{self.name}_all where kind = 'eu' and id is null and {batches}"))
        # Its own replay makes all of it anew.
        self.put(other, other, [{"derive": {"body": "body || '?'"}}], [("kind = 'eu'", "eu", DELETES)], ("rest", {}))
        self.succeeded(self.start(name=other))
        self.assertEqual(self.rows("rest", "bool_and(body like '%?')"), "t")
        self.assertNotEqual(ledger(0), kept)
        self.assertEqual(self.wrong(
            "eu", among, self.LATEST, self.ALIVE, body=f"w.body || case when w.{batches} then '?' else '!' end"), 0)
        self.nothing_is_left()

    def test_a_dry_run_says_what_changes_in_each_output(self):
        self.prepare()
        self.second()
        before = self.content()
        ledger = platform.sql("select md5(string_agg(a::text, ' ' order by batch_id, pipeline_id, output)) "
                              "from millrace.application a")
        found = self.succeeded(self.start(dry=True))
        self.assertEqual(before, self.content())
        self.assertEqual(ledger, platform.sql("select md5(string_agg(a::text, ' ' order by batch_id, pipeline_id, "
                                              "output)) from millrace.application a"))
        self.nothing_is_left()
        self.succeeded(self.start())
        after = self.content()
        expected = {}
        for suffix in OUTPUTS:
            old, new = before[suffix], after[suffix]
            both = [key for key in old if key in new and old[key] != new[key]]
            columns = Counter(column for key in both for column in old[key] if old[key][column] != new[key][column])
            expected[f"{self.name}_{suffix}"] = (len(new.keys() - old.keys()), len(old.keys() - new.keys()),
                                                 len(both), dict(columns))
        self.assertEqual(expected, {
            change["dataset"]: (change["added"], change["removed"], change["changed"], change["columns"])
            for change in found["changes"]["datasets"]})
        self.assertGreater(expected[f"{self.name}_log"][0], 5)
        again = self.succeeded(self.start(dry=True))
        self.assertEqual([again["changes"][count] for count in ("added", "removed", "changed")], [0, 0, 0])

    def content(self):
        """Rows of each output, by their key or their record."""
        found = {}
        for suffix in OUTPUTS:
            rows = json.loads(platform.sql(
                f"select coalesce(json_agg(row_to_json(t)), '[]') from ws_default.{self.name}_{suffix} t"))
            found[suffix] = {
                (row["_batch"], row["_row"]) if suffix == "log" else row["id"]:
                {name: value for name, value in row.items() if not name.startswith("_")} for row in rows}
        return found

    def test_what_would_be_lost_is_refused(self):
        self.prepare(requests=3, records=30)
        batches = self.batches()
        status, answer = self.replay(batches=[str(batches[0])])
        self.assertEqual((status, answer["code"]), (409, "conflict"), answer)
        self.assertIn("as a whole", answer["detail"])
        second = batches[1]
        platform.sql(f"insert into landing.expired values ('payload', -1, {second}, {second} + 1, now(), now())")
        status, answer = self.replay()
        self.assertEqual((status, answer["code"], answer["batches"]), (409, "raw_expired", [str(batches[1])]), answer)
        platform.sql(f"delete from landing.expired where low = {batches[1]}")
        # A pipeline that does not merge into one of its datasets any more would leave its rows there.
        self.put(self.name, self.name, [], [("kind = 'eu'", "eu", DELETES)], ("main", DELETES))
        status, answer = self.replay()
        self.assertEqual((status, answer["code"]), (409, "conflict"), answer)
        self.assertIn("would stay", answer["detail"])

    def test_a_batch_that_is_stored_in_part_stays_as_it_was(self):
        self.prepare(requests=4)
        platform.must("POST", "/v1/queues/store/pause")
        try:
            # Of one batch an output has failed, of the other one is on its way, and those without rows are there.
            late = self.send(self.records(50, kind="us"))
            wait_for("the transformation", lambda: platform.must("GET", f"/v1/receipts/{late}")["state"] != "accepted")
            third = self.batches()[2]
            platform.sql(f"update millrace.application set state = 'failed' where {self.of(third)} and output = 3")
            self.second()
            dry, run = self.start(dry=True), self.start()
            self.succeeded(dry)
        finally:
            platform.must("POST", "/v1/queues/store/resume")
        self.succeeded(run)
        wait_for("the late one", lambda: platform.must("GET", f"/v1/receipts/{late}")["state"] == "stored")
        self.expect_second(but=(third, self.batches()[-1]))
        states = "select string_agg(output || state || version, ' ' order by output) from millrace.application"
        self.assertEqual(platform.sql(f"{states} where {self.of(third)}"), "0stored1 1stored1 2stored1 3failed1")
        platform.sql(f"update millrace.application set state = 'stored' where {self.of(third)}")
        self.succeeded(self.start())
        self.expect_second()
        self.nothing_is_left()

    def of(self, batch):
        return (f"batch_id = {batch} and pipeline_id in "
                f"(select id from millrace.pipeline where name = '{self.name}')")

    def test_what_was_healed_is_read_as_it_was_healed(self):
        self.prepare(requests=4)
        other = f"{self.name}_b"
        self.put(f"{other}_all", other, [], [], ("all", {}))
        self.put(other, other, [], [("kind = 'eu'", "eu", DELETES)], ("rest", {}))
        self.send(self.records(50), source=other)
        platform.wait_finished(other)
        broken = len(self.quarantined("eu"))
        self.assertGreater(broken, 1)
        # While a dataset is rebuilt, nothing of its parts is healed.
        platform.must("POST", "/v1/queues/store/pause")
        try:
            run = self.start()
            status, answer = platform.call("POST", f"/v1/datasets/{self.name}_eu/quarantine/replay", "{}")
            self.assertEqual((status, answer["code"], answer["run"]), (409, "conflict", run), answer)
        finally:
            platform.must("POST", "/v1/queues/store/resume")
        self.succeeded(run)
        self.expect_first(eu=other)
        for name, rest in ((self.name, "main"), (other, "rest")):
            self.put(name, name, [{"derive": {"id": "coalesce(id, 1000 + seq)"}}],
                     [("kind = 'eu'", "eu", DELETES), *([("kind = 'seen'", "seen", {"mode": "ignore"}),
                      ("kind = 'log'", "log", {})] if name == self.name else [])],
                     (rest, DELETES if name == self.name else {}))
        status, answer = platform.call("POST", f"/v1/datasets/{self.name}_eu/quarantine/replay?wait=60s", "{}")
        self.assertEqual((status, answer["healed"], answer["failing"]), (200, broken, 0))
        digest = f"select md5(string_agg(t::text, ' ' order by id)) from ws_default.{self.name}_eu t"
        rows = platform.sql(digest)
        self.assertGreater(int(self.rows("eu", "count(*) filter (where id >= 1000)")), 0)
        quarantined = len(self.quarantined("main"))
        self.assertGreater(quarantined, 0)
        # Its own batches whole, of the first one the outputs that lie in the dataset, healed records among them.
        self.succeeded(self.start(name=other))
        self.assertEqual((platform.sql(digest), self.quarantined("eu")), (rows, []))
        self.assertEqual(len(self.quarantined("main")), quarantined)
        self.nothing_is_left()

    def test_an_erasure_waits_for_the_exchange(self):
        self.prepare(requests=4)
        self.second()
        body = self.rows("log", "min(body) filter (where seq % 5 <> 3)")
        gone = f"count(*) filter (where body in ('{body}', '{body}!'))"
        self.assertEqual(self.rows("log", gone), "1")
        with self.holding("main"):
            run = self.start()
            self.wait_exchanging(run)
            erased = platform.must("POST", f"/v1/datasets/{self.name}_log/erase",
                                   json.dumps({"where": f"body in ('{body}', '{body}!')"}))["run"]
        self.succeeded(erased)
        found = self.ended(run)
        self.assertEqual(self.rows("log", gone), "0")
        # Who is first does not matter: either the new rows are erased, or the run is outdated.
        if found["state"] == "failed":
            self.assertIn("rebuild_outdated", found["error"])
        self.succeeded(self.start())
        self.assertEqual(self.rows("log", gone), "0")
        self.expect_second()
        self.nothing_is_left()

    def test_an_erasure_ends_a_rebuild_that_failed(self):
        self.prepare(requests=4)
        self.second()
        batches = self.batches()
        third = batches[2]
        platform.sql(f"create table landing.kept_{third} as select * from landing.payload where batch_id = {third}; "
                     f"delete from landing.payload where batch_id = {third}")
        run = self.ended(self.start())
        self.assertEqual(run["state"], "failed", run)
        self.expect_first()
        # Of what the run has read already.
        body = self.rows("log", f"min(body) filter (where _batch = {batches[0]} and seq % 5 <> 3)")
        erased = platform.must("POST", f"/v1/datasets/{self.name}_log/erase",
                               json.dumps({"where": f"body = '{body}'"}))["run"]
        self.succeeded(erased)
        gone = f"count(*) filter (where body in ('{body}', '{body}!'))"
        self.assertEqual(self.rows("log", gone), "0")
        platform.sql(f"insert into landing.payload select * from landing.kept_{third}; "
                     f"drop table landing.kept_{third}")
        job = next(error["job"] for error in run["errors"] if str(error["batch"]) == str(third))
        platform.must("POST", f"/v1/jobs/{job}/retry")
        wait_for("the exchange", lambda: "rebuild_outdated" in (
            platform.must("GET", f"/v1/runs/{run['id']}")["error"] or ""))
        self.assertEqual(self.rows("log", gone), "0")
        self.expect_first()
        self.succeeded(self.start())
        self.assertEqual(self.rows("log", gone), "0")
        self.expect_second()

    def test_rollups_of_each_output_follow(self):
        self.prepare()
        for suffix in ("eu", "log"):
            platform.must("PUT", f"/v1/rollups/{self.name}_{suffix}", json.dumps({
                "dataset": f"{self.name}_{suffix}", "time": {"column": "ts", "grain": "day"}, "dimensions": ["op"],
                "measures": {"hits": "count()", "total": "sum(seq)"}}))
        self.expect_rollups()
        self.second()
        self.succeeded(self.start())
        self.expect_rollups()
        self.send(self.records(100))
        platform.wait_finished(self.name)
        self.expect_rollups()
        self.expect_second()

    def expect_rollups(self):
        for suffix in ("eu", "log"):
            truth = sorted(platform.sql(
                f"select (ts at time zone 'UTC')::date || ' ' || op || ' ' || count(*) || ' ' || sum(seq) from "
                f"ws_default.{self.name}_{suffix} group by (ts at time zone 'UTC')::date, op").split("\n"))

            def follows():
                if platform.must("GET", f"/v1/rollups/{self.name}_{suffix}")["state"] != "ready":
                    return False
                items = platform.must("GET", f"/v1/rollups/{self.name}_{suffix}/data?from=2026-01-01T00:00:00Z"
                                      "&to=2026-02-01T00:00:00Z&group_by=op&limit=1000")["items"]
                return truth == sorted(f"{item['time'][:10]} {item['op']} {item['hits']} {item['total']}"
                                       for item in items)

            wait_for(f"the rollup of {suffix}", follows)


class Reader:
    """A transaction that has read tables, and goes on until it is told to end."""

    def __init__(self, tables, seconds):
        self.name = f"reader {id(self)}"
        looks = " ".join(f"select count(*) from {table};" for table in tables)
        self.sql = f"set application_name = '{self.name}'; begin; {looks} select pg_sleep({seconds})"

    def __enter__(self):
        self.process = subprocess.Popen(
            [PSQL, "-XAtq", "-h", platform.socket, "-U", "postgres", "-d", "millrace", "-c", self.sql],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("the reader", lambda: platform.sql(
            f"select count(*) from pg_stat_activity where application_name = '{self.name}' "
            "and wait_event = 'PgSleep'") == "1")
        return self

    def __exit__(self, *_):
        platform.sql(
            f"select pg_terminate_backend(pid) from pg_stat_activity where application_name = '{self.name}'")
        self.process.wait()


if __name__ == "__main__":
    unittest.main(verbosity=2)
