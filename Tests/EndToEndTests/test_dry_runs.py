"""Dry runs on the whole platform: what a replay or a heal is said to change is what it then does change, and until then
nothing has changed."""

import json
import os
import random
import signal
import sys
import time
import unittest
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402

NDJSON = "application/x-ndjson"
ALWAYS = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
ENDED = ("succeeded", "failed", "cancelled", "timed_out")
# Tables that a dry run must leave as they are, with what stands for their rows.
LEDGER = ("millrace.application", "landing.quarantine", "millrace.dataset", "millrace.dataset_column",
          "millrace.healed", "millrace.rebuild", "millrace.dataset_deletions")


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


class DryRuns(unittest.TestCase):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:36]

    def dataset(self, suffix, columns, **definition):
        listed = [{"name": name, "type": kind} for name, kind in columns.items()]
        platform.must("PUT", f"/v1/datasets/{self.name}{suffix}", json.dumps({"columns": listed, **definition}))

    def pipeline(self, steps, name=None, **target):
        platform.must("PUT", f"/v1/pipelines/{name or self.name}", json.dumps(
            {"source": self.name, "steps": steps, "target": {"dataset": name or self.name, **target}}))

    def send(self, records):
        body = "".join(json.dumps(record) + "\n" for record in records)
        return platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)["receipt"]

    def tables(self):
        return platform.sql("select string_agg(relname, ' ' order by relname) from pg_class c join pg_namespace n on "
                            f"n.oid = relnamespace where nspname = 'ws_default' and relkind = 'r' "
                            f"and relname like '{self.name}%'").split()

    def state(self):
        """What must not change."""
        names = [*LEDGER, *(f'ws_default."{name}"' for name in self.tables())]
        digest = "coalesce(md5(string_agg(t::text, ' ' order by t::text)), '')"
        return {name: platform.sql(f"select count(*) || ' ' || {digest} from {name} t") for name in names}

    def rows(self, key):
        """Of each dataset its rows by record and their order, or by a key, without their lineage."""
        found = {}
        for table in self.tables():
            if "." in table:
                continue
            text = platform.sql(f"select coalesce(json_agg(row_to_json(t) order by _batch, _row, _out, ctid), '[]') "
                                f'from ws_default."{table}" t')
            rows, seen = {}, Counter()
            for row in json.loads(text):
                place = (row["_batch"], row["_row"])
                seen[place] += 1
                values = {name: value for name, value in row.items() if not name.startswith("_") and value is not None}
                values |= row["_extra"] or {}
                rows[values[key] if key else (*place, seen[place])] = values
            found[table] = rows
        return found

    def difference(self, before, after):
        changes = []
        for dataset in sorted({*before, *after}):
            old, new = before.get(dataset, {}), after.get(dataset, {})
            both = [place for place in old if place in new and old[place] != new[place]]
            columns = Counter(name for place in both for name in {*old[place], *new[place]}
                              if old[place].get(name) != new[place].get(name))
            changes.append({"dataset": dataset, "added": len(new.keys() - old.keys()),
                            "removed": len(old.keys() - new.keys()), "changed": len(both), "columns": dict(columns)})
        return [change for change in changes if change["added"] or change["removed"] or change["changed"]]

    def ended(self, run, seconds=120):
        deadline = time.monotonic() + seconds
        while (found := platform.must("GET", f"/v1/runs/{run}"))["state"] not in ENDED:
            self.assertLess(time.monotonic(), deadline, found)
            time.sleep(0.02)
        return found

    def start(self, dry, name=None, **request):
        return platform.must("POST", f"/v1/pipelines/{name or self.name}/replay{'?dry_run=true' if dry else ''}",
                             json.dumps({**ALWAYS, **request}))["run"]

    def heal(self, dry, dataset):
        runs = platform.must("POST", f"/v1/datasets/{dataset}/quarantine/replay?wait=60s"
                             + ("&dry_run=true" if dry else ""), "{}")
        self.assertNotIn("run", runs, "it has taken longer than a minute")
        return runs

    def kill(self, service):
        for pid, line in platform.processes().items():
            if line.split(" ")[0].endswith(f"millrace-{service}"):
                os.kill(pid, signal.SIGKILL)
        platform.wait_until_ready()

    def said(self, run):
        self.assertEqual((run["state"], run["dry_run"], run["changes"]["complete"]), ("succeeded", True, True), run)
        changes = run["changes"]
        for count in ("added", "removed", "changed"):
            self.assertEqual(changes[count], sum(dataset[count] for dataset in changes["datasets"]))
        return [change for change in changes["datasets"] if change["added"] or change["removed"] or change["changed"]]

    def check(self, key=None, heals=None, killed=()):
        """Runs dry, and then not."""
        before, rows = self.state(), self.rows(key)
        if heals:
            dry = self.heal(True, heals)
            ended = self.ended(dry["runs"][0])
        else:
            run = self.start(True)
            for service in killed:
                self.kill(service)
            ended = self.ended(run)
        self.assertEqual(before, self.state())
        said = self.said(ended)
        if heals:
            real = self.heal(False, heals)
            self.assertEqual([dry[name] for name in ("healed", "failing", "failed_batches")],
                             [real[name] for name in ("healed", "failing", "failed_batches")])
            actual = self.ended(real["runs"][0])
        else:
            actual = self.ended(self.start(False))
        self.assertEqual(actual["state"], "succeeded", actual)
        self.assertIsNone(actual["changes"])
        self.assertEqual(said, self.difference(rows, self.rows(key)))
        return said, ended, actual

    def records(self, count, seed):
        generator = random.Random(seed)
        return [{"id": generator.randrange(200), "seq": generator.randrange(100), "name": f"{seed} {place}",
                 "n": str(place) if generator.random() < 0.8 else f"{place}kg" if generator.random() < 0.7 else "none",
                 "op": "delete" if generator.random() < 0.2 else "set",
                 **({"more": place} if place % 3 == 0 else {})} for place in range(count)]

    FIRST = [{"cast": {"n": "int8"}}, {"filter": "id % 7 <> 0"}]
    MENDED = [{"derive": {"n": "replace(n::text, 'kg', '')"}}, {"cast": {"n": "int8"}}]
    SECOND = [*MENDED, {"filter": "id % 5 <> 0"},
              {"derive": {"name": "case when seq < 50 then upper(name || 'x') else name end", "fresh": "seq / 10",
                         "nth": "id", "present": "seq", "place": "id::int8 + seq"}}]

    def test_a_replay_of_rows_that_are_appended(self):
        self.pipeline(self.FIRST)
        for seed in range(12):
            self.send(self.records(150, seed))
        platform.wait_finished(self.name)
        route = {"route": [{"when": "id % 3 = 0", "dataset": f"{self.name}_thirds"}]}
        self.pipeline([*self.SECOND, route])
        said, ended, actual = self.check(killed=("transform", "store", "transform"))
        self.assertEqual([change["dataset"] for change in said], [self.name, f"{self.name}_thirds"])
        self.assertTrue(all(said[0][count] > 100 for count in ("added", "removed", "changed")), said)
        self.assertGreater(said[0]["columns"]["fresh"], said[0]["columns"]["name"])
        self.assertEqual(ended["records"], actual["records"])
        self.assertEqual(ended["progress"], {"done": 12, "total": 12})
        # It is what the current version makes now: nothing would change.
        self.assertEqual(self.check()[0], [])

    def test_a_replay_of_exploded_rows_and_of_what_a_key_refuses(self):
        self.dataset("", {"id": "int8", "tag": "text"}, primary_key=["id"])
        steps = [{"explode": {"column": "tags"}}, {"rename": {"tags": "tag"}}, {"cast": {"tag": "text"}},
                 {"derive": {"id": "id * 10 + length(tag)"}}]
        self.pipeline(steps)
        for batch in range(3):
            self.send([{"id": batch * 20 + n % 15, "tags": ["a" * (k + 1) for k in range(n % 4)]} for n in range(20)])
            platform.wait_finished(self.name)
        self.assertGreater(int(platform.sql(
            f"select sum(quarantined) from millrace.application a join millrace.dataset d on d.id = a.dataset_id "
            f"where d.name = '{self.name}'")), 0)
        # The keys change for some, and fewer rows share one.
        self.pipeline([*steps, {"filter": "id % 3 <> 0"}, {"derive": {"tag": "tag || '!'"}}])
        said, ended, actual = self.check()
        self.assertEqual(ended["records"], actual["records"])
        self.assertGreater(said[0]["changed"], 0)
        self.assertGreater(said[0]["removed"], 0)

    KEYED = {"id": "int8", "seq": "int8", "name": "text", "n": "int8", "op": "text"}

    def keyed(self, **target):
        self.dataset("", self.KEYED, primary_key=["id"],
                     **({"version_column": "seq"} if target["mode"] == "upsert" else {}))
        self.pipeline(self.FIRST, **target)
        for seed in range(8):
            self.send(self.records(100, seed))
        platform.wait_finished(self.name)

    def test_a_replay_of_upserted_rows(self):
        target = {"mode": "upsert", "delete_when": "op = 'delete'"}
        self.keyed(**target)
        self.pipeline([*self.SECOND, {"filter": "seq % 9 <> 4"}], **target)
        said, ended, _ = self.check(key="id", killed=("transform", "transform"))
        self.assertTrue(all(said[0][count] > 5 for count in ("added", "removed", "changed")), said)
        self.assertEqual(ended["progress"], {"done": 9, "total": 9})
        self.assertEqual(self.check(key="id")[0], [])

    def test_a_replay_of_ignored_rows(self):
        self.keyed(mode="ignore")
        self.pipeline([*self.SECOND, {"filter": "seq % 9 <> 4"}], mode="ignore")
        said, _, _ = self.check(key="id")
        self.assertTrue(all(said[0][count] > 0 for count in ("added", "removed", "changed")), said)

    def test_a_heal_of_rows_that_are_appended(self):
        self.pipeline(self.FIRST)
        for seed in range(4):
            self.send(self.records(100, seed))
        platform.wait_finished(self.name)
        self.pipeline(self.SECOND)
        said, _, _ = self.check(heals=self.name)
        self.assertEqual((said[0]["removed"], said[0]["changed"]), (0, 0))
        self.assertGreater(said[0]["added"], 20)

    def test_a_heal_of_upserted_rows(self):
        target = {"mode": "upsert", "delete_when": "op = 'delete'"}
        self.keyed(**target)
        self.pipeline(self.SECOND, **target)
        said, _, _ = self.check(key="id", heals=self.name)
        self.assertTrue(all(said[0][count] > 0 for count in ("added", "removed", "changed")), said)

    def test_a_heal_of_ignored_rows(self):
        self.keyed(mode="ignore")
        self.pipeline(self.SECOND, mode="ignore")
        said, _, _ = self.check(key="id", heals=self.name)
        self.assertGreater(said[0]["changed"], 0)
        self.assertEqual(said[0]["removed"], 0)

    def test_a_dry_run_is_in_nobodys_way_and_is_cancelled(self):
        self.keyed(mode="upsert")
        self.pipeline(self.SECOND, mode="upsert")
        before = self.state()
        platform.must("POST", "/v1/queues/transform/pause")
        try:
            dry = self.start(True, max_parallel=1)
            other = self.start(True)
            real = self.start(False)
            run = platform.must("GET", f"/v1/runs/{dry}")
            self.assertEqual((run["state"], run["progress"], run["changes"]["complete"]),
                             ("queued", {"done": 0, "total": 9}, False))
            self.assertEqual(platform.must("POST", f"/v1/runs/{dry}/cancel")["state"], "cancelled")
            self.assertEqual(platform.must("POST", f"/v1/runs/{real}/cancel")["state"], "cancelled")
        finally:
            platform.must("POST", "/v1/queues/transform/resume")
        self.assertTrue(self.said(self.ended(other)))
        cancelled = platform.must("GET", f"/v1/runs/{dry}")
        self.assertEqual((cancelled["state"], cancelled["changes"]["datasets"]), ("cancelled", []))
        after = self.state()
        for name in before:
            if name != "millrace.rebuild" and not name.endswith('.re"'):
                self.assertEqual(before[name], after[name], name)

    def test_what_a_replay_would_refuse_is_refused(self):
        self.keyed(mode="upsert")
        batches = platform.must("GET", f"/v1/batches?source={self.name}")["items"]
        status, answer = platform.call("POST", f"/v1/pipelines/{self.name}/replay?dry_run=true",
                                       json.dumps({"batches": [batches[0]["id"]]}))
        self.assertEqual((status, answer["code"]), (409, "conflict"), answer)
        status, answer = platform.call("POST", f"/v1/pipelines/{self.name}/replay?dry_run=perhaps", json.dumps(ALWAYS))
        self.assertEqual((status, answer["code"]), (400, "invalid_parameter"), answer)


if __name__ == "__main__":
    unittest.main(verbosity=2)
