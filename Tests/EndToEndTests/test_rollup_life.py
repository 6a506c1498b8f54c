"""What becomes of rollups when their datasets are replaced, rebuilt, erased from, shortened and deleted."""

import json
import os
import sys
import threading
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402
from rollup_case import COLUMNS, MEASURES, SEED, RollupCase  # noqa: E402

NOW = datetime.now(timezone.utc)


def setUpModule():
    global platform
    print(f"MILLRACE_TEST_SEED={SEED}", flush=True)
    RollupLife.platform = platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


class RollupLife(RollupCase):
    def at(self, days, **more):
        return {**self.record(), "ts": (NOW - timedelta(days=days)).isoformat(), "n": 1, **more}

    def test_retention_leaves_what_was_counted(self):
        parted = {"time_column": "ts", "partition": "day"}
        self.dataset(definition=parted)
        self.send([self.at(days) for days in range(20) for _ in range(10)])
        self.rollup("hour")
        self.rollup("day", "_days", [])
        before = self.items("_days")
        self.check("", "hour")
        self.dataset(definition={**parted, "retention": "7d"})
        # As maintenance does; the platform's own comes by every five minutes.
        first = "date_trunc('day', now() - interval '7 days', 'UTC')"
        platform.sql(f"update millrace.dataset set retained_from = {first} where name = '{self.name}'")
        gone = platform.sql(f"select name from millrace.time_partitions('ws_default', '{self.name}') "
                            f"where day < ({first} at time zone 'UTC')::date - date '2000-01-01'").split()
        self.assertEqual(len(gone), 12)
        for partition in gone:
            platform.sql(f'drop table ws_default."{partition}"')
        self.assertEqual(self.items("_days"), before)
        # Late rows of the time that is kept are counted, and what is erased of it is not any more.
        self.send([self.at(days, who="late") for days in (3, 5, 6)], wait=True)
        self.erase("who = 'a'")
        self.check("", "hour", f"&from={self.moment(first)}")
        old = [row for row in self.items("_days") if row["time"] < self.moment(first)]
        self.assertEqual(old, [row for row in before if row["time"] < self.moment(first)])
        self.assertEqual(len(old), 12)
        # A replay fills nothing that has left, and takes nothing of it.
        self.pipeline(steps=[{"cast": {"n": "int8"}}, {"filter": "id % 2 = 0"}])
        self.replay()
        self.check("", "hour", f"&from={self.moment(first)}")
        self.assertEqual([row for row in self.items("_days") if row["time"] < self.moment(first)], old)
        # A new definition knows but what is there.
        self.rollup("day", "_days", ["who"])
        self.check("_days", "day")

    def moment(self, sql):
        return platform.sql(f"select to_char({sql} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")

    def test_names_that_the_platform_has_for_its_own(self):
        names = ["id", "d1", "d2", "s1", "bucket", "grp", "h", "k", "a", "at", 'q "x"']
        platform.must("PUT", f"/v1/datasets/{self.name}", json.dumps({"columns": [
            *({"name": name, "type": "text"} for name in names), {"name": "n", "type": "int8"},
            {"name": "t", "type": "timestamptz"}]}))
        platform.must("PUT", f"/v1/rollups/{self.name}", json.dumps({
            "dataset": self.name, "time": {"column": "t", "grain": "minute"}, "dimensions": names,
            "measures": {"n": "count()", "f": "sum(n)", "r": "max(bucket)", "p": "quantile(n, 0.5)"}}))
        self.send([{**{name: f"{name}{place % 2}" for name in names}, "n": place, "t": "2026-01-01T00:00:00Z"}
                   for place in range(10)], wait=True)
        items = self.items(query="&where=id%20=%20'id1'%20and%20%22q%20%22%22x%22%22%22%20is%20not%20null"
                                 "&from=2026-01-01T00:00:00Z&to=2026-01-01T00:02:00Z&fill=linear&trend=true")
        self.assertEqual([(row["n"], row["f"], row["r"], row["k"], row['q "x"']) for row in items],
                         [(5, 25, "bucket1", "k1", 'q "x"1'), (None, None, None, "k1", 'q "x"1')])
        items = self.items(query="&grain=day&group_by=grp,at&order=f.desc")
        self.assertEqual([(row["grp"], row["at"], row["n"], row["f"]) for row in items],
                         [("grp1", "at1", 5, 25), ("grp0", "at0", 5, 20)])

    def test_late_data(self):
        self.dataset()
        self.rollup()
        for _ in range(3):
            self.ingest()
            self.check()
        for moment in ("1970-01-01T00:00:00Z", "0001-01-01T00:00:30Z", "9999-12-31T23:59:59.999999Z"):
            self.send([{**self.record(), "ts": moment, "n": 1}], wait=True)
        self.send([{**self.record(), "ts": None, "n": 1}], wait=True)
        self.check()
        self.assertEqual(len(self.items(query="&from=9999-12-31T00:00:00Z")), 1)

    def test_every_grain(self):
        grains = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
        self.dataset("upsert")
        for grain in grains:
            self.rollup(grain, f"_{grain}")
        for _ in range(3):
            self.send([{**self.record(), "ts": (NOW - timedelta(hours=self.random.randrange(20_000))).isoformat()}
                       for _ in range(150)], wait=True)
        for grain in grains:
            self.check(f"_{grain}", grain)
        for fine, coarse in (("second", "week"), ("day", "quarter"), ("month", "year"), ("quarter", "year")):
            self.check(f"_{fine}", coarse, f"&grain={coarse}&group_by=", dimensions=())

    def test_an_index_for_buckets_that_are_made_anew(self):
        self.dataset("upsert")
        self.rollup("hour")
        self.send([self.record() for _ in range(20)])
        self.check("", "hour")
        # 40 MiB of rows that no batch has brought.
        platform.sql(f"""set role millrace; insert into ws_default.{self.name} (id, ts, who, _batch, _row, _out)
            select 1000 + g, timestamptz '2025-01-01Z' + g * interval '1 minute', repeat('w', 400), 0, g, 0
            from generate_series(1, 90000) g""")
        indexes = f"select count(*) from pg_indexes where tablename = '{self.name}' and indexname like 'rollup.%'"
        self.assertEqual(platform.sql(indexes), "0")
        self.send([self.record() for _ in range(20)])
        wait_for("the index", lambda: platform.sql(
            f"{indexes} and exists (select from pg_index i join pg_class c on c.oid = i.indexrelid "
            "where c.relname = indexname and i.indisvalid)") == "1")
        self.send([self.record() for _ in range(20)])
        self.check("", "hour", "&from=2026-01-01T00:00:00Z", where="ts >= '2026-01-01Z'")
        # Deletions of the whole year before are seen through it, too.
        platform.sql(f"delete from ws_default.{self.name} where ts < '2026-01-01Z'; "
                     "notify millrace_queue, 'analytics'")
        self.check("", "hour")
        platform.must("DELETE", f"/v1/rollups/{self.name}")
        self.assertEqual(platform.sql(indexes), "0")

    def test_a_replaced_table(self):
        self.dataset()
        self.ingest()
        name = self.name
        self.name = f"{name}_whole"
        platform.must("PUT", f"/v1/datasets/{self.name}", json.dumps({"columns": COLUMNS}))
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(
            {"source": {"dataset": name}, "steps": [], "target": {"dataset": self.name, "mode": "replace"}}))
        self.rollup()
        sizes = []
        for _ in range(2):
            platform.wait_finished(name)
            run = platform.must("POST", f"/v1/pipelines/{self.name}/run")["run"]
            self.assertEqual(self.ended(run)["state"], "succeeded")
            self.check()
            sizes.append(sum(row["hits"] for row in self.items()))
            self.name, own = name, self.name
            self.ingest()
            self.name = own
        self.assertEqual(sizes[1], int(platform.sql(f"select count(*) from ws_default.{self.name}")))
        self.assertGreater(sizes[1], sizes[0])

    def test_a_rebuild_and_what_is_shown_meanwhile(self):
        self.dataset("upsert")
        for _ in range(3):
            self.ingest()
        self.rollup()
        self.check()
        self.pipeline("upsert", [{"cast": {"n": "int8"}}, {"filter": "id % 3 <> 0"}])
        platform.wait_finished(self.name)
        run = platform.must("POST", f"/v1/pipelines/{self.name}/replay", json.dumps(
            {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}))["run"]

        def has_ended():
            # Whatever state the rollup is in, it answers.
            self.assertGreater(len(platform.must("GET", f"/v1/rollups/{self.name}/data?limit=1")["items"]), 0)
            return platform.must("GET", f"/v1/runs/{run}")["state"] == "succeeded"
        wait_for("the rebuild", has_ended)
        self.ingest()
        self.check()

    def test_an_erasure_leaves_no_name(self):
        self.dataset()
        person = f"ada {self.name}"
        self.send([self.record() for _ in range(200)] + [{**self.record(), "n": 1, "who": person} for _ in range(20)])
        self.rollup()
        self.rollup("day", "_days", [])
        self.check()
        tables = ("select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'rollups'")

        def where_it_is():
            looks = [f"select '{table}' from {table} t where t::text like '%{person}%'"
                     for table in platform.sql(tables).split()]
            return platform.sql(" union ".join(looks)).split()
        self.assertNotEqual(where_it_is(), [])
        self.assertEqual(self.erase(f"who = '{person}'")["state"], "succeeded")
        self.check()
        self.check("_days", "day", dimensions=())
        self.assertEqual(where_it_is(), [])

    def test_a_dataset_is_deleted(self):
        self.dataset()
        self.ingest()
        self.rollup()
        self.check()
        platform.must("DELETE", f"/v1/pipelines/{self.name}")
        platform.must("DELETE", f"/v1/datasets/{self.name}?confirm={self.name}")
        found = platform.must("GET", f"/v1/rollups/{self.name}")
        self.assertEqual((found["state"], found["reason"]), ("failed", "the dataset was deleted"))
        self.assertEqual(platform.call("GET", f"/v1/rollups/{self.name}/data")[0], 200)
        # The dataset comes again, by the same name and with a column of another type; the rollup is put again.
        columns = [{**one, "type": "text"} if one["name"] == "n" else one for one in COLUMNS]
        platform.must("PUT", f"/v1/datasets/{self.name}", json.dumps({"columns": columns}))
        definition = {"dataset": self.name, "time": {"column": "ts", "grain": "minute"}, "dimensions": ["who"],
                      "measures": MEASURES}
        status, answer = platform.call("PUT", f"/v1/rollups/{self.name}", json.dumps(definition))
        self.assertEqual((status, answer["code"]), (422, "invalid_rollup"))
        platform.must("DELETE", f"/v1/datasets/{self.name}?confirm={self.name}")
        self.dataset()
        self.ingest()
        self.assertEqual(platform.call("PUT", f"/v1/rollups/{self.name}", json.dumps(definition))[0], 200)
        self.check()
        self.assertEqual(platform.must("GET", f"/v1/rollups/{self.name}")["version"], 1)

    def test_what_comes_in_bulk_waits_for_a_pause(self):
        self.dataset()
        self.rollup()
        self.send([self.record() for _ in range(6000)], wait=True)
        self.settled()
        # The same batches once more, beside a load that is not there; nothing of this lasts.
        found = platform.sql(f"""
            begin;
            create temporary table r on commit drop as
                select id, dataset_id from millrace.rollup where name = '{self.name}';
            insert into millrace.rollup_batch
                select r.id, a.batch_id, a.output from r join millrace.application a using (dataset_id);
            create temporary view left_over as select count(*) > 0 from millrace.rollup_batch join r on id = rollup_id;
            insert into queue.lease (id, worker, claimed_at, queue, solo, jobs, attempts, lasts)
                select 1, 1, now(), id, false, '{{}}', '{{}}', '{{}}' from queue.queue where name = 'store';
            select millrace.advance_rollup(id) from r;
            select * from left_over;
            update millrace.rollup set held_since = held_since - interval '5 seconds' where id in (select id from r);
            select millrace.advance_rollup(id) from r;
            select * from left_over;
            rollback""")
        self.assertEqual(found.split(), ["ready", "t", "ready", "f"])

    def test_a_rollup_waits_for_a_dataset_without_a_table_and_for_locks(self):
        platform.must("PUT", f"/v1/datasets/{self.name}", json.dumps({"columns": COLUMNS}))
        self.rollup()
        self.pipeline()
        self.ingest()
        self.check()
        # Somebody holds the table for longer than any single attempt waits.
        thread = threading.Thread(target=lambda: platform.sql(
            f"begin; lock table ws_default.{self.name} in share update exclusive mode; select pg_sleep(5); commit"))
        thread.start()
        wait_for("the lock", lambda: platform.sql(
            f"select count(*) from pg_locks where relation = 'ws_default.{self.name}'::regclass "
            "and mode = 'ShareUpdateExclusiveLock' and granted") != "0")
        self.rollup("day", "_days", [])
        self.ingest()
        thread.join()
        self.check("_days", "day", dimensions=())
        self.check()


if __name__ == "__main__":
    unittest.main()
