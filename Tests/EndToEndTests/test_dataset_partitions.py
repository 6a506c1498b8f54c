"""Datasets partitioned by time on the whole platform, beside the same records in datasets that are one piece: modes,
replays, rebuilds, runs from table to table, new columns, and retention, while store is killed."""

import json
import os
import random
import signal
import sys
import threading
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402

NDJSON = "application/x-ndjson"
ALWAYS = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
ENDED = ("succeeded", "failed", "cancelled", "timed_out")
COLUMNS = [{"name": "id", "type": "int8"}, {"name": "at", "type": "timestamptz"}, {"name": "name", "type": "text"}]
NOW = datetime.now(timezone.utc)


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


class Partitions(unittest.TestCase):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:30]

    def dataset(self, suffix, **definition):
        return platform.must("PUT", f"/v1/datasets/{self.name}{suffix}",
                             json.dumps({"columns": COLUMNS, "time_column": "at", **definition}))

    def pipeline(self, suffix, mode="append", source=None, steps=(), **target):
        definition = {"source": source or self.name, "steps": list(steps),
                      "target": {"dataset": self.name + suffix, "mode": mode, **target}}
        platform.must("PUT", f"/v1/pipelines/{self.name}{suffix}", json.dumps(definition))

    def send(self, records, wait=True):
        body = "".join(json.dumps(record) + "\n" for record in records)
        return platform.must("POST", f"/v1/ingest/{self.name}{'?wait=stored&timeout=60s' if wait else ''}", body,
                             content_type=NDJSON)

    def sql(self, text):
        return platform.sql(text.replace("@", f"ws_default.{self.name}"))

    def record(self, number, days, **more):
        return {"id": number, "at": (NOW - timedelta(days=days)).isoformat(), "name": f"n{number}", **more}

    def ended(self, run):
        found = wait_for(f"run {run}", lambda: (found := platform.must("GET", f"/v1/runs/{run}"))["state"] in ENDED
                         and found)
        self.assertEqual(found["state"], "succeeded", found)
        return found

    def partitions(self, suffix):
        """How many there are up to today's: maintenance makes those of the next days when it comes by."""
        return int(self.sql(f"select count(*) from millrace.time_partitions('ws_default', '{self.name}{suffix}') "
                            f"where day <= date '{NOW:%Y-%m-%d}' - date '2000-01-01'"))

    def same(self, one, other, columns="id, at, name"):
        self.assertEqual(self.sql(f"""select count(*) from (
            (select {columns} from @{one} except all select {columns} from @{other}) union all
            (select {columns} from @{other} except all select {columns} from @{one})) t"""), "0")

    def test_all_modes_while_store_is_killed(self):
        for suffix, cut in (("_one", "none"), ("_day", "day"), ("_month", "month")):
            self.dataset(suffix, partition=cut)
            self.pipeline(suffix)
            for mode in ("upsert", "ignore"):
                self.dataset(f"{suffix}_{mode}", partition=cut, primary_key=["id", "at"])
                self.pipeline(f"{suffix}_{mode}", mode)
        generator = random.Random(25)
        sent = []

        def client():
            for _ in range(30):
                records = [self.record(generator.randrange(300), generator.randrange(-3, 60),
                                       **({"more": True} if generator.random() < 0.1 else {}))
                           for _ in range(generator.choice((1, 40, 300)))]
                sent.append(len(records))
                self.send(records, wait=False)

        threads = [threading.Thread(target=client) for _ in range(2)]
        for thread in threads:
            thread.start()
        kills = 0
        # The server itself looks for a load under way, each millisecond: those are short.
        until_copying = """do $$ begin for attempt in 1..2000 loop
            perform pg_stat_clear_snapshot();
            exit when exists (select from pg_stat_activity where state <> 'idle'
                and query ilike 'copy %ws_default%stdin%' and pid <> pg_backend_pid());
            perform pg_sleep(0.001);
        end loop; end $$"""
        while kills < 3 and (any(thread.is_alive() for thread in threads) or platform.unfinished(self.name)):
            stores = [pid for pid, line in platform.processes().items()
                      if line.split(" ")[0].endswith("millrace-store")]
            platform.sql(until_copying)
            for pid in stores:
                os.kill(pid, signal.SIGKILL)
            kills += 1
            wait_for("store is back", lambda: platform.call("GET", "/v1/datasets?limit=1")[0] == 200)
        for thread in threads:
            thread.join()
        platform.wait_finished(self.name, 300)
        self.assertGreater(kills, 0)
        self.assertEqual(int(self.sql("select count(*) from @_one")), sum(sent))
        for cut in ("_day", "_month"):
            self.same("_one", cut, "id, at, name, more")
            for mode in ("upsert", "ignore"):
                self.same(f"_one_{mode}", f"{cut}_{mode}", "id, at, name, more, _batch, _row")
        self.assertGreaterEqual(self.partitions("_day"), 60)
        self.assertIn(self.partitions("_month"), range(2, 6))

    def test_replays_and_rebuilds(self):
        self.dataset("_rows", partition="day")
        self.pipeline("_rows")
        self.dataset("_latest", partition="day", primary_key=["id", "at"])
        self.pipeline("_latest", "upsert")
        for first in range(0, 400, 100):
            self.send([self.record(number, number % 20) for number in range(first, first + 100)])
        for suffix, mode in (("_rows", "append"), ("_latest", "upsert")):
            self.pipeline(suffix, mode, steps=[{"derive": {"name": "'x' || name"}}, {"filter": "id % 2 = 0"}])
            run = platform.must("POST", f"/v1/pipelines/{self.name}{suffix}/replay", json.dumps(ALWAYS))["run"]
            self.ended(run)
            self.assertEqual(self.sql(f"select count(*), count(*) filter (where name = 'xn' || id) from @{suffix}"),
                             "200|200")
            self.assertEqual(self.partitions(suffix), 20)
        self.send([self.record(1000, 25)])
        self.assertEqual(self.sql("select count(*) from @_latest"), "201")
        self.assertEqual(self.sql("select count(*) from pg_class where relname ~ '\\.re(\\.p[0-9]+)?$'"), "0")
        run = platform.must("POST", f"/v1/pipelines/{self.name}_latest/replay", json.dumps(ALWAYS))["run"]
        self.ended(run)
        self.assertEqual(self.sql("select count(*) from @_latest"), "201")

    def test_table_to_table(self):
        self.dataset("_from", partition="day")
        self.pipeline("_from")
        self.send([self.record(number, number % 50) for number in range(5000)])
        self.dataset("_added", partition="month")
        self.dataset("_whole", partition="day", retention="30d")
        source = {"dataset": f"{self.name}_from"}
        self.pipeline("_added", source=source)
        self.pipeline("_whole", "replace", source=source)
        for suffix in ("_added", "_whole"):
            for _ in range(1 if suffix == "_added" else 2):
                run = self.ended(platform.must("POST", f"/v1/pipelines/{self.name}{suffix}/run")["run"])
        self.same("_from", "_added")
        kept = self.sql("select count(*) from @_from where at >= date_trunc('day', now() - interval '30 days', 'UTC')")
        self.assertEqual(self.sql("select count(*) from @_whole"), kept)
        self.assertEqual([run["records"][name] for name in ("read", "stored", "filtered")],
                         [5000, int(kept), 5000 - int(kept)])
        self.assertEqual(self.partitions("_whole"), 31)

    def test_retention(self):
        self.dataset("", partition="day")
        receipt = self.send([self.record(number, number) for number in range(20)])
        self.dataset("", partition="day", retention="7d")
        self.assertEqual(platform.must("GET", f"/v1/datasets/{self.name}")["retention"], "7d")
        # As maintenance does; the platform's own comes by every five minutes.
        days = ("select name from millrace.time_partitions('ws_default', '{}') "
                "where day < (now() - '7 days'::interval)::date - date '2000-01-01'")
        for partition in platform.sql(days.format(self.name)).split():
            platform.sql(f'drop table ws_default."{partition}"')
        self.assertEqual(self.sql("select count(*) from @"), "8")
        self.assertEqual(platform.must("GET", f"/v1/receipts/{receipt['receipt']}")["stored"], 20)
        self.pipeline("", steps=[{"derive": {"name": "'again'"}}])
        batch = platform.sql(f"select max(_batch) from ws_default.{self.name}")
        self.send([self.record(100, 0)])
        late = self.send([self.record(200, 8), self.record(201, 6)])
        self.assertEqual([late[name] for name in ("received", "stored", "filtered")], [2, 1, 1])
        platform.must("PUT", f"/v1/pipelines/{self.name}_again", json.dumps(
            {"source": self.name, "steps": [], "target": {"dataset": f"{self.name}_again"}}))
        self.dataset("_again", partition="day", retention="7d")
        run = platform.must("POST", f"/v1/pipelines/{self.name}_again/replay", json.dumps({"batches": [batch]}))["run"]
        self.assertEqual([self.ended(run)["records"][name] for name in ("stored", "filtered")], [8, 12])
        self.assertEqual(self.sql("select count(*) from @_again"), "8")

    def test_far_times_are_quarantined_and_heal(self):
        self.dataset("", partition="day")
        self.pipeline("")
        far = {"id": 1, "at": "9999-01-01T00:00:00Z", "name": "far"}
        answer = self.send([far, self.record(2, 0), {"id": 3, "at": None, "name": "none"}])
        self.assertEqual([answer[name] for name in ("stored", "quarantined")], [1, 2])
        items = platform.must("GET", f"/v1/datasets/{self.name}/quarantine")["items"]
        self.assertEqual([item["errors"][0]["code"] for item in items], ["time_out_of_range", "not_null"])
        self.assertEqual([json.loads(item["raw"])["id"] for item in items], [1, 3])
        self.pipeline("", steps=[{"fill": {"at": NOW.isoformat()}},
                                 {"derive": {"at": "case when at > '3000-01-01' then '2020-02-29' else at end"}}])
        healed = platform.must("POST", f"/v1/datasets/{self.name}/quarantine/replay?wait=60s")
        self.assertEqual((healed["healed"], healed["failing"]), (2, 0))
        # Maintenance may have made partitions ahead meanwhile; they are empty.
        self.assertEqual(self.sql("select count(*), min(at::date), count(distinct tableoid) from @"), "3|2020-02-29|2")


if __name__ == "__main__":
    unittest.main()
