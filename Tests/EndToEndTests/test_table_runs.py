"""Runs from table to table on the whole platform, beside `insert … select` in PostgreSQL: the same rows, also while
services are killed inside the transactions that make them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import PSQL, Platform  # noqa: E402

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
    platform = Platform(port=int(os.environ.get("E2E_TABLES_PORT", "19080"))).__enter__()
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


def wait_for(what, condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return found


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
    def held(self, table, mode="share"):
        """Holds a table's lock, so that who writes to it stands still inside a transaction."""
        holder = subprocess.Popen([PSQL, "-XAtq", "-h", platform.socket, "-U", "postgres", "-d", "millrace"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            holder.stdin.write(f"begin; lock table {table} in {mode} mode; select 'held';\n")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline().strip(), "held")
            yield
        finally:
            holder.communicate("rollback;\n")

    def wait_blocked(self, table):
        wait_for(f"someone waits for {table}", lambda: platform.sql(
            f"select count(*) from pg_locks l where not granted and relation = '{table}'::regclass") != "0")

    def kill(self, service):
        command = f"millrace-{service}"
        pids = [pid for pid, line in platform.processes().items() if line.split(" ")[0].endswith(command)]
        self.assertEqual(len(pids), 1, platform.processes())
        os.kill(pids[0], signal.SIGKILL)
        platform.wait_until_ready()

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
        with self.held("landing.chunk"):
            run = self.start()
            self.wait_blocked("landing.chunk")
            self.kill("transform")
        wait_for("a slice is read", lambda: self.run_of(run)["batches"]["transformed"] > 0)
        self.kill("transform")
        wait_for("something is stored", lambda: platform.sql(
            f"select count(*) from millrace.run_batch where run = {run} and state in ('transformed', 'stored')") != "0")
        with self.held("millrace.application"):
            self.wait_blocked("millrace.application")
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
        with self.held("millrace.application"):
            run = self.start()
            self.wait_blocked("millrace.application")
            self.kill("store")
            self.assertEqual(platform.sql(old), "500|old")
        # Readers hold the old table for a while: the new one waits for them, and they do not wait for it for long.
        with self.held(f"ws_default.{self.name}", "access share"):
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
        with self.held("millrace.application"):
            run = self.start()
            self.wait_blocked("millrace.application")
            state = platform.must("POST", f"/v1/runs/{run}/cancel")["state"]
            self.assertEqual(state, "cancelled")
        wait_for("its job is done", lambda: platform.sql("select count(*) from queue.lease") == "0")
        self.assertEqual(platform.sql(f"select count(*), max(kind) from ws_default.{self.name}"), "500|old")
        self.assertEqual(platform.sql("select count(*) from pg_class where relname like 'run.%'"), "0")
        self.assertEqual(self.wait_ended(self.start())["state"], "succeeded")
        self.assertEqual(self.difference(), "0")

    def test_what_does_not_fit_is_refused(self):
        cases = [
            ({"source": {"dataset": "none"}, "target": {"dataset": "x"}}, "source.dataset"),
            ({"source": {"dataset": "accounts"}, "target": {"dataset": "accounts"}}, "target.dataset"),
            ({"source": {"dataset": "accounts"}, "target": {"dataset": "x"}, "steps": [{"filter": "nope > 1"}]},
             "steps[0].filter"),
            ({"source": {"dataset": "accounts"}, "target": {"dataset": "x"}, "steps": [{"filter": "name > 1"}]},
             "steps[0].filter"),
            ({"source": "accounts", "target": {"dataset": "x", "mode": "replace"}}, "target.mode"),
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
        with self.held("landing.chunk"):
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


if __name__ == "__main__":
    unittest.main()
