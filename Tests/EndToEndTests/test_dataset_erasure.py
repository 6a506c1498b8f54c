"""Erasure on the whole platform: what is erased is nowhere any more, and no replay, rebuild or heal brings it back,
also where store is killed while it erases."""

import json
import os
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402
from table_locks import held, wait_blocked  # noqa: E402

NDJSON = "application/x-ndjson"
ALWAYS = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
ENDED = ("succeeded", "failed", "cancelled", "timed_out")
COLUMNS = [{"name": "id", "type": "int8"}, {"name": "customer", "type": "text"}, {"name": "amount", "type": "int8"}]


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


class Erasure(unittest.TestCase):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:30]
        # What nobody but this case's records holds.
        self.ada = f"ada {self.name}"

    def dataset(self, suffix="", **definition):
        platform.must("PUT", f"/v1/datasets/{self.name}{suffix}", json.dumps({"columns": COLUMNS, **definition}))

    def pipeline(self, suffix="", mode="append", steps=(), **target):
        platform.must("PUT", f"/v1/pipelines/{self.name}{suffix}", json.dumps(
            {"source": self.name, "steps": list(steps),
             "target": {"dataset": self.name + suffix, "mode": mode, **target}}))

    def send(self, body, content_type=NDJSON):
        if not isinstance(body, str):
            body = "".join(json.dumps(record) + "\n" for record in body)
        return platform.must("POST", f"/v1/ingest/{self.name}?wait=stored&timeout=60s", body, content_type=content_type)

    def sql(self, text):
        return platform.sql(text.replace("@", f"ws_default.{self.name}"))

    def ended(self, run, state="succeeded"):
        found = wait_for(f"run {run}", lambda: (found := platform.must("GET", f"/v1/runs/{run}"))["state"] in ENDED
                         and found)
        self.assertEqual(found["state"], state, found)
        return found

    def erase(self, where, suffix="", dry=False):
        run = platform.must("POST", f"/v1/datasets/{self.name}{suffix}/erase{'?dry_run=true' if dry else ''}",
                            json.dumps({"where": where}))["run"]
        self.ended(run)
        return self.report(run, suffix)

    def report(self, run, suffix=""):
        items = platform.must("GET", f"/v1/datasets/{self.name}{suffix}/erasures")["items"]
        found = next(item for item in items if item["run"] == run)
        return [found[name] for name in ("records", "quarantined", "unreadable", "rows")]

    def everywhere(self, text=None):
        """Where the text is still found: tables, and raw bytes as the API gives them."""
        text = text or self.ada
        found = []
        tables = platform.sql("""select format('%I.%I', schemaname, tablename) from pg_tables
            where schemaname in ('ws_default', 'millrace', 'landing', 'queue')""").split("\n")
        hidden = f"position(convert_to('{text}', 'UTF8') in raw) > 0"
        looks = [f"select '{table}' from {table} t where t::text like '%{text}%'" for table in tables]
        looks += [f"select '{table}.raw' from {table} where {hidden}" for table in tables
                  if table.startswith("landing.quarantine")]
        found += platform.sql(" union ".join(looks)).split()
        batches = platform.must("GET", f"/v1/batches?source={self.name}&limit=500")["items"]
        for batch in batches:
            connection = platform.connect()
            connection.request("GET", f"/v1/batches/{batch['id']}/raw",
                               headers={"Authorization": f"Bearer {platform.key}"})
            if text.encode() in connection.getresponse().read():
                found.append(f"batch {batch['id']}")
            connection.close()
        return found

    def records(self, count, **more):
        return [{"id": number, "customer": self.ada if number % 5 == 0 else f"c{number}", "amount": number, **more}
                for number in range(count)]

    def replay(self, suffix=""):
        return self.ended(platform.must("POST", f"/v1/pipelines/{self.name}{suffix}/replay", json.dumps(ALWAYS))["run"])

    def test_nothing_brings_it_back(self):
        self.dataset()
        self.pipeline()
        self.dataset("_other")
        self.pipeline("_other", steps=[{"rename": {"customer": "who"}}, {"filter": "id < 10"}])
        self.send(self.records(50))
        self.send([{"id": "bad", "customer": self.ada}, {"id": 7, "customer": self.ada},
                   {"id": "bad", "customer": "x"}])
        self.send("id,customer,amount\n100," + self.ada + ",1\n101,eve,2\n102," + self.ada + ",3\n", "text/csv")
        self.send(json.dumps([{"id": 200, "customer": self.ada}, {"id": 201, "customer": "eve"}]), "application/json")
        before = self.sql("select count(*) from @ where customer not like 'ada%'")
        rows = int(self.sql("select count(*) from @"))
        others = int(self.sql("select count(*) from @_other where who like 'ada%'"))
        quarantine = int(platform.sql("select count(*) from landing.quarantine"))
        expected = [15, 1, 0, {self.name: 14, f"{self.name}_other": others}]
        where = f"customer = '{self.ada}'"
        self.assertEqual(self.erase(where, dry=True), expected)
        self.assertEqual(int(self.sql("select count(*) from @")), rows, "a dry run changes nothing")
        self.assertNotEqual(self.everywhere(), [])
        self.assertEqual(self.erase(where), expected)
        self.assertEqual(self.everywhere(), [])
        self.assertEqual(int(platform.sql("select count(*) from landing.quarantine")), quarantine - 2)
        self.assertEqual(self.sql("select count(*) from @"), before)
        self.assertEqual(self.erase(where), [0, 0, 0, {}], "there is nothing left")
        lineage = self.sql("select _batch || ' ' || _row || ' ' || id from @ order by 1").split("\n")
        for suffix in ("", "_other"):
            self.replay(suffix)
        self.assertEqual(self.everywhere(), [])
        self.assertEqual(self.sql("select _batch || ' ' || _row || ' ' || id from @ order by 1").split("\n"), lineage,
                         "the others are where they were")
        counts = platform.sql(f"""select sum(a.received), sum(a.stored + a.filtered + a.quarantined + a.duplicates)
            from millrace.application a join millrace.pipeline p on p.id = a.pipeline_id
            where p.name = '{self.name}'""").split("|")
        self.assertEqual(counts, ["58", "58"])
        self.pipeline(steps=[{"cast": {"id": "int8"}}])
        healed = platform.must("POST", f"/v1/datasets/{self.name}/quarantine/replay?wait=60s")
        self.assertEqual((healed["healed"], healed["failing"]), (0, 1))
        audit = platform.must("GET", f"/v1/datasets/{self.name}/erasures")["items"]
        self.assertEqual([item["dry_run"] for item in audit], [False, False, True])
        self.assertNotIn(self.ada, json.dumps(audit))

    def test_what_lost_by_key_and_what_was_deleted(self):
        self.dataset(primary_key=["id"], version_column="amount")
        self.pipeline(mode="upsert", delete_when="amount >= 1000")
        self.send([{"id": number, "customer": self.ada, "amount": 1} for number in range(20)])
        self.send([{"id": number, "customer": "new", "amount": 2} for number in range(10)])
        self.send([{"id": 15, "customer": self.ada, "amount": 1000}])
        self.assertEqual(self.erase(f"customer = '{self.ada}'"), [21, 0, 0, {self.name: 9}])
        self.assertEqual(self.everywhere(), [])
        self.assertEqual(self.sql("select count(*), min(customer) from @"), "10|new")
        self.replay()
        self.assertEqual(self.everywhere(), [])
        self.assertEqual(self.sql("select count(*), min(customer) from @"), "10|new")

    def test_rows_tell_records_whose_fields_have_other_names(self):
        self.dataset()
        self.pipeline(steps=[{"parse": {"format": "regex", "from": "line",
                                        "pattern": r"(?<id>\d+) (?<customer>[^,]*), (?<amount>\d+)"}}])
        self.send("".join(f"{number} {self.ada if number % 2 else 'eve'}, 5\n\n" for number in range(10)), "text/plain")
        self.assertEqual(self.erase(f"customer = '{self.ada}'"), [5, 0, 0, {self.name: 5}])
        self.assertEqual(self.everywhere(), [])
        self.replay()
        self.assertEqual(self.sql("select count(*) from @"), "5")

    def test_rows_whose_raw_bytes_have_expired(self):
        self.dataset(partition="none")
        self.pipeline()
        self.send(self.records(10))
        platform.sql(f"""delete from landing.payload p using millrace.batch b
            join millrace.source s on s.id = b.source_id where b.id = p.batch_id and s.name = '{self.name}'""")
        self.assertEqual(self.erase(f"customer = '{self.ada}'"), [0, 0, 0, {self.name: 2}])
        self.assertEqual(self.everywhere(), [])

    def test_store_is_killed_while_it_erases(self):
        self.dataset()
        self.pipeline()
        for first in range(0, 60):
            self.send(self.records(20, first=first))
        # The payloads are rewritten slowly, so that kills land within.
        platform.sql("""create function public.slow() returns trigger language plpgsql as
            $$ begin perform pg_sleep(0.03); return new; end $$;
            create trigger slow before update on landing.payload for each row execute function public.slow()""")
        try:
            run = platform.must("POST", f"/v1/datasets/{self.name}/erase",
                                json.dumps({"where": f"customer = '{self.ada}'"}))["run"]
            same = platform.must("POST", f"/v1/datasets/{self.name}/erase",
                                 json.dumps({"where": f"customer = '{self.ada}'"}))["run"]
            self.assertEqual(same, run, "the same is answered, not made twice")
            hits = 0
            inside = ("select count(*) from pg_stat_activity where state = 'active' "
                      "and query ilike 'update landing.payload%'")
            for _ in range(3):
                wait_for("it is within", lambda: platform.sql(inside) != "0"
                         or platform.must("GET", f"/v1/runs/{run}")["state"] in ENDED)
                hits += platform.sql(inside) != "0"
                for pid, line in platform.processes().items():
                    if line.split(" ")[0].endswith("millrace-store"):
                        os.kill(pid, signal.SIGKILL)
            self.assertGreater(hits, 0)
            self.ended(run)
        finally:
            platform.sql("drop trigger slow on landing.payload; drop function public.slow()")
        self.assertEqual(self.report(run), [240, 0, 0, {self.name: 240}], "each once, however often it began")
        self.assertEqual(self.everywhere(), [])
        self.replay()
        self.assertEqual(self.everywhere(), [])
        self.assertEqual(self.sql("select count(*) from @"), "960")

    def test_it_waits_for_who_has_the_bytes_in_hands(self):
        self.dataset()
        self.pipeline()
        self.send(self.records(10))
        with held(platform, f"ws_default.{self.name}"):
            # Transformed, and its rows wait for the table.
            platform.must("POST", f"/v1/ingest/{self.name}", json.dumps({"id": 1000, "customer": self.ada}) + "\n",
                          content_type=NDJSON)
            wait_for("a chunk", lambda: platform.sql(
                "select count(*) from millrace.application where state = 'transformed'") != "0")
            run = platform.must("POST", f"/v1/datasets/{self.name}/erase",
                                json.dumps({"where": f"customer = '{self.ada}'"}))["run"]
        self.ended(run)
        self.assertEqual(self.report(run), [3, 0, 0, {self.name: 3}])
        self.assertEqual(self.everywhere(), [])

    def test_a_cancelled_run_forgets_its_condition(self):
        self.dataset()
        self.pipeline()
        self.send(self.records(10))
        platform.must("POST", "/v1/queues/store/pause", "")
        try:
            run = platform.must("POST", f"/v1/datasets/{self.name}/erase",
                                json.dumps({"where": f"customer = '{self.ada}'"}))["run"]
            kept = f"select condition is not null from millrace.erasure where run = {run}"
            self.assertEqual(platform.sql(kept), "t")
            platform.must("POST", f"/v1/runs/{run}/cancel", "")
            self.assertEqual(platform.sql(kept), "f")
        finally:
            platform.must("POST", "/v1/queues/store/resume", "")
        self.ended(run, "cancelled")
        self.assertEqual(self.report(run), [0, 0, 0, {}])

    def test_records_under_an_earlier_name(self):
        self.dataset()
        self.pipeline(steps=[{"rename": {"mail": "who"}}, {"rename": {"who": "customer"}}, {"filter": "id < 10"}])
        self.send([{"id": number, "mail": self.ada if number % 5 == 0 else "eve"} for number in range(20)])
        self.pipeline(steps=[{"filter": "id < 10"}])
        self.send([{"id": 30, "customer": self.ada}, {"id": "bad", "mail": self.ada}])
        self.assertEqual(self.erase(f"customer = '{self.ada}'"), [6, 1, 0, {self.name: 2}])
        self.assertEqual(self.everywhere(), [])

    def test_what_is_not_reached_is_named(self):
        def gaps(where, suffix=""):
            run = platform.must("POST", f"/v1/datasets/{self.name}{suffix}/erase", json.dumps({"where": where}))
            self.ended(run["run"])
            items = platform.must("GET", f"/v1/datasets/{self.name}{suffix}/erasures")["items"]
            self.assertEqual(items[0]["not_reached"], run["not_reached"])
            return [(gap["kind"], gap["name"]) for gap in run["not_reached"]]

        self.dataset()
        self.pipeline()
        self.send(self.records(10))
        self.assertEqual(gaps("id = 1"), [])
        # What a table's rows were made into, twice over, and where they came from.
        for source, made in (("", "_copy"), ("_copy", "_twice")):
            platform.must("PUT", f"/v1/pipelines/{self.name}{made}", json.dumps(
                {"source": {"dataset": self.name + source}, "steps": [],
                 "target": {"dataset": self.name + made, "mode": "append"}}))
            self.ended(platform.must("POST", f"/v1/pipelines/{self.name}{made}/run", "")["run"])
        derived = [("derived_dataset", self.name + "_copy"), ("derived_dataset", self.name + "_twice")]
        self.assertEqual(gaps("id = 1"), derived)
        self.assertEqual(gaps("id = 1", "_copy"), [("source_dataset", self.name), derived[1]])
        # A column that a step makes.
        self.pipeline(steps=[{"derive": {"customer": "upper(customer)"}}])
        self.assertEqual(gaps("customer = 'X'"), [("made_column", "customer")] + derived)
        self.assertEqual(gaps("id = 1"), derived)
        # Records that lie in quarantine without their header row.
        self.pipeline()
        self.send("id,customer,amount\nbad,x,1\n", "text/csv")
        platform.sql(f"""delete from landing.payload p using millrace.batch b
            join millrace.source s on s.id = b.source_id where b.id = p.batch_id and s.name = '{self.name}'""")
        self.assertEqual(gaps("id = 1"), derived + [("quarantined_csv", self.name)])

    def test_rollups_that_keep_what_retention_has_dropped(self):
        self.dataset()
        platform.must("PUT", f"/v1/datasets/{self.name}", json.dumps(
            {"columns": COLUMNS + [{"name": "at", "type": "timestamptz"}], "time_column": "at"}))
        self.pipeline()
        self.send(self.records(3, at="2026-01-01T00:00:00Z"))
        platform.must("PUT", f"/v1/rollups/{self.name}", json.dumps(
            {"dataset": self.name, "time": {"column": "at", "grain": "day"}, "dimensions": ["customer"],
             "measures": {"hits": "count()"}}))
        path = f"/v1/datasets/{self.name}/erase"
        made = platform.must("POST", path, json.dumps({"where": "id = 1"}))
        self.assertEqual(made["not_reached"], [])
        self.ended(made["run"])
        platform.sql(f"update millrace.dataset set retained_from = '2026-01-02Z' where name = '{self.name}'")
        made = platform.must("POST", path, json.dumps({"where": "id = 2"}))
        self.assertEqual([(gap["kind"], gap["name"]) for gap in made["not_reached"]], [("frozen_rollup", self.name)])
        self.assertIn("before 2026-01-02T00:00:00Z", made["not_reached"][0]["detail"])
        self.ended(made["run"])

    def copies(self, runs=1, **target):
        """A table with 40 rows, 8 of them ada's, copied into `_made`, where the customer is `who`; of each run half of
        the rows are quarantined, 4 of ada's among them."""
        self.dataset()
        self.pipeline()
        platform.must("PUT", f"/v1/datasets/{self.name}_made", json.dumps({"columns": [
            {"name": "id", "type": "int8"}, {"name": "who", "type": "text"}, {"name": "amount", "type": "int8"}]}))
        self.send(self.records(40))
        self.copying({"expect": {"even": "amount % 2 = 0"}}, **target)
        for _ in range(runs):
            self.ended(platform.must("POST", f"/v1/pipelines/{self.name}_made/run", "")["run"])
        self.assertEqual(self.sql("select count(*) from @_made"), str(20 if target else 20 * runs))

    def copying(self, *steps, **target):
        platform.must("PUT", f"/v1/pipelines/{self.name}_made", json.dumps(
            {"source": {"dataset": self.name}, "steps": [{"rename": {"customer": "who"}}, *steps],
             "target": {"dataset": f"{self.name}_made", "mode": "append", **target}}))

    def quarantined(self):
        return int(platform.sql(f"""select count(*) from landing.quarantine q join millrace.dataset d
            on d.id = q.dataset_id where d.name = '{self.name}_made'"""))

    def heal(self):
        """What a heal of `_made` brings once nothing is turned down any more."""
        self.copying()
        answer = platform.must("POST", f"/v1/datasets/{self.name}_made/quarantine/replay?wait=60s")
        return answer["healed"], answer["failing"], answer["failed_batches"]

    def test_a_heal_brings_nothing_into_the_target(self):
        self.copies()
        where = f"who = '{self.ada}'"
        self.assertEqual(self.erase(where, "_made", dry=True), [0, 4, 0, {f"{self.name}_made": 4}])
        self.assertEqual(self.quarantined(), 20)
        self.assertEqual(self.erase(where, "_made"), [0, 4, 0, {f"{self.name}_made": 4}])
        self.assertEqual(self.erase(where, "_made"), [0, 0, 0, {}], "there is nothing left")
        self.assertEqual(self.quarantined(), 16)
        self.assertEqual(self.heal(), (16, 0, 0))
        self.assertEqual(self.sql(f"select count(*), count(*) filter (where {where}) from @_made"), "32|0")
        # The table that they came from has them still, and says so.
        self.assertEqual(self.sql(f"select count(*) from @ where customer = '{self.ada}'"), "8")

    def test_a_heal_brings_nothing_out_of_the_source(self):
        self.copies()
        where = f"customer = '{self.ada}'"
        made = platform.must("POST", f"/v1/datasets/{self.name}/erase", json.dumps({"where": where}))
        self.assertEqual([(gap["kind"], gap["name"]) for gap in made["not_reached"]],
                         [("derived_dataset", f"{self.name}_made")])
        self.ended(made["run"])
        self.assertEqual(self.report(made["run"]), [8, 4, 0, {self.name: 8}])
        self.assertEqual(self.heal(), (16, 0, 0))
        # Those that were made before are erased there.
        self.assertEqual(self.erase(f"who = '{self.ada}'", "_made"), [0, 0, 0, {f"{self.name}_made": 4}])
        self.assertEqual(self.everywhere(), [])
        self.ended(platform.must("POST", f"/v1/pipelines/{self.name}_made/run", "")["run"])
        self.assertEqual(self.everywhere(), [])
        self.assertEqual(self.sql("select count(*) from @_made"), "64")

    def test_an_erasure_waits_for_a_heal(self):
        self.copies()
        self.copying()
        made = f"/v1/datasets/{self.name}_made"
        with held(platform, f"ws_default.{self.name}_made"):
            heal = platform.must("POST", f"{made}/quarantine/replay", "{}")["run"]
            wait_blocked(platform, f"ws_default.{self.name}_made")
            run = platform.must("POST", f"{made}/erase", json.dumps({"where": f"who = '{self.ada}'"}))["run"]
            wait_for("the erasure has begun", lambda: platform.sql(
                f"select count(*) from queue.job j join queue.deferred d on d.job = j.id where kind = 'erase' "
                f"and arguments ->> 'run' = '{run}'") != "0")
        self.ended(heal)
        self.ended(run)
        self.assertEqual(self.report(run, "_made"), [0, 0, 0, {f"{self.name}_made": 8}])
        self.assertEqual(self.sql("select count(*), count(distinct id), count(*) filter (where who like 'ada%') "
                                  "from @_made"), "32|32|0")

    def test_killed_while_it_erases_quarantine(self):
        self.copies(runs=12)
        platform.sql("""create function public.slow() returns trigger language plpgsql as
            $$ begin perform pg_sleep(0.05); return old; end $$;
            create trigger slow before delete on landing.quarantine for each row execute function public.slow()""")
        made = f"/v1/datasets/{self.name}_made"
        try:
            run = platform.must("POST", f"{made}/erase", json.dumps({"where": f"who = '{self.ada}'"}))["run"]
            hits = 0
            inside = "select count(*) from pg_stat_activity where state = 'active' and wait_event = 'PgSleep'"
            for _ in range(3):
                wait_for("it is within", lambda: platform.sql(inside) != "0"
                         or platform.must("GET", f"/v1/runs/{run}")["state"] in ENDED)
                hits += platform.sql(inside) != "0"
                for pid, line in platform.processes().items():
                    if line.split(" ")[0].endswith("millrace-store"):
                        os.kill(pid, signal.SIGKILL)
            self.assertGreater(hits, 0)
            self.ended(run)
        finally:
            platform.sql("drop trigger slow on landing.quarantine; drop function public.slow()")
        self.assertEqual(self.report(run, "_made"), [0, 48, 0, {f"{self.name}_made": 48}], "each once")
        self.assertEqual(self.heal(), (12 * 16, 0, 0))
        self.assertEqual(self.sql("select count(*), count(*) filter (where who like 'ada%') from @_made"),
                         f"{12 * 32}|0")

    def test_a_run_that_is_reading_is_named(self):
        self.copies()
        platform.must("POST", "/v1/queues/transform/pause", "")
        path = f"/v1/datasets/{self.name}%s/erase?dry_run=true"
        try:
            run = platform.must("POST", f"/v1/pipelines/{self.name}_made/run", "")["run"]
            for suffix, where in (("", "customer = 'x'"), ("_made", "who = 'x'")):
                answer = platform.must("POST", path % suffix, json.dumps({"where": where}))
                self.assertIn(("unfinished_run", run), [(gap["kind"], gap["name"]) for gap in answer["not_reached"]])
                self.ended(answer["run"])
        finally:
            platform.must("POST", "/v1/queues/transform/resume", "")
        self.ended(run)
        answer = platform.must("POST", path % "_made", json.dumps({"where": "who = 'x'"}))
        self.assertEqual([gap["kind"] for gap in answer["not_reached"]], ["source_dataset"])

    def test_a_run_that_waits_to_be_loaded_is_waited_for(self):
        self.copies(mode="replace")
        made = f"/v1/datasets/{self.name}_made"
        with held(platform, f"ws_default.{self.name}_made", "access share"):
            run = platform.must("POST", f"/v1/pipelines/{self.name}_made/run", "")["run"]
            wait_blocked(platform, f"ws_default.{self.name}_made")
            answer = platform.must("POST", f"{made}/erase", json.dumps({"where": f"who = '{self.ada}'"}))
            self.assertEqual([gap["kind"] for gap in answer["not_reached"]], ["source_dataset"])
        self.ended(run)
        self.ended(answer["run"])
        self.assertEqual(self.sql("select count(*), count(*) filter (where who like 'ada%') from @_made"), "16|0")
        self.assertEqual(self.quarantined(), 16)
        self.assertEqual(self.heal(), (16, 0, 0))
        self.assertEqual(self.sql("select count(*), count(*) filter (where who like 'ada%') from @_made"), "32|0")

    def test_refusals(self):
        self.dataset()
        path = f"/v1/datasets/{self.name}/erase"
        for body, code in (({"where": "customer ="}, "invalid_expression"),
                           ({"where": "nobody = 1"}, "invalid_expression"),
                           ({}, "invalid_request"), ({"where": "true", "more": 1}, "unknown_field")):
            self.assertEqual(platform.call("POST", path, json.dumps(body))[1]["code"], code)
        self.assertEqual(platform.call("POST", path, json.dumps({"where": "customer = 'x'"})),
                         (200, {"run": None, "not_reached": []}))


if __name__ == "__main__":
    unittest.main()
