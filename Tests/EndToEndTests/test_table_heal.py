"""Healing what runs from table to table have quarantined: in each mode the dataset ends with the rows that a run of the
mended pipeline makes, also while services are killed in the middle, and another run replaces the rows meanwhile."""

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

ENDED = ("succeeded", "failed", "cancelled", "timed_out")
# Wide ones, so that there are several slices.
ROWS = 20_000
# What a version makes of an account; the first one takes no tag that has a unit, and none takes one that is no number.
FOUND = "select id, amount, price, due, tag, more, twice, _extra from ws_default.{}"
EXPECTED = """select id, amount, price, due, replace(tag, 'kg', '')::int8, more, amount * 2, _extra
    from ws_default.accounts where tag <> 'none'"""
OLD_PART = EXPECTED + " and tag not like '%kg'"
KINDS = {"id": "int8", "amount": "int8", "price": "numeric", "due": "timestamptz", "tag": "int8", "more": "jsonb",
         "twice": "int8"}


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()
    columns = [{"name": name, "type": kind} for name, kind in {
        **KINDS, "tag": "text", "filler": "text"}.items() if name != "twice"]
    platform.must("PUT", "/v1/datasets/accounts", json.dumps({"columns": columns}))
    platform.must("POST", "/v1/ingest/accounts?wait=stored", '{"id": -1, "tag": "none"}\n',
                  content_type="application/x-ndjson")
    platform.sql(f"""delete from ws_default.accounts;
        insert into ws_default.accounts (id, amount, price, due, tag, more, filler, _extra, _batch, _row, _out)
        select n, case when n % 11 > 0 then 9007199254740993 + n end, 12345678901234567890.10 * n,
            case when n % 30 = 3 then 'infinity' else '2001-02-03 04:05:06.000007+00'::timestamptz
                + n * interval '1 minute' end,
            case when n % 10 = 3 then n || 'kg' when n % 10 = 7 then 'none' else n::text end,
            case n % 3 when 0 then 'null'::jsonb when 1 then jsonb_build_object('n', n, 'd', 1.50) end,
            (select string_agg(md5(n::text || i), '') from generate_series(1, 20) i),
            case when n % 5 = 3 then jsonb_build_object('left', n) end, 0, n, 0
        from generate_series(0, {ROWS - 1}) n""")


def tearDownModule():
    platform.__exit__()


