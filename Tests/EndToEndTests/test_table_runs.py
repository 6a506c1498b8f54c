"""Runs from table to table on the whole platform, beside `insert … select` in PostgreSQL: the same rows, also while
services are killed inside the transactions that make them."""

import contextlib
import json
import os
import re
import signal
import sys
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402
from table_locks import held, holding, wait_blocked  # noqa: E402

ENDED = ("succeeded", "failed", "cancelled", "timed_out")
# Wide ones, so that there are several slices of 8 MiB.
ROWS = 40_000
STEPS = [
    {"filter": "id % 10 <> 3"},
    {"derive": {"twice": "amount * 2", "part": "1000 / (id % 1000 - 7)", "kind": "upper(left(name, 3))"}},
    {"drop": ["filler"]},
]
OLD = [{"filter": "id < 500"}, {"derive": {"twice": "1", "part": "1", "kind": "'old'"}}]
EXPECTED = """select id, amount, name, amount * 2, 1000 / (id % 1000 - 7), upper(left(name, 3)) from ws_default.accounts
    where id % 10 <> 3 and id % 1000 <> 7"""
FOUND = "select id, amount, name, twice, part, kind from ws_default.{}"


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()
    columns = [{"name": "id", "type": "int8"}, {"name": "amount", "type": "int8"}, {"name": "name", "type": "text"},
               {"name": "filler", "type": "text"}]
    platform.must("PUT", "/v1/datasets/accounts", json.dumps({"columns": columns, "primary_key": ["id"]}))
    platform.must("POST", "/v1/ingest/accounts?wait=stored", '{"id": 0, "amount": 100, "name": "zero", "filler": ""}\n',
                  content_type="application/x-ndjson")
    platform.sql(f"""insert into ws_default.accounts (id, amount, name, filler, _batch, _row, _out)
        select n, 100, 'name ' || n, (select string_agg(md5(n::text || i), '') from generate_series(1, 30) i), 0, 0, 0
        from generate_series(1, {ROWS - 1}) n""")


def tearDownModule():
    platform.__exit__()


