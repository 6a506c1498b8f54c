"""Rollups on the whole platform: whatever is done to a dataset, they say what the same aggregates over its rows say,
while store and analytics are killed."""

import json
import math
import os
import random
import signal
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402

NDJSON = "application/x-ndjson"
SEED = int(os.environ.get("ROLLUP_SEED", "0")) or random.randrange(1 << 32)
MEASURES = {"hits": "count()", "known": "count(ms)", "total": "sum(ms)", "bytes": "sum(n)", "least": "min(ms)",
            "most": "max(who)", "mean": "avg(ms)", "spread": "stddev(ms)", "exact": "stddev(n)",
            "p50": "quantile(ms, 0.5)", "p99": "quantile(ms, 0.99)"}
TRUTH = ("count(*) as hits, count(ms) as known, sum(ms) as total, sum(n) as bytes, min(ms) as least, max(who) as most, "
         "avg(ms) as mean, stddev(ms) as spread, stddev(n) as exact, percentile_disc(0.5) within group (order by ms) "
         "as p50, percentile_disc(0.99) within group (order by ms) as p99")
COLUMNS = [{"name": "id", "type": "int8"}, {"name": "ts", "type": "timestamptz"}, {"name": "who", "type": "text"},
           {"name": "ms", "type": "float8"}, {"name": "n", "type": "int8"}, {"name": "op", "type": "text"}]


def setUpModule():
    global platform
    print(f"ROLLUP_SEED={SEED}", flush=True)
    platform = Platform(port=int(os.environ.get("E2E_ROLLUPS_PORT", "18986"))).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