class TableHeal(unittest.TestCase):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:40]

    def dataset(self, **definition):
        columns = [{"name": name, "type": kind} for name, kind in KINDS.items()]
        platform.must("PUT", f"/v1/datasets/{self.name}", json.dumps({"columns": columns, **definition}))

    def put(self, mode, mended=False, *more):
        mend = [{"derive": {"tag": "replace(tag, 'kg', '')"}}] if mended else []
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps({
            "source": {"dataset": "accounts"}, "target": {"dataset": self.name, "mode": mode},
            "steps": [{"drop": ["filler"]}, *more, *mend, {"cast": {"tag": "int8"}},
                      {"derive": {"twice": "amount * 2"}}]}))

    def run_pipeline(self):
        return self.ended(platform.must("POST", f"/v1/pipelines/{self.name}/run")["run"])

    def ended(self, run):
        return wait_for(f"run {run}", lambda: (found := platform.must(
            "GET", f"/v1/runs/{run}"))["state"] in ENDED and found)

    def heal(self, query="", body="{}"):
        return platform.call("POST", f"/v1/datasets/{self.name}/quarantine/replay{query}", body)

    def healed(self, query="?wait=60s"):
        status, answer = self.heal(query)
        self.assertEqual(status, 200, answer)
        return answer["healed"], answer["failing"], answer["failed_batches"]

    def difference(self, expected):
        found = FOUND.format(self.name)
        return platform.sql(f"""select count(*) from ((({expected}) except all ({found}))
            union all (({found}) except all ({expected}))) t""")

    def quarantined(self):
        return int(platform.sql("select count(*) from landing.quarantine q join millrace.dataset d "
                                f"on d.id = q.dataset_id where d.name = '{self.name}'"))

    def expect_ledger(self):
        """What the ledger says of all outputs is what is there."""
        said, there = platform.sql(f"""
            select concat_ws(' ', sum(stored), sum(quarantined), bool_and(received
                = stored + filtered + quarantined + duplicates)) from millrace.application a
            join millrace.dataset d on d.id = a.dataset_id where d.name = '{self.name}' and exists (
                select from ws_default.{self.name} t where t._batch = a.batch_id);
            select concat_ws(' ', count(*), {self.quarantined()}, true) from ws_default.{self.name}""").splitlines()
        self.assertEqual(said, there)

    def kill(self, service):
        """Kills a service. That its workers are lost is made known at once."""
        command = f"millrace-{service}"
        pids = [pid for pid, line in platform.processes().items() if line.split(" ")[0].endswith(command)]
        self.assertEqual(len(pids), 1, platform.processes())
        workers = platform.sql(f"select string_agg(id::text, ',') from queue.worker where name = '{service}'")
        os.kill(pids[0], signal.SIGKILL)
        platform.sql(f"update queue.worker set seen_at = seen_at - interval '1 minute' where id in ({workers}); "
                     "update queue.leader set until = '-infinity'")
        platform.wait_until_ready()

    def go_through(self, mode):
        """Runs, mends and heals; gives the answer of `GET /v1/runs/{id}` for the heal."""
        run = self.run_pipeline()
        self.assertEqual((run["state"], run["records"]["quarantined"]), ("succeeded", ROWS // 5), run)
        self.assertGreater(run["batches"]["total"], 1)
        self.assertEqual(self.difference(OLD_PART), "0")
        self.assertEqual(self.healed(), (0, ROWS // 5, 0))
        self.put(mode, mended=True)
        self.assertEqual(self.healed("?wait=60s&dry_run=true"), (ROWS // 10, ROWS // 10, 0))
        self.assertEqual(self.difference(OLD_PART), "0")
        status, answer = self.heal("?wait=60s")
        self.assertEqual((status, answer["healed"], answer["failing"]), (200, ROWS // 10, ROWS // 10), answer)
        self.assertEqual(self.difference(EXPECTED), "0")
        self.assertEqual(self.quarantined(), ROWS // 10)
        self.expect_ledger()
        # Once more changes nothing.
        self.assertEqual(self.healed(), (0, ROWS // 10, 0))
        self.assertEqual(self.difference(EXPECTED), "0")
        return platform.must("GET", f"/v1/runs/{answer['runs'][0]}")

    def test_append(self):
        self.dataset()
        self.put("append")
        run = self.go_through("append")
        self.assertEqual((run["kind"], run["state"], run["version"]), ("heal", "succeeded", 2))
        # A healed row says which version made it; the others of its slice which one did.
        lineage = {}
        for tag in ("13", "14"):
            batch, row = platform.sql(f"select _batch, _row from ws_default.{self.name} where tag = {tag}").split("|")
            item, = platform.must("GET", f"/v1/datasets/{self.name}/lineage?batch={batch}&row={row}")["items"]
            lineage[tag] = (item["pipeline"], item["version"])
        self.assertEqual(lineage, {"13": (self.name, 2), "14": (self.name, 1)})

    def test_upsert(self):
        self.dataset(primary_key=["id"])
        self.put("upsert")
        self.go_through("upsert")

    def test_ignore(self):
        self.dataset(primary_key=["id"])
        self.put("ignore")
        self.go_through("ignore")

    def test_replace(self):
        self.put("replace")
        self.go_through("replace")
        # The next run has all of it by itself, and nothing of before.
        run = self.run_pipeline()
        self.assertEqual((run["state"], run["records"]["quarantined"]), ("succeeded", ROWS // 10), run)
        self.assertEqual(self.difference(EXPECTED), "0")
        self.assertEqual(self.quarantined(), ROWS // 10)

    def test_a_later_row_keeps_its_place(self):
        """By rank: what heals late of an earlier run takes nobody's place who has come by a later one."""
        self.dataset(primary_key=["id"])
        self.put("upsert")
        self.run_pipeline()
        self.put("upsert", True, {"filter": "id < 1000"}, {"derive": {"amount": "-1"}})
        self.run_pipeline()
        self.put("upsert", True)
        self.heal("?wait=60s")
        later = EXPECTED.replace("amount", "-1::int8", 1).replace("amount * 2", "-2::int8") + " and id < 1000"
        self.assertEqual(self.difference(f"{later} union all {EXPECTED} and id >= 1000"), "0")

    def test_what_the_table_refuses_is_whole(self):
        """Rows with one key: the first of the pair is there, the other in quarantine with all that it was."""
        self.dataset(primary_key=["id"])
        self.put("replace", True, {"filter": "id < 100"}, {"derive": {"id": "id / 2"}})
        run = self.run_pipeline()
        self.assertEqual((run["state"], run["records"]["stored"], run["records"]["quarantined"]),
                         ("succeeded", 50, 50), run)
        items = platform.must("GET", f"/v1/datasets/{self.name}/quarantine?limit=100")["items"]
        item = next(item for item in items if item["errors"][0]["code"] == "duplicate_key")
        raw = json.loads(item["raw"])
        self.assertIn("filler", raw)
        self.assertEqual(platform.sql(f"select tag from ws_default.accounts where id = {raw['id']}"), raw["tag"])
        self.put("replace", True, {"filter": "id < 100"})
        # Those whose key another row has by now stay.
        before = {int(key) for key in platform.sql(f"select id from ws_default.{self.name}").split()}
        tried = {int(key): tag for key, tag in (line.split("|") for line in platform.sql(f"""
            select convert_from(raw, 'UTF8')::jsonb ->> 'id', convert_from(raw, 'UTF8')::jsonb ->> 'tag'
            from landing.quarantine q join millrace.dataset d on d.id = q.dataset_id where d.name = '{self.name}'
            """).splitlines())}
        self.assertEqual(len(tried), 50)
        good = {key for key, tag in tried.items() if tag != "none" and key not in before}
        self.assertEqual(self.healed(), (len(good), 50 - len(good), 0))
        self.assertEqual({int(key) for key in platform.sql(f"select id from ws_default.{self.name}").split()},
                         before | good)
        self.expect_ledger()

    def test_killed_in_the_middle_it_loses_and_repeats_nothing(self):
        for mode in ("append", "replace"):
            with self.subTest(mode):
                self.name = f"killed_{mode}"
                self.put(mode)
                self.run_pipeline()
                self.put(mode, mended=True)
                with held(platform, "landing.chunk"):
                    status, made = self.heal()
                    self.assertEqual(status, 202)
                    wait_blocked(platform, "landing.chunk")
                    self.kill("transform")
                with held(platform, f"ws_default.{self.name}"):
                    for _ in range(2):
                        wait_blocked(platform, f"ws_default.{self.name}")
                        self.kill("store")
                run = self.ended(made["run"])
                self.assertEqual((run["state"], run["records"]["stored"], run["records"]["quarantined"]),
                                 ("succeeded", ROWS // 10, ROWS // 10), run)
                self.assertEqual(self.difference(EXPECTED), "0")
                self.assertEqual(self.quarantined(), ROWS // 10)
                self.expect_ledger()

    def test_another_run_replaces_the_rows_meanwhile(self):
        """Whichever comes first, nothing is there twice."""
        self.put("replace")
        self.run_pipeline()
        self.put("replace", mended=True)
        # The heal stands still in its transaction, and the run behind it; then the other way round.
        for first in ("heal", "run"):
            mode = "share" if first == "heal" else "access share"
            with self.subTest(first), held(platform, f"ws_default.{self.name}", mode):
                if first == "heal":
                    heal = self.heal()[1]["run"]
                    wait_blocked(platform, f"ws_default.{self.name}")
                run = platform.must("POST", f"/v1/pipelines/{self.name}/run")["run"]
                wait_for("the run has its rows", lambda: platform.sql(
                    f"select released from millrace.run where id = {run}") == "t")
                if first == "run":
                    wait_blocked(platform, f"ws_default.{self.name}")
                    # The run holds the dataset while it tries to lock the table, and lets it go in between.
                    status, answer = self.heal()
                    self.assertIn(status, (202, 409), answer)
                    heal = answer.get("run", heal)
            self.assertEqual((self.ended(run)["state"], self.ended(heal)["state"]), ("succeeded", "succeeded"))
            self.assertEqual(self.healed(), (0, ROWS // 10, 0))
            self.assertEqual(self.difference(EXPECTED), "0")
            self.assertEqual(self.quarantined(), ROWS // 10)

    def test_what_was_erased_is_not_healed(self):
        """All values of a table, `_extra` among them; by a name that a step has given, too."""
        columns = [{"name": name, "type": kind} for name, kind in {**KINDS, "number": "int8"}.items() if name != "id"]
        platform.must("PUT", f"/v1/datasets/{self.name}", json.dumps({"columns": columns}))
        self.put("append", False, {"rename": {"id": "number"}})
        self.run_pipeline()
        kept = self.quarantined()
        # Of those that are quarantined, each tenth has an `_extra`, and these are of one kind.
        erased = json.dumps({"where": "number < 1000 or due = 'infinity' or _extra ->> 'left' = '5003'"})
        meant = [n for n in range(ROWS) if n < 1000 or n % 30 == 3 or n == 5003]
        quarantined = [n for n in meant if n % 10 in (3, 7)]
        run = platform.must("POST", f"/v1/datasets/{self.name}/erase", erased)
        self.assertEqual([gap["kind"] for gap in run["not_reached"]], ["source_dataset"])
        self.ended(run["run"])
        report = platform.must("GET", f"/v1/datasets/{self.name}/erasures")["items"][0]
        self.assertEqual([report[name] for name in ("records", "quarantined", "unreadable", "rows")],
                         [0, len(quarantined), 0, {self.name: len(meant) - len(quarantined)}])
        self.assertEqual(self.quarantined(), kept - len(quarantined))
        self.put("append", True, {"rename": {"id": "number"}})
        good = len([n for n in range(ROWS) if n % 10 == 3 and n not in set(meant)])
        self.assertEqual(self.healed(), (good, kept - len(quarantined) - good, 0))
        self.assertEqual(platform.sql(f"""select count(*) from ws_default.{self.name}
            where number < 1000 or due = 'infinity' or _extra ->> 'left' = '5003'"""), "0")

    def test_a_replay_says_what_to_do_instead(self):
        self.put("replace")
        replay = json.dumps({"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"})
        for query in ("", "?dry_run=true"):
            status, answer = platform.call("POST", f"/v1/pipelines/{self.name}/replay{query}", replay)
            self.assertEqual((status, answer["code"]), (409, "conflict"), answer)
            self.assertIn(f"POST /v1/pipelines/{self.name}/run", answer["detail"])


if __name__ == "__main__":
    unittest.main()