class TableRuns(unittest.TestCase):
    def setUp(self):
        # Each case has a pipeline and a dataset of its name.
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:40]

    def put(self, steps=STEPS, mode="append"):
        definition = {"source": {"dataset": "accounts"}, "steps": steps,
                      "target": {"dataset": self.name, "mode": mode}}
        return platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(definition))

    def start(self):
        return platform.must("POST", f"/v1/pipelines/{self.name}/run")["run"]

    def run_of(self, run):
        return platform.must("GET", f"/v1/runs/{run}")

    def wait_ended(self, run):
        return wait_for(f"run {run}", lambda: (found := self.run_of(run))["state"] in ENDED and found)

    def difference(self, expected=EXPECTED):
        """How many rows are in one and not in the other, repeated ones counted."""
        found = FOUND.format(self.name)
        return platform.sql(f"""select count(*) from ((({expected}) except all ({found}))
            union all (({found}) except all ({expected}))) t""")

    def counts(self, run):
        return [run["records"][name] for name in ("read", "stored", "filtered", "quarantined", "duplicates")]

    @staticmethod
    def whole(times=1):
        """read, stored, filtered, quarantined, duplicates."""
        filtered, bad = ROWS // 10, ROWS // 1000
        return [ROWS * times, (ROWS - filtered - bad) * times, filtered * times, bad * times, 0]

    @contextlib.contextmanager
    def gated(self):
        """Starts a run, whose first slices are read and stand still before they are written down; all else goes on."""
        platform.sql("""create function public.gate() returns trigger language plpgsql as
                $$ begin perform pg_advisory_xact_lock_shared(4711); return new; end $$;
            create trigger gate before update on millrace.run_batch for each row when (new.state = 'read')
                execute function public.gate()""")
        try:
            with holding(platform, "do $$ begin perform pg_advisory_xact_lock(4711); end $$"):
                run = self.start()
                wait_for("a slice stands still", lambda: platform.sql(
                    "select count(*) from pg_locks where locktype = 'advisory' and not granted") != "0")
                yield run
        finally:
            platform.sql("drop trigger gate on millrace.run_batch; drop function public.gate()")

    def kill(self, service):
        """Kills a service. That its workers are lost, and that somebody else has to lead, is made known at once, not
        after the half minute that it takes otherwise."""
        command = f"millrace-{service}"
        pids = [pid for pid, line in platform.processes().items() if line.split(" ")[0].endswith(command)]
        self.assertEqual(len(pids), 1, platform.processes())
        workers = platform.sql(f"select string_agg(id::text, ',') from queue.worker where name = '{service}'")
        leads = "\nmillrace_queue_leader 1" in self.metrics(service)
        os.kill(pids[0], signal.SIGKILL)
        platform.sql(f"update queue.worker set seen_at = seen_at - interval '1 minute' where id in ({workers})")
        if leads:
            platform.sql("update queue.leader set until = '-infinity'")
        platform.wait_until_ready()

    @staticmethod
    def metrics(service):
        connection = platform.connect(platform.port_of(service))
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()

    def ingest(self, source, records):
        """Sends records, and gives the receipt."""
        lines = "".join(json.dumps(record) + "\n" for record in records)
        return platform.must("POST", f"/v1/ingest/{source}?wait=stored", lines, content_type="application/x-ndjson")

    def put_dataset(self, name, columns, **definition):
        listed = [{"name": column, "type": kind} for column, kind in columns.items()]
        platform.must("PUT", f"/v1/datasets/{name}", json.dumps({"columns": listed, **definition}))

    def test_it_makes_what_insert_select_makes(self):
        self.put()
        run = self.wait_ended(self.start())
        self.assertEqual((run["state"], run["kind"], run["errors"]), ("succeeded", "run", []), run)
        self.assertEqual(self.counts(run), self.whole())
        self.assertGreater(run["batches"]["total"], 1)
        self.assertEqual(run["batches"]["done"], run["batches"]["total"])
        self.assertEqual(self.difference(), "0")
        # Each row has a place of its own in the ledger, and leads back to the run.
        batch, row = platform.sql(f"select _batch, _row from ws_default.{self.name} limit 1").split("|")
        lineage = platform.must("GET", f"/v1/datasets/{self.name}/lineage?batch={batch}&row={row}")["items"]
        self.assertEqual([(item["pipeline"], item["version"]) for item in lineage], [(self.name, 1)])
        quarantined = platform.must("GET", f"/v1/datasets/{self.name}/quarantine?limit=100")["items"]
        self.assertEqual(len(quarantined), ROWS // 1000)
        raw = json.loads(quarantined[0]["raw"])
        self.assertEqual((raw["id"] % 1000, list(raw)), (7, ["id", "amount", "name", "filler"]))
        # Another run adds its rows once more.
        again = self.wait_ended(self.start())
        self.assertEqual(self.counts(again), self.whole())
        self.assertEqual(self.difference(f"({EXPECTED}) union all ({EXPECTED})"), "0")

    def test_a_source_without_rows_replaces_all_by_none(self):
        """Also where the target was never filled: then there is no dataset to make."""
        empty = f"{self.name}_none"
        platform.must("PUT", f"/v1/datasets/{empty}", json.dumps({"columns": [{"name": "id", "type": "int8"}]}))
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(
            {"source": {"dataset": empty}, "target": {"dataset": self.name, "mode": "replace"}}))
        run = self.wait_ended(self.start())
        self.assertEqual((run["state"], run["error"], self.counts(run)), ("succeeded", None, [0] * 5))
        self.assertEqual(platform.call("GET", f"/v1/datasets/{self.name}")[0], 404)
        platform.must("POST", f"/v1/ingest/{empty}?wait=stored&timeout=60s", '{"id": 1}',
                      content_type="application/x-ndjson")
        for rows in ("1", "0"):
            run = self.wait_ended(self.start())
            self.assertEqual(run["state"], "succeeded", run)
            self.assertEqual(platform.sql(f"select count(*) from ws_default.{self.name}"), rows)
            platform.sql(f"delete from ws_default.{empty}")

    def test_replace_takes_the_place_of_all_at_once(self):
        self.put(mode="replace")
        self.assertEqual(self.wait_ended(self.start())["state"], "succeeded")
        self.assertEqual(self.difference(), "0")
        table = f"ws_default.{self.name}"
        seen, stop = set(), threading.Event()

        def read():
            while not stop.is_set():
                seen.add(platform.sql(f"select count(*), min(twice), max(twice) from {table}"))

        reader = threading.Thread(target=read)
        reader.start()
        self.put(steps=[{"filter": "id < 100"}, {"derive": {"twice": "amount * 3", "part": "id", "kind": "name"}}],
                 mode="replace")
        run = self.wait_ended(self.start())
        stop.set()
        reader.join()
        self.assertEqual((run["state"], run["records"]["stored"]), ("succeeded", 100), run)
        self.assertLessEqual(seen, {f"{self.whole()[1]}|200|200", "100|300|300"})
        self.assertEqual(platform.sql(f"select count(*), min(twice) from {table}"), "100|300")
        items = platform.must("GET", f"/v1/datasets/{self.name}/quarantine")["items"]
        self.assertEqual(items, [], "what earlier runs quarantined is gone with their rows")
        rows = platform.must("POST", "/v1/query", json.dumps({"sql": f"select count(*) from {self.name}"}))["rows"]
        self.assertEqual(rows, [[100]], "the workspace's role may read the new table")
        self.assertEqual(platform.sql("select count(*) from pg_class where relname like 'run.%'"), "0")
        names = platform.sql(f"select string_agg(indexrelid::regclass::text, ' ') from pg_index "
                             f"where indrelid = '{table}'::regclass")
        self.assertEqual(names, f'ws_default."{self.name}.batch"')

    def test_killed_in_the_middle_it_loses_and_repeats_nothing(self):
        self.put()
        # While slices are written by transform, and while rows are written by store.
        with held(platform, "millrace.application"):
            with held(platform, "landing.chunk"):
                run = self.start()
                wait_blocked(platform, "landing.chunk")
                self.kill("transform")
            wait_for("a slice is read", lambda: self.run_of(run)["batches"]["transformed"] > 0)
            self.kill("transform")
            wait_blocked(platform, "millrace.application")
            self.kill("store")
        self.kill("store")
        ended = self.wait_ended(run)
        self.assertEqual((ended["state"], self.counts(ended)), ("succeeded", self.whole()), ended)
        self.assertEqual(self.difference(), "0")
        self.assertEqual(platform.sql(f"select count(*) - count(distinct (_batch, _row)) from ws_default.{self.name}"),
                         "0")
        self.assertEqual(platform.sql(f"select epoch from millrace.run where id = {run}"), "0",
                         "the snapshot outlives the processes that read by it")

    def test_replace_killed_in_the_middle_leaves_the_old_rows(self):
        self.put(steps=OLD, mode="replace")
        self.wait_ended(self.start())
        self.put(mode="replace")
        old = f"select count(*), max(kind) from ws_default.{self.name}"
        with held(platform, "millrace.application"):
            run = self.start()
            wait_blocked(platform, "millrace.application")
            self.kill("store")
            self.assertEqual(platform.sql(old), "500|old")
        # Readers hold the old table for a while: the new one waits for them, and they do not wait for it for long.
        with held(platform, f"ws_default.{self.name}", "access share"):
            wait_for("the new table is to take the place of the old", lambda: platform.sql(
                f"select count(*) from pg_locks where not granted and relation = 'ws_default.{self.name}'::regclass")
                != "0")
            self.assertEqual(platform.sql(old), "500|old")
            self.kill("store")
            self.assertEqual(platform.sql(old), "500|old")
        ended = self.wait_ended(run)
        self.assertEqual((ended["state"], self.counts(ended)), ("succeeded", self.whole()), ended)
        self.assertEqual(self.difference(), "0")

    def test_a_cancelled_run_leaves_what_was_there(self):
        self.put(steps=OLD, mode="replace")
        self.wait_ended(self.start())
        self.put(mode="replace")
        with held(platform, "millrace.application"):
            run = self.start()
            wait_blocked(platform, "millrace.application")
            state = platform.must("POST", f"/v1/runs/{run}/cancel")["state"]
            self.assertEqual(state, "cancelled")
        wait_for("its job is done", lambda: platform.sql("select count(*) from queue.lease") == "0")
        self.assertEqual(platform.sql(f"select count(*), max(kind) from ws_default.{self.name}"), "500|old")
        self.assertEqual(platform.sql("select count(*) from pg_class where relname like 'run.%'"), "0")
        self.assertEqual(self.wait_ended(self.start())["state"], "succeeded")
        self.assertEqual(self.difference(), "0")

    def test_an_expression_means_what_the_columns_types_say(self):
        """Which minus is meant could not be said of a field whose type is not known."""
        self.put(steps=[{"derive": {"owed": "-id"}}], mode="replace")
        self.assertEqual(self.wait_ended(self.start())["state"], "succeeded")
        self.assertEqual(platform.sql(f"select sum(owed + id), pg_typeof(min(owed)) from ws_default.{self.name}"),
                         "0|bigint")

    def test_what_does_not_fit_is_refused(self):
        cases = [
            ({"source": {"dataset": "none"}, "target": {"dataset": "x"}}, "source.dataset"),
            ({"source": {"dataset": "accounts"}, "target": {"dataset": "accounts"}}, "target.dataset"),
            ({"source": {"dataset": "accounts"}, "target": {"dataset": "x"}, "steps": [{"filter": "nope > 1"}]},
             "steps[0].filter"),
            ({"source": {"dataset": "accounts"}, "target": {"dataset": "x"}, "steps": [{"filter": "name > 1"}]},
             "steps[0].filter"),
            ({"source": "accounts", "target": {"dataset": "x", "mode": "replace"}}, "target.mode"),
            ({"source": "accounts", "target": {"dataset": "x"}, "steps": [
                {"route": [{"when": "true", "dataset": "y", "mode": "replace"}]}]}, "steps.route.mode"),
            ({"source": {"dataset": "accounts"}, "target": {"dataset": "x"}, "steps": [
                {"filter": "true"}, {"route": [{"when": "true", "dataset": "y"}]}]}, "steps[1].route"),
            ({"source": {"dataset": "accounts"}, "target": {"dataset": "x"}, "steps": [
                {"lookup": {"dataset": "none", "on": {"id": "id"}, "columns": {"a": "a"}}}]},
             "steps[0].lookup.dataset"),
            ({"source": {"dataset": "accounts"}, "target": {"dataset": "x", "mode": "upsert"}}, "target.dataset"),
            ({"source": {"dataset": "accounts"}, "target": {"dataset": "x", "delete_when": "true"}},
             "target.delete_when"),
        ]
        for body, path in cases:
            status, answer = platform.call("PUT", "/v1/pipelines/refused", json.dumps(body))
            self.assertEqual((status, answer["code"], [error["path"] for error in answer["errors"]]),
                             (422, "invalid_pipeline", [path]), answer)
        self.put()
        status, answer = platform.call("DELETE", "/v1/datasets/accounts?confirm=accounts")
        self.assertEqual((status, answer["code"]), (409, "in_use"), answer)
        status, answer = platform.call("POST", "/v1/pipelines/accounts/run")
        self.assertEqual((status, answer["code"]), (409, "conflict"), answer)
        replay = json.dumps({"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"})
        status, answer = platform.call("POST", f"/v1/pipelines/{self.name}/replay", replay)
        self.assertEqual((status, answer["code"]), (409, "conflict"), answer)
        other = {"source": {"dataset": "accounts"}, "target": {"dataset": self.name, "mode": "replace"}}
        status, answer = platform.call("PUT", "/v1/pipelines/other", json.dumps(other))
        self.assertEqual((status, answer["code"]), (409, "conflict"), answer)
        with held(platform, "landing.chunk"):
            run = self.start()
            status, answer = platform.call("POST", f"/v1/pipelines/{self.name}/run")
            self.assertEqual((status, answer["run"]), (409, run), answer)
        self.assertEqual(self.wait_ended(run)["state"], "succeeded")

    def test_a_schedule_starts_runs(self):
        self.put(mode="replace")
        start = {"pipeline": self.name, "action": "run"}
        schedule = {"cron": "@yearly", "start": start}
        status, answer = platform.call("PUT", f"/v1/schedules/{self.name}", json.dumps(
            {"cron": "@yearly", "start": {"pipeline": self.name, "action": "replay", "window": "1d"}}))
        self.assertEqual((status, answer["errors"][0]["path"]), (422, "start.action"), answer)
        self.assertEqual(platform.must("PUT", f"/v1/schedules/{self.name}", json.dumps(schedule))["start"], start)
        platform.must("POST", f"/v1/schedules/{self.name}/trigger")
        runs = f"/v1/runs?pipeline={self.name}"
        run = wait_for("its run", lambda: platform.must("GET", runs)["items"])[0]
        self.assertEqual(run["schedule"]["name"], self.name)
        self.assertEqual(self.wait_ended(run["id"])["state"], "succeeded")
        self.assertEqual(self.difference(), "0")
        # By the clock.
        platform.sql(f"""
            update queue.schedule set next_at = clock_timestamp() + interval '1 second',
                passed_at = clock_timestamp() - interval '1 day' where name = '{self.name}';
            select pg_notify('millrace_queue', 'transform')""")
        run = wait_for("the next run", lambda: (found := platform.must("GET", runs)["items"])[1:] and found)[0]
        self.assertEqual(run["schedule"]["name"], self.name)
        fired = platform.must("GET", f"/v1/schedules/{self.name}")["last_at"]
        self.assertEqual(run["schedule"]["scheduled_at"], fired)
        self.assertEqual(self.wait_ended(run["id"])["state"], "succeeded")
        self.assertEqual(self.difference(), "0")

    def test_what_comes_and_goes_meanwhile_is_not_in_the_run(self):
        self.put()
        more = [{"id": ROWS + n, "amount": 1, "name": "later", "filler": "f"} for n in range(100)]
        lines = "".join(json.dumps(record) + "\n" for record in more)
        platform.must("POST", "/v1/queues/store/pause")
        try:
            receipt = platform.must("POST", "/v1/ingest/accounts", lines, "application/x-ndjson")["receipt"]
            wait_for("the records are transformed",
                     lambda: platform.must("GET", f"/v1/receipts/{receipt}")["state"] == "transformed")
            with self.gated() as run:
                platform.must("POST", "/v1/queues/store/resume")
                wait_for("they are in the source",
                         lambda: platform.sql("select count(*) from ws_default.accounts") == str(ROWS + 100))
                platform.sql("""create table public.kept as select * from ws_default.accounts where id % 3 = 0;
                    delete from ws_default.accounts where id % 3 = 0;
                    update ws_default.accounts set amount = amount + 1 where id % 3 = 1""")
                self.assertEqual(self.run_of(run)["batches"]["done"], 0)
            ended = self.wait_ended(run)
        finally:
            platform.must("POST", "/v1/queues/store/resume")
            platform.sql(f"""insert into ws_default.accounts select * from public.kept;
                drop table public.kept;
                update ws_default.accounts set amount = amount - 1 where id % 3 = 1;
                delete from ws_default.accounts where id >= {ROWS}""")
        self.assertEqual((ended["state"], self.counts(ended)), ("succeeded", self.whole()), ended)
        self.assertEqual(self.difference(), "0")
        self.assertEqual(platform.sql(f"select epoch from millrace.run where id = {run}"), "0")

    def test_rows_that_are_routed_to_the_target_meanwhile(self):
        self.put()
        routed = {"source": f"{self.name}_web", "target": {"dataset": f"{self.name}_rest"},
                  "steps": [{"route": [{"when": "kind = 'routed'", "dataset": self.name}]}]}
        platform.must("PUT", f"/v1/pipelines/{self.name}_web", json.dumps(routed))
        # Makes the columns known.
        self.ingest(f"{self.name}_web", [{"id": -1, "kind": "routed"}])
        sent = [1, 1]
        stop = threading.Event()

        def send():
            while not stop.is_set():
                self.ingest(f"{self.name}_web", [{"id": -1, "kind": "routed"}, {"id": -2, "kind": "other"}])
                sent[0] += 1

        sender = threading.Thread(target=send)
        sender.start()
        run = self.start()
        before = sent[0]
        ended = self.wait_ended(run)
        during = sent[0] - before
        stop.set()
        sender.join()
        self.assertGreater(during, 0)
        self.assertEqual((ended["state"], self.counts(ended)), ("succeeded", self.whole()), ended)
        count = f"select count(*) from ws_default.{self.name} where kind = 'routed'"
        self.assertEqual(platform.sql(count), str(sent[0]))
        self.assertEqual(platform.sql(f"select count(*) from ws_default.{self.name}_rest"), str(sent[0] - 1))
        routed_rows = "select -1::int8, null::int8, null::text, null::int8, null::int8, 'routed'"
        self.assertEqual(self.difference(f"({EXPECTED}) union all "
                                         f"(select x.* from ({routed_rows}) x, generate_series(1, {sent[0]}))"), "0")
        # What others route rows to cannot be replaced, and what is replaced, nobody can route rows to.
        definition = {"source": {"dataset": "accounts"}, "target": {"dataset": self.name, "mode": "replace"}}
        status, answer = platform.call("PUT", f"/v1/pipelines/{self.name}", json.dumps(definition))
        self.assertEqual((status, answer["code"], answer["errors"][0]["path"]), (409, "conflict", "target.mode"),
                         answer)
        self.assertIn(f"{self.name}_web", answer["detail"])
        definition["target"]["dataset"] = f"{self.name}_only"
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(definition))
        routed["steps"][0]["route"][0]["dataset"] = f"{self.name}_only"
        status, answer = platform.call("PUT", f"/v1/pipelines/{self.name}_web", json.dumps(routed))
        self.assertEqual((status, answer["code"], answer["errors"][0]["path"]), (409, "conflict", "steps.route.mode"),
                         answer)

    def test_masks_duplicates_and_lookups(self):
        self.put_dataset(f"{self.name}_groups", {"bucket": "int8", "label": "text"})
        self.ingest(f"{self.name}_groups", [{"bucket": n, "label": f"group {n}"} for n in range(40)])
        self.put(steps=[
            {"derive": {"bucket": "id % 50"}}, {"dedupe": {"by": ["bucket"]}},
            {"lookup": {"dataset": f"{self.name}_groups", "on": {"bucket": "bucket"}, "columns": {"label": "label"},
                        "missing": "null"}},
            {"mask": {"name": "sha256", "filler": "keep_last_4"}}])
        run = self.wait_ended(self.start())
        slices = run["batches"]["total"]
        self.assertEqual((run["state"], self.counts(run)),
                         ("succeeded", [ROWS, 50 * slices, 0, 0, ROWS - 50 * slices]), run)
        table = f"ws_default.{self.name}"
        self.assertEqual(platform.sql(f"select count(*), count(distinct (_batch, bucket)) from {table}"),
                         f"{50 * slices}|{50 * slices}")
        # Of each slice's rows the first with a key is kept.
        self.assertEqual(platform.sql(f"""select count(*) from {table} t
            where label is distinct from case when bucket < 40 then 'group ' || bucket end
                or filler is distinct from (select repeat('*', length(a.filler) - 4) || right(a.filler, 4)
                    from ws_default.accounts a where a.id = t.id and a.filler <> '') and filler <> ''"""), "0")
        self.assertEqual(platform.sql(f"select count(*) from {table} where id < 50"), "50")
        # A value is masked as in any other pipeline of the workspace.
        platform.must("PUT", f"/v1/pipelines/{self.name}_one", json.dumps(
            {"source": f"{self.name}_one", "steps": [{"mask": {"name": "sha256"}}],
             "target": {"dataset": f"{self.name}_one"}}))
        self.ingest(f"{self.name}_one", [{"name": "name 7"}])
        self.assertEqual(platform.sql(f"""select count(*) from {table} t join ws_default.{self.name}_one o
            on o.name = t.name where t.id = 7 and t.name <> 'name 7'"""), "1")

    def test_upsert_and_ignore(self):
        columns = {"id": "int8", "amount": "int8", "kind": "text"}
        expected = "select id, amount, kind from ws_default.{}"
        for mode, second in (("upsert", "b"), ("ignore", "a")):
            name = f"{self.name}_{mode}"
            self.put_dataset(name, columns, primary_key=["id"])
            for kind in ("a", "b"):
                steps = [{"filter": "id < 20000"}, {"select": ["id", "amount"]}, {"derive": {"kind": f"'{kind}'"}}]
                platform.must("PUT", f"/v1/pipelines/{name}", json.dumps(
                    {"source": {"dataset": "accounts"}, "steps": steps, "target": {"dataset": name, "mode": mode}}))
                run = self.wait_ended(platform.must("POST", f"/v1/pipelines/{name}/run")["run"])
                stored = 0 if (mode, kind) == ("ignore", "b") else 20000
                self.assertEqual((run["state"], self.counts(run)),
                                 ("succeeded", [ROWS, stored, ROWS - 20000, 0, 20000 - stored]), run)
            self.assertEqual(platform.sql(f"select count(*), min(kind), max(kind) from ws_default.{name}"),
                             f"20000|{second}|{second}", expected.format(name))
        name = f"{self.name}_upsert"
        # Of rows with one key one is left, the others are duplicates; and rows can delete.
        platform.must("PUT", f"/v1/pipelines/{name}", json.dumps(
            {"source": {"dataset": "accounts"},
             "steps": [{"select": ["id", "amount"]}, {"derive": {"id": "id % 1000"}}],
             "target": {"dataset": name, "mode": "upsert", "delete_when": "id >= 500"}}))
        run = self.wait_ended(platform.must("POST", f"/v1/pipelines/{name}/run")["run"])
        self.assertEqual(run["state"], "succeeded", run)
        self.assertEqual(sum(self.counts(run)[1:]), ROWS)
        self.assertEqual(platform.sql(f"select count(*), count(*) filter (where id between 500 and 999) "
                                      f"from ws_default.{name}"), "19500|0")
        # What was read from a table cannot be read again: no other pipeline can have the dataset rebuilt.
        platform.must("PUT", f"/v1/pipelines/{name}_web", json.dumps(
            {"source": f"{name}_web", "target": {"dataset": name, "mode": "upsert"}}))
        self.ingest(f"{name}_web", [{"id": 1, "amount": 1}])
        replay = json.dumps({"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"})
        status, answer = platform.call("POST", f"/v1/pipelines/{name}_web/replay", replay)
        self.assertEqual((status, answer["code"]), (409, "raw_expired"), answer)

    def test_text_goes_by_its_bytes(self):
        platform.must("PUT", f"/v1/datasets/{self.name}_from", json.dumps({"columns": [
            {"name": "id", "type": "int8"}, {"name": "u", "type": "text", "collation": "und-x-icu"},
            {"name": "c", "type": "text", "collation": "C"}, {"name": "d", "type": "text"}]}))
        words = ("Ärger", "ärger", "zoo", "Zoo", "STRAẞE", "ΑΣ", "ǆ")
        self.ingest(f"{self.name}_from", [{"id": n, "u": word, "c": word, "d": word} for n, word in enumerate(words)])
        derived = {f"{column}_{name}": expression.format(column=column) for column in ("u", "c", "d")
                   for name, expression in (("lower", "lower({column})"), ("title", "initcap({column})"),
                                            ("first", "{column} < 'b'"), ("like", "{column} ilike 'ä%'"))}
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps({
            "source": {"dataset": f"{self.name}_from"},
            "steps": [{"derive": derived}, {"derive": {"same": "u = c"}}],
            "target": {"dataset": self.name, "mode": "append"}}))
        self.assertEqual(self.wait_ended(self.start())["state"], "succeeded")
        # By bytes, whatever collation a column has.
        theirs = {name: re.sub(r"\b([ucd])\b", r'(\1 collate "C")', expression)
                  for name, expression in derived.items()} | {"same": "true"}
        found = platform.sql(f"select id, {', '.join(theirs)} from ws_default.{self.name} order by id")
        self.assertEqual(found, platform.sql(
            f"select id, {', '.join(theirs.values())} from ws_default.{self.name}_from order by id"))

    def ask(self, key, query=""):
        """Asks for a run under a key: status, answer, whether it is said to be an earlier one's."""
        connection = platform.connect()
        with contextlib.closing(connection):
            connection.request("POST", f"/v1/pipelines/{self.name}/run{query}", headers={
                "Authorization": f"Bearer {platform.key}", "Idempotency-Key": key})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.getheader("Idempotent-Replayed")

    def test_a_request_with_a_key_is_repeated_safely(self):
        self.put(steps=OLD)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: self.ask("once"), range(8)))
        run = answers[0][1]["run"]
        self.assertEqual({(status, answer["run"]) for status, answer, _ in answers}, {(202, run)}, answers)
        self.assertEqual(sorted(str(replayed) for *_, replayed in answers), ["None"] + ["true"] * 7)
        self.assertEqual(self.wait_ended(run)["state"], "succeeded")
        self.assertEqual(self.ask("once"), (202, {"run": run}, "true"))
        status, answer, _ = self.ask("once", "?timeout=1h")
        self.assertEqual((status, answer["code"]), (422, "idempotency_mismatch"), answer)
        for key in ("", "k" * 256):
            status, answer, _ = self.ask(key)
            self.assertEqual((status, answer["code"]), (400, "invalid_header"), answer)
        count = f"select count(*) from ws_default.{self.name}"
        self.assertEqual(platform.sql(count), "500")
        status, answer, replayed = self.ask("twice", "?timeout=1h")
        self.assertEqual((status, replayed), (202, None), answer)
        self.assertEqual(self.wait_ended(answer["run"])["state"], "succeeded")
        self.assertEqual(platform.sql(count), "1000")

    def test_a_source_that_is_deleted_meanwhile_fails_the_run(self):
        source = f"{self.name}_from"
        self.put_dataset(source, {"id": "int8", "filler": "text"})
        self.ingest(source, [{"id": 0, "filler": "f"}])
        platform.sql(f"""insert into ws_default.{source} (id, filler, _batch, _row, _out)
            select id, filler, 0, 0, 0 from ws_default.accounts""")
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(
            {"source": {"dataset": source}, "target": {"dataset": self.name}}))
        with self.gated() as run:
            path = f"/v1/datasets/{source}?confirm={source}"
            status, answer = platform.call("DELETE", path)
            self.assertEqual((status, answer["code"]), (409, "in_use"), answer)
            self.assertEqual(platform.call("DELETE", f"/v1/pipelines/{self.name}")[0], 204)
            self.assertEqual(platform.call("DELETE", path)[0], 204)
        ended = self.wait_ended(run)
        self.assertEqual(ended["state"], "failed", ended)
        self.assertIn(f"there is no dataset {source}", ended["error"])
        self.assertEqual(platform.sql(f"select count(*) from millrace.batch b join millrace.source s "
                                      f"on s.id = b.source_id where s.name = '{source}' and s.kind = 'dataset'"), "0")
        self.assertEqual(platform.sql(f"select count(*) from pg_class where relname = '{self.name}'"), "0")
        wait_for("its snapshot is let go", lambda: platform.sql(
            "select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == "0")

    def test_a_pipeline_that_is_retired_finishes_its_run(self):
        self.put()
        with self.gated() as run:
            self.assertEqual(platform.call("DELETE", f"/v1/pipelines/{self.name}")[0], 204)
            status, _ = platform.call("POST", f"/v1/pipelines/{self.name}/run")
            self.assertEqual(status, 404)
        ended = self.wait_ended(run)
        self.assertEqual((ended["state"], self.counts(ended)), ("succeeded", self.whole()), ended)
        self.assertEqual(self.difference(), "0")


if __name__ == "__main__":
    unittest.main()
