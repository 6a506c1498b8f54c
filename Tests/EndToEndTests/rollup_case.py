"""What the tests of rollups share: a dataset with a pipeline, records at random, and the comparison of a rollup with
the same aggregates over the dataset's rows."""

import json
import math
import os
import random
import signal
import unittest
from collections import Counter

from platform_under_test import wait_for

NDJSON = "application/x-ndjson"
SEED = int(os.environ.get("MILLRACE_TEST_SEED") or random.randrange(1 << 32))
ALWAYS = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
ENDED = ("succeeded", "failed", "cancelled", "timed_out")
MEASURES = {"hits": "count()", "known": "count(ms)", "total": "sum(ms)", "bytes": "sum(n)", "least": "min(ms)",
            "most": "max(who)", "mean": "avg(ms)", "spread": "stddev(ms)", "exact": "stddev(n)",
            "p50": "quantile(ms, 0.5)", "p99": "quantile(ms, 0.99)"}
TRUTH = ("count(*) as hits, count(ms) as known, sum(ms) as total, sum(n) as bytes, min(ms) as least, max(who) as most, "
         "avg(ms) as mean, stddev(ms) as spread, stddev(n) as exact, percentile_disc(0.5) within group (order by ms) "
         "as p50, percentile_disc(0.99) within group (order by ms) as p99")
COLUMNS = [{"name": "id", "type": "int8"}, {"name": "ts", "type": "timestamptz"}, {"name": "who", "type": "text"},
           {"name": "ms", "type": "float8"}, {"name": "n", "type": "int8"}, {"name": "op", "type": "text"}]


class RollupCase(unittest.TestCase):
    platform = None

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:40]
        self.random = random.Random(f"{SEED} {self.name}")
        self.number = 0
        # Of a history: steps that did what they are for, and those that were refused or came to nothing, with why.
        self.done = Counter()
        self.refused = []

    def dataset(self, mode="append", definition=(), **more):
        keyed = {"primary_key": ["id"]} if mode != "append" else {}
        self.platform.must("PUT", f"/v1/datasets/{self.name}",
                           json.dumps({"columns": COLUMNS, **keyed, **dict(definition)}))
        self.pipeline(mode, **more)

    def pipeline(self, mode="append", steps=({"cast": {"n": "int8"}},), **more):
        self.platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(
            {"source": self.name, "steps": list(steps), "target": {"dataset": self.name, "mode": mode, **more}}))

    def rollup(self, grain="minute", suffix="", dimensions=("who",)):
        self.platform.must("PUT", f"/v1/rollups/{self.name}{suffix}", json.dumps(
            {"dataset": self.name, "time": {"column": "ts", "grain": grain}, "dimensions": list(dimensions),
             "measures": MEASURES}))

    def record(self, keys=300):
        self.number += 1
        moment = self.random.randrange(7200)
        return {
            "id": self.random.randrange(keys),
            "ts": f"2026-01-01T{moment // 3600:02}:{moment // 60 % 60:02}:{moment % 60:02}Z",
            "who": self.random.choice(["a", "b", "c", None, "x" * self.random.choice([1, 4000])]),
            "ms": self.random.choice([None, 0, self.random.uniform(-50, 1000), self.random.gauss(0, 1) * 1e6]),
            "n": f"{self.number}kg" if self.random.random() < 0.05 else self.number,
            "op": "delete" if self.random.random() < 0.1 else "set"}

    def send(self, records, wait=False):
        body = "".join(json.dumps(record) + "\n" for record in records)
        return self.platform.must(
            "POST", f"/v1/ingest/{self.name}{'?wait=stored&timeout=60s' if wait else ''}", body, content_type=NDJSON)

    def ingest(self, records=200, keys=300):
        self.send([self.record(keys) for _ in range(records)])

    def settled(self, suffix="", source=None):
        def is_settled():
            found = self.platform.must("GET", f"/v1/rollups/{self.name}{suffix}")
            self.assertNotEqual(found["state"], "failed", found)
            waiting = self.platform.sql(
                "select count(*) from millrace.rollup_change c join millrace.rollup r on r.id = c.rollup_id "
                f"where r.name = '{self.name}{suffix}'")
            return found["state"] == "ready" and found["waiting_batches"] == 0 and waiting == "0"
        self.platform.wait_finished(source or self.name)
        wait_for(f"the rollup {self.name}{suffix}", is_settled)

    def items(self, suffix="", query=""):
        self.settled(suffix)
        answer = self.platform.must("GET", f"/v1/rollups/{self.name}{suffix}/data?limit=10000{query}")
        self.assertFalse(answer["truncated"])
        return answer["items"]

    def check(self, suffix="", grain="minute", query="", dimensions=("who",), where="true"):
        """That the rollup says what the same aggregates over the rows say."""
        items = self.items(suffix, query)
        keys = "".join(f", {name}" for name in dimensions)
        truth = json.loads(self.platform.sql(
            f"select coalesce(json_agg(t), '[]') from (select to_char(date_trunc('{grain}', ts, 'UTC') at time zone "
            f"'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as time{keys}, {TRUTH} from ws_default.{self.name} "
            f"where ts is not null and {where} group by date_trunc('{grain}', ts, 'UTC'){keys}) t"))

        def key(row):
            return tuple(f"{str(row[name])[:40]} {len(str(row[name]))}" for name in ("time", *dimensions))
        found = {key(row): row for row in items}
        self.assertEqual(len(found), len(items))
        expected = {key(row) for row in truth}
        self.assertTrue(set(found) == expected,
                        (SEED, getattr(self, "steps", None), sorted(set(found) ^ expected)[:5],
                         len(found), len(expected)))
        for row in truth:
            for name in MEASURES:
                self.compare(name, found[key(row)][name], row[name])

    def compare(self, name, mine, theirs):
        if not isinstance(theirs, (int, float)) or isinstance(theirs, bool):
            return self.assertEqual(mine, theirs, (SEED, name))
        tolerance = 0.0100001 if name.startswith("p") else 1e-9
        # Values go up to some 5e6: where they cancel out, what their own last digits are is left.
        digits = 5e6 * 2 ** -50 if name in ("total", "mean", "spread") else 1e-12
        self.assertTrue(math.isclose(mine, theirs, rel_tol=tolerance, abs_tol=digits), (SEED, name, mine, theirs))

    def kill(self, service):
        pids = [pid for pid, line in self.platform.processes().items()
                if line.split(" ")[0].endswith(f"millrace-{service}")]
        self.assertEqual(len(pids), 1, self.platform.processes())
        os.kill(pids[0], signal.SIGKILL)
        self.platform.wait_until_ready()

    def ended(self, run):
        return wait_for("the run", lambda: (found := self.platform.must("GET", f"/v1/runs/{run}"))["state"] in ENDED
                        and found)

    def replay(self):
        return self.run_of("replay", f"/v1/pipelines/{self.name}/replay", ALWAYS)

    def erase(self, where):
        return self.run_of("erase", f"/v1/datasets/{self.name}/erase", {"where": where})

    def run_of(self, step, path, body):
        """The run that a request makes, once it has ended; None where it is refused."""
        status, answer = self.platform.call("POST", path, json.dumps(body))
        run = self.ended(answer["run"]) if status == 202 else None
        if run and run["state"] == "succeeded":
            self.done[step] += 1
        else:
            self.refused.append((step, status, run["state"] if run else answer["code"]))
        return run
