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

    def ended(self, run, seconds=300):
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


class PastedRecords(unittest.TestCase):
    """A dry run of a pipeline says of records what storing them then does, in the datasets as they are declared."""

    setUp, dataset, send, tables, state = (
        DryRuns.setUp, DryRuns.dataset, DryRuns.send, DryRuns.tables, DryRuns.state)

    # Good ones; another type; none where one must be; a field that nobody declared; a second type of such a field; a
    # name that is none; no record at all; one that a step turns down, one that it filters.
    RECORDS = ['{"id": 1, "n": 5, "at": "2026-03-01T10:00:00+02:00"}', '{"id": 2, "n": "many"}', '{"n": 4}',
               '{"id": 3, "colour": "red"}', '{"id": 4, "colour": 7, "size": 1.5}', '{"id": 5, "_odd": true}', "[1]",
               '{"id": 6, "ratio": "1/0"}', '{"id": 7, "n": -1}', '{"id": 8, "n": 9007199254740993}', "{bad"]
    STEPS = [{"filter": "n is null or n::text <> '-1'"},
             {"filter": "1 / (case when ratio = '1/0' then 0 else 1 end) = 1"}, {"drop": ["ratio"]}]

    def dry(self, name=None, **request):
        return platform.must("POST", f"/v1/pipelines/{name or self.name}/dry-run", json.dumps(request))

    def pipeline(self, *steps, **target):
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(
            {"source": self.name, "steps": steps, "target": {"dataset": self.name, **target}}))

    def stored(self, suffix=""):
        rows = platform.must("GET", f"/v1/datasets/{self.name}{suffix}/rows?order=_row,_out&limit=1000")["items"]
        return [self.without_nulls(row) for row in rows]

    def without_nulls(self, row):
        return {key: value for key, value in row.items()
                if value is not None and key not in ("_batch", "_row", "_out")}

    def quarantined(self, suffix=""):
        items = platform.must("GET", f"/v1/datasets/{self.name}{suffix}/quarantine?limit=100")["items"]
        return sorted((item["row"], item["stage"], item["raw"],
                       [(one["code"], one["column"], one["step"], one["message"]) for one in item["errors"]])
                      for item in items)

    def check(self, raw, content_type, suffixes=("",)):
        """Runs dry, then stores the same; gives what the dry run said."""
        before = self.state()
        said = self.dry(raw=raw, format=content_type)
        self.assertEqual(before, self.state())
        answer = platform.must("POST", f"/v1/ingest/{self.name}?wait=stored&timeout=60s", raw,
                               content_type=content_type)
        self.assertEqual([len(said["filtered"]), len(said["quarantined"]), len(said["duplicates"])],
                         [answer[name] for name in ("filtered", "quarantined", "duplicates")])
        for suffix, output in zip(suffixes, [said, *said["routed"]], strict=True):
            self.assertEqual(output["dataset"], self.name + suffix)
            self.assertEqual([self.without_nulls(row) for row in output["rows"]], self.stored(suffix))
            kept = {column["name"]: column["type"]
                    for column in platform.must("GET", f"/v1/datasets/{self.name}{suffix}")["columns"]}
            for column in output["new_columns"]:
                self.assertEqual(kept[column["name"]], column["type"])
        expected = sorted((item["row"], item["stage"], item["raw"],
                           [(one["code"], one["column"], one["step"], one["message"]) for one in item["errors"]])
                          for item in said["quarantined"])
        self.assertEqual(expected, sorted(row for suffix in suffixes for row in self.quarantined(suffix)))
        return said

    def test_each_setting_of_a_dataset(self):
        for new in ("add", "extra", "quarantine"):
            for mismatch in ("quarantine", "null", "variant"):
                with self.subTest(new=new, mismatch=mismatch):
                    self.name = f"set_{new}_{mismatch}"
                    platform.must("PUT", f"/v1/datasets/{self.name}", json.dumps({
                        "columns": [{"name": "id", "type": "int8", "nullable": False}, {"name": "n", "type": "int8"},
                                    {"name": "at", "type": "timestamptz"}],
                        "on_new_column": new, "on_type_mismatch": mismatch}))
                    self.pipeline(*self.STEPS)
                    said = self.check("\n".join(self.RECORDS), NDJSON)
                    codes = {item["row"]: item["errors"][0]["code"] for item in said["quarantined"]}
                    self.assertEqual(codes[2], "not_null")
                    self.assertEqual(codes.get(1), "invalid_cast" if mismatch == "quarantine" else None)
                    self.assertEqual(codes.get(3), "unknown_column" if new == "quarantine" else None)
                    self.assertEqual([column["name"] for column in said["new_columns"] if "__" not in column["name"]],
                                     ["colour", "size"] if new == "add" else [])
                    self.assertEqual(any("_extra" in row and row["_extra"] for row in said["rows"]),
                                     new != "quarantine")

    def test_rows_of_a_dataset_that_is_read(self):
        """They have its columns' types: what a run makes of them, and what an expression may be, is the same."""
        columns = {"id": "int8", "n": "int8", "f": "float8", "price": "numeric", "at": "timestamptz", "doc": "jsonb"}
        self.dataset("", columns)
        rows = [{"id": id, "n": id * 7 - 9, "f": id / 4, "price": 10 + id, "at": f"2026-03-0{id}T10:00:00+02:00",
                 "doc": {"k": [id]}} for id in range(1, 8)] + [{"id": 8}]
        self.send(rows)
        platform.wait_finished(self.name)
        definition = {
            "source": {"dataset": self.name},
            "steps": [{"derive": {"half": "n / 2", "quarter": "f / 4", "share": "price / 3", "day": "at::date + 1",
                                  "first": "doc->'k'->>0", "even": "n % 2 = 0"}},
                      {"filter": "id <> 3"}, {"expect": {"late": "id < 7"}}],
            "target": {"dataset": f"{self.name}_made"}}
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(definition))
        given = platform.must("GET", f"/v1/datasets/{self.name}/rows?order=id")["items"]
        said = self.dry(records=given)
        self.assertEqual(([record["id"] for record in said["filtered"]],
                          [(item["raw"]["id"], item["errors"][0]["step"]) for item in said["quarantined"]]),
                         ([3], [(7, "steps[2].expect"), (8, "steps[2].expect")]))
        run = platform.must("POST", f"/v1/pipelines/{self.name}/run", "{}")["run"]
        while platform.must("GET", f"/v1/runs/{run}")["state"] in ("queued", "running"):
            time.sleep(0.02)
        stored = platform.must("GET", f"/v1/datasets/{self.name}_made/rows?order=id")["items"]
        self.assertEqual([self.without_nulls(row) for row in said["rows"]],
                         [self.without_nulls(row) for row in stored])
        self.assertEqual(said["rows"][0]["half"], -1)
        # What does not fit is at fault; what the dataset has no column for is not there.
        said = self.dry(records=[{"id": 1, "n": "many"}, {"id": 2, "colour": "red"}])
        item, = said["quarantined"]
        self.assertEqual([(one["step"], one["column"], one["code"]) for one in item["errors"]],
                         [("source.dataset", "n", "invalid_cast")])
        self.assertEqual([row["id"] for row in said["rows"]], [2])
        self.assertNotIn("colour", str(said["rows"]))
        wrong = {**definition, "steps": [{"filter": "colour = 'red'"}]}
        status, answer = platform.call("POST", f"/v1/pipelines/{self.name}/dry-run",
                                       json.dumps({"records": [], "definition": wrong}))
        self.assertEqual((status, answer["errors"][0]["path"]), (422, "steps[0].filter"), answer)
        wrong["source"] = {"dataset": f"{self.name}_none"}
        status, answer = platform.call("POST", f"/v1/pipelines/{self.name}/dry-run",
                                       json.dumps({"records": [], "definition": wrong}))
        self.assertEqual((status, answer["errors"][0]["path"]), (422, "source.dataset"), answer)

    def test_a_dataset_that_is_not_there_yet(self):
        self.pipeline(*self.STEPS)
        self.assertEqual(self.tables(), [])
        said = self.check("\n".join(self.RECORDS), NDJSON)
        self.assertIn({"name": "id", "type": "int8"}, said["new_columns"])

    def test_bodies_are_cut_as_ingest_cuts_them(self):
        lines = 'id,n,note\r\n1,5,"two\nlines"\r\n2,x,\r\n\r\n3,7,"",more\r\n'
        for form, content_type, raw in (
            ("csv", "text/csv", lines), ("text", "text/plain; charset=utf-8", "42\n\n{bad\n"),
            ("json", "application/json", '[{"id": 1, "n": 2}, 42, {"id": "x"}]'),
            ("ndjson", "application/x-ndjson", '{"id":1}\n{bad\n'),
        ):
            with self.subTest(form=form):
                self.name = f"cut_{form}"
                self.dataset("", {"line": "text"} if form == "text" else {"id": "int8", "n": "int8"})
                self.pipeline()
                self.check(raw, content_type)
        # A line of text is no number because it looks like one, and a bad line is one bad line.
        self.assertEqual(self.dry("cut_text", raw="42\n", format="text/plain")["rows"], [{"line": "42"}])
        said = self.dry("cut_ndjson", raw='{"id":1}\n{bad\n', format=NDJSON)
        self.assertEqual([row["id"] for row in said["rows"]], [1])
        self.assertEqual([(item["raw"], item["stage"]) for item in said["quarantined"]], [("{bad", "decode")])

    def test_rows_that_delete_and_rows_that_go_elsewhere(self):
        columns = {"id": "int8", "op": "text", "n": "int8"}
        self.dataset("", columns, primary_key=["id"])
        self.dataset("_big", columns, primary_key=["id"])
        branch = {"when": "n::int8 > 10", "dataset": f"{self.name}_big", "mode": "upsert", "delete_when": "op = 'del'"}
        self.pipeline({"route": [branch]}, mode="upsert", delete_when="op = 'del'")
        records = [{"id": 1, "op": "set", "n": 1}, {"id": 2, "op": "del", "n": 1}, {"id": 3, "op": "set", "n": 11},
                   {"id": 4, "op": "del", "n": 12}, {"id": "x", "op": "del", "n": 13}]
        said = self.check("\n".join(map(json.dumps, records)), NDJSON, ("", "_big"))
        big, = said["routed"]
        self.assertEqual([row["id"] for row in said["deletes"] + big["deletes"]], [2, 4])
        self.assertEqual((said["mode"], said["primary_key"]), ("upsert", ["id"]))
        self.assertEqual((big["mode"], big["output"]), ("upsert", 1))
        self.assertEqual([item["errors"][0]["code"] for item in said["quarantined"]], ["invalid_cast"])

    def test_as_many_columns_as_inference_adds(self):
        self.pipeline()
        said = self.check(json.dumps({f"c{n}": n for n in range(205)}), NDJSON)
        self.assertEqual(len(said["new_columns"]), 200)
        self.assertEqual(len(said["rows"][0]["_extra"]), 5)

    def test_what_a_dry_run_refuses(self):
        self.pipeline()
        path = f"/v1/pipelines/{self.name}/dry-run"
        for body, code, where in (
            ({}, "invalid_request", "records"), ({"records": [], "raw": "", "format": NDJSON}, "invalid_request", None),
            ({"raw": "{}"}, "invalid_request", "format"), ({"raw": "", "format": "image/png"}, "invalid_request", None),
            ({"records": [], "format": NDJSON}, "invalid_request", "format"),
            ({"raw": '[{"a": 1} {"a": 2}]', "format": "application/json"}, "malformed_body", None),
            ({"raw": 'a,b\n1,"2\n', "format": "text/csv"}, "malformed_body", None),
            ({"raw": "{}\n" * 1001, "format": NDJSON}, "invalid_request", None),
        ):
            status, answer = platform.call("POST", path, json.dumps(body))
            self.assertEqual((status // 100, answer["code"]), (4, code), answer)
            if where:
                self.assertEqual(answer["errors"][0]["path"], where)
        self.assertEqual(platform.call("POST", f"{path}?numbers=words", '{"records": []}')[0], 400)
        dry = platform.must("POST", f"{path}?numbers=string", '{"records": [{"n": 9007199254740993}]}')
        self.assertEqual(dry["rows"], [{"n": "9007199254740993"}])


if __name__ == "__main__":
    unittest.main(verbosity=2)