def wait_for(what, condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return found


class Rollups(unittest.TestCase):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:40]
        self.random = random.Random(f"{SEED} {self.name}")
        self.number = 0

    def dataset(self, mode="append", **more):
        keyed = {"primary_key": ["id"]} if mode != "append" else {}
        platform.must("PUT", f"/v1/datasets/{self.name}", json.dumps({"columns": COLUMNS, **keyed}))
        self.pipeline(mode, **more)

    def pipeline(self, mode="append", steps=({"cast": {"n": "int8"}},), **more):
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(
            {"source": self.name, "steps": list(steps), "target": {"dataset": self.name, "mode": mode, **more}}))

    def rollup(self, grain="minute", suffix="", dimensions=("who",)):
        platform.must("PUT", f"/v1/rollups/{self.name}{suffix}", json.dumps(
            {"dataset": self.name, "time": {"column": "ts", "grain": grain}, "dimensions": list(dimensions),
             "measures": MEASURES}))

    def ingest(self, records=200, keys=300):
        body = ""
        for _ in range(records):
            self.number += 1
            moment = self.random.randrange(7200)
            who = self.random.choice(["a", "b", "c", None, "x" * self.random.choice([1, 4000])])
            ms = self.random.choice([None, 0, self.random.uniform(-50, 1000), self.random.gauss(0, 1) * 1e6])
            body += json.dumps({
                "id": self.random.randrange(keys), "ts": f"2026-01-01T{moment // 3600:02}:{moment // 60 % 60:02}:"
                f"{moment % 60:02}Z", "who": who, "ms": ms,
                "n": f"{self.number}kg" if self.random.random() < 0.05 else self.number,
                "op": "delete" if self.random.random() < 0.1 else "set"}) + "\n"
        platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)

    def settled(self, suffix=""):
        def is_settled():
            found = platform.must("GET", f"/v1/rollups/{self.name}{suffix}")
            self.assertNotEqual(found["state"], "failed", found)
            waiting = platform.sql(
                "select count(*) from millrace.rollup_change c join millrace.rollup r on r.id = c.rollup_id "
                f"where r.name = '{self.name}{suffix}'")
            return found["state"] == "ready" and found["waiting_batches"] == 0 and waiting == "0"
        platform.wait_finished(self.name)
        wait_for(f"the rollup {self.name}{suffix}", is_settled)

    def check(self, suffix="", grain="minute", query="", dimensions=("who",)):
        self.settled(suffix)
        answer = platform.must("GET", f"/v1/rollups/{self.name}{suffix}/data?limit=10000{query}")
        self.assertFalse(answer["truncated"])
        keys = "".join(f", {name}" for name in dimensions)
        truth = json.loads(platform.sql(
            f"select coalesce(json_agg(t), '[]') from (select to_char(date_trunc('{grain}', ts, 'UTC') at time zone "
            f"'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as time{keys}, {TRUTH} from ws_default.{self.name} "
            f"where ts is not null group by date_trunc('{grain}', ts, 'UTC'){keys}) t"))

        def key(row):
            return tuple(f"{str(row[name])[:40]} {len(str(row[name]))}" for name in ("time", *dimensions))
        found = {key(row): row for row in answer["items"]}
        self.assertEqual(len(found), len(answer["items"]))
        expected = {key(row) for row in truth}
        self.assertTrue(set(found) == expected,
                        (SEED, getattr(self, "steps", None), sorted(set(found) ^ expected)[:5],
                         len(found), len(expected)))
        for row in truth:
            for name in MEASURES:
                mine, theirs = found[key(row)][name], row[name]
                if isinstance(theirs, (int, float)) and not isinstance(theirs, bool):
                    tolerance = 0.0100001 if name.startswith("p") else 1e-9
                    scale = abs(theirs) if name.startswith("p") else max(abs(theirs), 1e-3)
                    self.assertTrue(math.isclose(mine, theirs, rel_tol=0, abs_tol=tolerance * scale + 1e-12) or
                                    name == "spread" and abs(mine - theirs) < 1e-9 * 1e6, (SEED, name, mine, theirs))
                else:
                    self.assertEqual(mine, theirs, (SEED, name))

    def kill(self, service):
        pids = [pid for pid, line in platform.processes().items()
                if line.split(" ")[0].endswith(f"millrace-{service}")]
        self.assertEqual(len(pids), 1, platform.processes())
        os.kill(pids[0], signal.SIGKILL)
        platform.wait_until_ready()

    def test_append(self):
        self.dataset()
        for _ in range(5):
            self.ingest()
        self.rollup()
        self.rollup("day", "_days", [])
        for _ in range(5):
            self.ingest()
        self.check()
        self.check("_days", "day", dimensions=())
        # Merged to coarser buckets and fewer groups.
        self.check(grain="hour", query="&grain=hour")
        self.check(grain="day", query="&grain=day&group_by=", dimensions=())

    def test_random_history(self):
        mode, more = self.random.choice([("append", {}), ("upsert", {}), ("ignore", {}),
                                         ("upsert", {"delete_when": "op = 'delete'"})])
        self.history(mode, more)

    def test_history_of_appends(self):
        self.history("append", {})

    def test_history_of_upserts_and_deletions(self):
        self.history("upsert", {"delete_when": "op = 'delete'"})

    def history(self, mode, more):
        self.dataset(mode, **more)
        self.ingest()
        begun = False
        self.steps = [mode, more]
        for _ in range(14):
            step = self.random.choice(["ingest", "ingest", "ingest", "rollup", "replay", "heal", "kill store",
                                       "kill analytics", "check"])
            self.steps.append(step)
            if step == "ingest":
                self.ingest()
            elif step == "rollup" and not begun:
                begun = True
                self.rollup()
            elif step == "replay":
                self.pipeline(mode, [{"cast": {"n": "int8"}},
                                     {"filter": f"id % 7 <> {self.random.randrange(7)}"}], **more)
                platform.wait_finished(self.name)
                self.run_of("replay", {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"})
            elif step == "heal":
                self.pipeline(mode, [{"derive": {"n": "replace(n::text, 'kg', '')"}}, {"cast": {"n": "int8"}}], **more)
                platform.wait_finished(self.name)
                platform.call("POST", f"/v1/datasets/{self.name}/quarantine/replay?wait=30s", "{}")
            elif step.startswith("kill"):
                self.kill(step.split(" ")[1])
            elif begun:
                self.check()
        if not begun:
            self.rollup()
        self.ingest()
        self.check()

    def run_of(self, what, request):
        status, answer = platform.call("POST", f"/v1/pipelines/{self.name}/{what}", json.dumps(request))
        if status == 202:
            wait_for("the run", lambda: platform.must("GET", f"/v1/runs/{answer['run']}")["state"] not in
                     ("queued", "running"))

    def test_refusals(self):
        self.dataset()
        good = {"dataset": self.name, "time": {"column": "ts", "grain": "minute"}, "measures": {"hits": "count()"}}

        def put(**changes):
            return platform.call("PUT", f"/v1/rollups/{self.name}", json.dumps({**good, **changes}))
        for changes, path in (({"dataset": "nowhere"}, "dataset"),
                              ({"time": {"column": "who", "grain": "minute"}}, "time.column"),
                              ({"time": {"column": "ts", "grain": "blink"}}, "time.grain"),
                              ({"dimensions": ["whom"]}, "dimensions[0]"),
                              ({"measures": {"a": "sum(who)"}}, "measures.a"),
                              ({"measures": {"a": "quantile(ms, 2)"}}, "measures.a"),
                              ({"measures": {"a": "sum(ms); drop table x"}}, "measures.a"),
                              ({"measures": {}}, "measures")):
            status, answer = put(**changes)
            self.assertEqual((status, answer["code"], answer["errors"][0]["path"]), (422, "invalid_rollup", path))
        self.assertEqual(put()[0], 201)
        self.assertEqual(put()[1]["version"], 1)
        self.settled()
        for query in ("grain=second", "group_by=who", "order=nothing", "fill=zero", "limit=0", "from=yesterday"):
            self.assertEqual(platform.call("GET", f"/v1/rollups/{self.name}/data?{query}")[0], 400, query)
        self.assertEqual(platform.call("GET", f"/v1/rollups/{self.name}/data?where=who%20=%201")[0], 422)
        self.assertEqual(platform.call("DELETE", f"/v1/rollups/{self.name}")[0], 204)
        self.assertEqual(platform.call("GET", f"/v1/rollups/{self.name}/data")[0], 404)

    def test_series(self):
        self.dataset()
        self.rollup()
        values = {0: 10, 1: 20, 3: 40, 4: 1000}
        body = "".join(json.dumps({"id": m, "ts": f"2026-01-01T00:{m:02}:00Z", "who": "a", "ms": v, "n": 1}) + "\n"
                       for m, v in values.items())
        platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)
        self.settled()
        span = "from=2026-01-01T00:00:00Z&to=2026-01-01T00:06:00Z"

        def totals(query, name="total"):
            found = platform.must("GET", f"/v1/rollups/{self.name}/data?{span}&{query}")
            return [row[name] for row in found["items"]]
        self.assertEqual(totals("limit=9"), [10, 20, 40, 1000])
        self.assertEqual(totals("fill=null"), [10, 20, None, 40, 1000, None])
        self.assertEqual(totals("fill=zero"), [10, 20, 0, 40, 1000, 0])
        self.assertEqual(totals("fill=previous"), [10, 20, 20, 40, 1000, 1000])
        self.assertEqual(totals("fill=linear"), [10, 20, 30, 40, 1000, None])
        self.assertEqual(totals("moving_average=2", "total.moving_average"), [10, 15, 30, 520])
        rates = totals("rate=true", "total.rate")
        self.assertEqual([rates[0], round(rates[1], 9), round(rates[2], 9)], [None, round(1 / 6, 9), round(1 / 6, 9)])
        self.assertEqual(totals("anomalies=zscore&threshold=1.5", "total.anomaly"), [False, False, False, True])
        trend = totals("trend=true", "total.trend")
        self.assertAlmostEqual(sum(trend), 1070)
        self.assertEqual(totals("where=who%20=%20'b'"), [])
        self.assertEqual(totals("order=total.desc&limit=1"), [1000])


if __name__ == "__main__":
    unittest.main()
