"""Rollups on the whole platform: whatever is done to a dataset, they say what the same aggregates over its rows say,
while store and analytics are killed."""

import json
import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402
from rollup_case import SEED, RollupCase  # noqa: E402


def setUpModule():
    global platform
    print(f"MILLRACE_TEST_SEED={SEED}", flush=True)
    Rollups.platform = platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


class Rollups(RollupCase):
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
            step = self.random.choice(["ingest", "ingest", "ingest", "rollup", "replay", "heal", "erase", "kill store",
                                       "kill analytics", "check"])
            self.steps.append(step)
            if step == "ingest":
                self.ingest()
            elif step == "rollup" and not begun:
                begun = True
                self.rollup()
            elif step == "replay":
                self.replay_otherwise(mode, more)
            elif step == "heal":
                self.pipeline(mode, [{"derive": {"n": "replace(n::text, 'kg', '')"}}, {"cast": {"n": "int8"}}], **more)
                platform.wait_finished(self.name)
                self.heal()
            elif step == "erase":
                self.erase(f"id % 11 = {self.random.randrange(11)}")
            elif step.startswith("kill"):
                self.kill(step.split(" ")[1])
            elif begun:
                self.check()
        if not begun:
            self.rollup()
        self.ingest()
        self.check()
        # Whatever chance has chosen, and whatever was refused: each has taken place while there was a rollup.
        platform.wait_finished(self.name)
        before = self.done.copy()
        self.replay_otherwise(mode, more)
        self.check()
        self.erase("id % 11 = 3")
        self.check()
        print(f"{self.name}: {dict(self.done)}, refused: {self.refused}", file=sys.stderr)
        for step in ("replay", "erase"):
            self.assertGreater(self.done[step], before[step], self.refused)
        # A run is refused while something is in its way, and not as a rule.
        self.assertLessEqual(len(self.refused), sum(self.done.values()), self.refused)

    def replay_otherwise(self, mode, more):
        self.pipeline(mode, [{"cast": {"n": "int8"}}, {"filter": f"id % 7 <> {self.random.randrange(7)}"}], **more)
        platform.wait_finished(self.name)
        self.replay()

    def heal(self):
        status, answer = platform.call("POST", f"/v1/datasets/{self.name}/quarantine/replay?wait=30s", "{}")
        if status == 200:
            self.done["heal"] += 1
        else:
            self.refused.append(("heal", status, answer.get("code")))

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
        self.send([{"id": m, "ts": f"2026-01-01T00:{m:02}:00Z", "who": "a", "ms": v, "n": 1}
                   for m, v in values.items()])
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
        self.assertEqual(totals("moving_average=2", "total.moving_average"), [10, 15, 40, 520])
        rates = totals("rate=true", "total.rate")
        self.assertEqual([rates[0], round(rates[1], 9), round(rates[2], 9)], [None, round(1 / 6, 9), round(1 / 6, 9)])
        self.assertEqual(totals("anomalies=zscore&threshold=1.5", "total.anomaly"), [False, False, False, True])
        trend = totals("trend=true", "total.trend")
        self.assertAlmostEqual(sum(trend), 1070)
        self.assertEqual(totals("where=who%20=%20'b'"), [])
        self.assertEqual(totals("order=total.desc&limit=1"), [1000])


if __name__ == "__main__":
    unittest.main()
