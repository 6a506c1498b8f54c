"""Runs and replay on the whole platform: a pipeline gets a new version, and history is run through it again, while
services are killed inside the transactions that replace rows."""

import json
import os
import signal
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402
from table_locks import held, wait_blocked  # noqa: E402

NDJSON = "application/x-ndjson"
ALWAYS = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
# Of each ten records: one is no object, one is filtered by version 2, one breaks what version 2 expects.
RECORDS = 200
ENDED = ("succeeded", "failed", "cancelled", "timed_out")


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


class Replay(unittest.TestCase):
    def setUp(self):
        # Each case has a source, a pipeline and a dataset of its name.
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:40]

    def put(self, steps, dataset=None):
        definition = {"source": self.name, "steps": steps, "target": {"dataset": dataset or self.name}}
        return platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(definition))

    def first_version(self):
        self.put([{"cast": {"n": "int8"}}, {"derive": {"old": "n * 2"}}])

    def second_version(self, **target):
        self.put([{"cast": {"n": "int8"}}, {"filter": "n % 10 <> 3"}, {"derive": {"fresh": "n + 1"}},
                  {"expect": {"not_four": "n % 10 <> 4"}}], **target)

    def ingest(self, batches):
        """The receipts of as many batches, of RECORDS records each, all stored."""
        receipts = []
        for batch in range(batches):
            numbers = range(batch * RECORDS, (batch + 1) * RECORDS)
            body = "".join(f'{{"n":{n}}}\n' if n % 10 != 7 else f"bad {n}\n" for n in numbers)
            receipts.append(platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)["receipt"])
            # One request a batch: the coalescer has flushed it once it is landed.
        platform.wait_finished(self.name)
        return receipts

    def batches(self):
        """The ids of the source's batches, oldest first."""
        items = platform.must("GET", f"/v1/batches?source={self.name}&limit=500")["items"]
        return [item["id"] for item in reversed(items)]

    def replay(self, **request):
        return platform.must("POST", f"/v1/pipelines/{self.name}/replay", json.dumps(request or ALWAYS))["run"]

    def run_of(self, run):
        return platform.must("GET", f"/v1/runs/{run}")

    def wait_ended(self, run):
        return wait_for(f"run {run}", lambda: (found := self.run_of(run))["state"] in ENDED and found)

    def rows(self, sql, dataset=None):
        return platform.sql(f"select {sql} from ws_default.{dataset or self.name}")

    def sources_sql(self, sql):
        return platform.sql(sql.replace(":source", f"(select id from millrace.source where name = '{self.name}')"))

    def quarantined(self):
        return self.sources_sql(
            "select count(*), count(distinct (batch_id, row)), min(version), max(version) from landing.quarantine q "
            "where exists (select from millrace.batch b where b.id = q.batch_id and b.source_id = :source)")

    def versions(self):
        """By which version each batch was made, oldest first."""
        return self.sources_sql("select string_agg(version::text, '' order by batch_id) from millrace.application "
                                "where source_id = :source")

    def expect_second_version(self, batches, receipts, version=2):
        """Every batch is what the second version makes of it, exactly once."""
        total = batches * RECORDS
        kept = total * 7 // 10
        self.assertEqual(self.rows("count(*), count(distinct n), count(distinct (_batch, _row)), count(fresh), "
                                   "sum(fresh - n)"), f"{kept}|{kept}|{kept}|{kept}|{kept}")
        self.assertEqual(self.rows("count(*) filter (where n % 10 in (3, 4, 7))"), "0")
        self.assertEqual(self.quarantined(), f"{total // 5}|{total // 5}|{version}|{version}")
        for receipt in receipts:
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            self.assertEqual([answer[name] for name in ("state", "received", "stored", "filtered", "quarantined")],
                             ["stored", RECORDS, RECORDS * 7 // 10, RECORDS // 10, RECORDS // 5])
            self.assertEqual(answer["outputs"][0]["version"], version)

    def expect_first_version(self, batches):
        total = batches * RECORDS
        self.assertEqual(self.rows("count(*), count(distinct n), count(old)"),
                         f"{total * 9 // 10}|{total * 9 // 10}|{total * 9 // 10}")
        self.assertEqual(self.quarantined(), f"{total // 10}|{total // 10}|1|1")

    def counts(self, run):
        return [run["batches"][name] for name in ("total", "done", "failed", "skipped")] + [
            run["records"][name] for name in ("stored", "filtered", "quarantined", "duplicates")]

    def kill(self, service):
        command = f"millrace-{service}"
        pids = [pid for pid, line in platform.processes().items() if line.split(" ")[0].endswith(command)]
        self.assertEqual(len(pids), 1, platform.processes())
        os.kill(pids[0], signal.SIGKILL)
        platform.wait_until_ready()

    # What a replay does

    def test_a_new_version_takes_the_place_of_what_was_there(self):
        self.first_version()
        receipts = self.ingest(6)
        self.expect_first_version(6)
        self.second_version()
        run = self.wait_ended(self.replay())
        self.assertEqual((run["state"], run["version"], run["progress"]["done"]), ("succeeded", 2, 6), run)
        expected = [6, 6, 0, 0, 840, 120, 240, 0]
        self.assertEqual(self.counts(run), expected)
        self.assertEqual((run["errors"], run["error"], run["request"]), ([], None, ALWAYS))
        self.expect_second_version(6, receipts)
        self.assertEqual(self.rows("count(old)"), "0")
        again = self.wait_ended(self.replay())
        self.assertEqual(self.counts(again), expected)
        self.expect_second_version(6, receipts)
        runs = platform.must("GET", f"/v1/runs?pipeline={self.name}&state=succeeded")["items"]
        self.assertEqual([item["id"] for item in runs], [again["id"], run["id"]])
        page = platform.must("GET", f"/v1/runs?pipeline={self.name}&limit=1")
        rest = platform.must("GET", f"/v1/runs?pipeline={self.name}&limit=1&cursor={page['next_cursor']}")
        self.assertEqual([page["items"][0]["id"], rest["items"][0]["id"]], [again["id"], run["id"]])
        self.assertEqual(platform.must("GET", f"/v1/runs?pipeline={self.name}&state=failed")["items"], [])

    def test_named_batches_only_and_a_new_dataset(self):
        self.first_version()
        self.ingest(3)
        first, second, third = self.batches()
        self.second_version(dataset=f"{self.name}_two")
        run = self.wait_ended(self.replay(batches=[second]))
        self.assertEqual(self.counts(run), [1, 1, 0, 0, 140, 20, 40, 0])
        self.assertEqual(self.rows("string_agg(distinct _batch::text, ' ' order by _batch::text)"), f"{first} {third}")
        self.assertEqual(self.rows("string_agg(distinct _batch::text, ' ')", f"{self.name}_two"), second)
        self.assertEqual(self.versions(), "121")

    def test_a_pipeline_that_is_new_gets_what_it_missed(self):
        receipts = self.ingest(2)
        self.second_version(dataset=f"{self.name}_two")
        run = self.wait_ended(self.replay())
        self.assertEqual(self.counts(run), [2, 2, 0, 0, 280, 40, 80, 0])
        self.assertEqual(self.rows("count(*)", f"{self.name}_two"), "280")
        self.assertEqual(self.rows("count(*)"), "360", "what the source's own pipeline made stays")
        answer = platform.must("GET", f"/v1/receipts/{receipts[0]}")
        self.assertEqual((answer["state"], len(answer["outputs"])), ("stored", 2))

    def test_requests_that_share_a_batch_keep_counts_of_their_own(self):
        self.first_version()
        receipts = {}

        def send(number):
            body = "".join(f'{{"n":{n}}}\n' for n in range(number * 10, number * 10 + number % 10 + 1))
            receipts[number] = platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)["receipt"]

        threads = [threading.Thread(target=send, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        platform.wait_finished(self.name)
        self.assertLess(len(self.batches()), 40)
        self.second_version()
        self.assertEqual(self.wait_ended(self.replay())["state"], "succeeded")
        for number, receipt in receipts.items():
            last = number % 10
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            self.assertEqual([answer[name] for name in ("received", "filtered", "quarantined", "stored")],
                             [last + 1, int(last >= 3), int(last >= 4), last + 1 - int(last >= 3) - int(last >= 4)])

    def test_a_batch_on_its_way_is_taken_over(self):
        self.first_version()
        receipts = self.ingest(1)
        platform.must("POST", "/v1/queues/store/pause")
        try:
            numbers = range(RECORDS, 2 * RECORDS)
            body = "".join(f'{{"n":{n}}}\n' if n % 10 != 7 else f"bad {n}\n" for n in numbers)
            receipts.append(platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)["receipt"])
            wait_for("it is transformed", lambda: platform.must(
                "GET", f"/v1/receipts/{receipts[1]}")["state"] == "transformed")
            self.second_version()
            run = self.replay()
            wait_for("the run has transformed it, too", lambda: platform.sql(
                f"select count(*) from millrace.run_batch where run = {run} and state = 'transformed'") == "2")
        finally:
            platform.must("POST", "/v1/queues/store/resume")
        self.assertEqual(self.counts(self.wait_ended(run))[:3], [2, 2, 0])
        self.expect_second_version(2, receipts)

    def test_replays_while_records_come_in(self):
        self.second_version()
        receipts = []

        def send():
            for batch in range(150):
                numbers = range(batch * RECORDS, (batch + 1) * RECORDS)
                body = "".join(f'{{"n":{n}}}\n' if n % 10 != 7 else f"bad {n}\n" for n in numbers)
                receipts.append(platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)["receipt"])

        sender = threading.Thread(target=send)
        sender.start()
        total = 0
        # Each finds batches that are landed, transformed, stored, and just being so.
        while sender.is_alive():
            run = self.wait_ended(self.replay())
            self.assertEqual((run["state"], run["batches"]["failed"]), ("succeeded", 0))
            total += run["batches"]["total"]
        sender.join()
        platform.wait_finished(self.name)
        self.assertGreater(total, 0)
        self.expect_second_version(150, receipts, version=1)

    def test_a_run_without_batches_has_succeeded(self):
        self.first_version()
        run = self.run_of(self.replay(**{"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}))
        self.assertEqual((run["state"], run["progress"], run["job"]), ("succeeded", {"done": 0, "total": 0}, None))

    # Refusals

    def test_requests_that_make_no_sense_are_refused_with_paths(self):
        self.first_version()
        self.ingest(1)
        cases = [
            ({"from": "2026-01-01T00:00:00Z"}, "invalid_request", "to"),
            ({"from": "yesterday", "to": "2026-01-01T00:00:00Z"}, "invalid_request", "from"),
            ({"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "invalid_request", "to"),
            ({**ALWAYS, "batches": ["1"]}, "invalid_request", "from"),
            ({"batches": []}, "invalid_request", "batches"),
            ({"batches": ["x"]}, "invalid_request", "batches[0]"),
            ({"batches": [self.batches()[0], "99999999"]}, "invalid_request", "batches[1]"),
            ({**ALWAYS, "timeout": "1ms"}, "invalid_request", "timeout"),
            ({**ALWAYS, "wherever": 1}, "unknown_field", "wherever"),
        ]
        for request, code, path in cases:
            status, answer = platform.call("POST", f"/v1/pipelines/{self.name}/replay", json.dumps(request))
            self.assertEqual((status, answer["code"], answer["errors"][0]["path"]), (422, code, path), answer)
        self.assertEqual(platform.call("POST", "/v1/pipelines/none/replay", json.dumps(ALWAYS))[0], 404)
        self.assertEqual(platform.call("GET", "/v1/runs/99999999")[0], 404)

    def test_batches_without_raw_bytes_are_named_and_stay(self):
        self.first_version()
        self.ingest(3)
        second = self.batches()[1]
        platform.sql(f"insert into landing.expired values ('payload', -1, {second}, {second} + 1, now(), now())")
        self.second_version()
        for request, path in ((ALWAYS, "from"), ({"batches": self.batches()}, "batches[1]")):
            status, answer = platform.call("POST", f"/v1/pipelines/{self.name}/replay", json.dumps(request))
            self.assertEqual((status, answer["code"], answer["batches"], answer["errors"][0]["path"]),
                             (409, "raw_expired", [second], path))
        self.expect_first_version(3)

    def test_two_runs_over_one_batch_and_rows_of_another_pipeline(self):
        self.first_version()
        self.ingest(1)
        with held(platform, f"ws_default.{self.name}"):
            run = self.replay()
            wait_blocked(platform, f"ws_default.{self.name}")
            status, answer = platform.call("POST", f"/v1/pipelines/{self.name}/replay", json.dumps(ALWAYS))
            self.assertEqual((status, answer["code"], answer["run"]), (409, "conflict", run))
        self.assertEqual(self.wait_ended(run)["state"], "succeeded")
        other = {"source": self.name, "target": {"dataset": self.name}}
        platform.must("PUT", f"/v1/pipelines/{self.name}_other", json.dumps(other))
        self.ingest(1)
        status, answer = platform.call("POST", f"/v1/pipelines/{self.name}/replay", json.dumps(ALWAYS))
        self.assertEqual((status, answer["code"]), (409, "conflict"), answer)
        self.assertIn(f"{self.name}_other", answer["detail"])

    # In the middle

    def test_store_is_killed_while_it_replaces(self):
        self.first_version()
        receipts = self.ingest(40)
        self.second_version()
        with held(platform, f"ws_default.{self.name}"):
            run = self.replay()
            wait_blocked(platform, f"ws_default.{self.name}")
            for receipt in receipts[:3]:
                answer = platform.must("GET", f"/v1/receipts/{receipt}")
                self.assertEqual((answer["state"], answer["outputs"][0]["version"]), ("stored", 1))
            self.assertEqual(self.run_of(run)["state"], "running")
            self.kill("store")
        ended = self.wait_ended(run)
        self.assertEqual((ended["state"], self.counts(ended)[:3]), ("succeeded", [40, 40, 0]))
        self.expect_second_version(40, receipts)

    def test_transform_is_killed_while_it_hands_over(self):
        self.first_version()
        receipts = self.ingest(40)
        self.second_version()
        with held(platform, "landing.chunk"):
            run = self.replay()
            wait_blocked(platform, "landing.chunk")
            self.kill("transform")
        ended = self.wait_ended(run)
        self.assertEqual((ended["state"], self.counts(ended)[:3]), ("succeeded", [40, 40, 0]))
        self.expect_second_version(40, receipts)

    def test_a_run_is_cancelled_in_the_middle(self):
        self.first_version()
        receipts = self.ingest(60)
        self.second_version()
        # Of two halves the second stands still: its rows are looked for behind those of the first.
        batches = self.batches()
        first = self.wait_ended(self.replay(batches=batches[:20]))
        self.assertEqual(first["state"], "succeeded")
        with held(platform, f"ws_default.{self.name}"):
            run = self.replay()
            wait_blocked(platform, f"ws_default.{self.name}")
            began = time.monotonic()
            cancelled = platform.must("POST", f"/v1/runs/{run}/cancel")
            self.assertLess(time.monotonic() - began, 20)
            self.assertEqual((cancelled["state"], cancelled["batches"]["done"]), ("cancelled", 0))
            self.assertEqual(platform.must("POST", f"/v1/runs/{run}/cancel")["state"], "cancelled")
        # Whatever was under way finds the run ended: nothing of it commits, and nothing is left to do.
        wait_for("no job of the run is left", lambda: platform.sql(
            "select count(*) from queue.ready r join queue.job j on j.id = r.job where j.kind in "
            "('run.replay', 'replace')") == "0" and platform.sql("select count(*) from queue.lease") == "0")
        self.assertEqual(self.versions(), "2" * 20 + "1" * 40)
        self.assertEqual(self.rows("count(*), count(distinct n)"), "|".join([str(20 * 140 + 40 * 180)] * 2))
        self.assertEqual(self.run_of(run)["state"], "cancelled")
        ended = self.wait_ended(self.replay())
        self.assertEqual(ended["state"], "succeeded")
        self.expect_second_version(60, receipts)

    def test_a_run_times_out_where_it_is(self):
        self.first_version()
        self.ingest(2)
        self.second_version()
        with held(platform, f"ws_default.{self.name}"):
            run = self.replay(timeout="15s", **ALWAYS)
            wait_blocked(platform, f"ws_default.{self.name}")
            ended = self.wait_ended(run)
        self.assertEqual((ended["state"], ended["finished_at"]), ("timed_out", ended["deadline"]))
        self.assertEqual(platform.call("POST", f"/v1/runs/{run}/cancel")[0], 409)
        wait_for("no lease is held", lambda: platform.sql("select count(*) from queue.lease") == "0")
        self.expect_first_version(2)
        self.assertEqual(platform.must("GET", f"/v1/runs?state=timed_out&pipeline={self.name}")["items"][0]["id"], run)

    def test_a_batch_that_fails_is_named_and_its_redrive_finishes_the_run(self):
        self.first_version()
        receipts = self.ingest(3)
        second = self.batches()[1]
        platform.sql(f"create table landing.kept as select * from landing.payload where batch_id = {second}; "
                     f"delete from landing.payload where batch_id = {second}")
        self.second_version()
        run = self.wait_ended(self.replay())
        self.assertEqual((run["state"], self.counts(run)[:3]), ("failed", [3, 2, 1]), run)
        self.assertEqual(run["errors"][0]["batch"], second)
        self.assertTrue(run["error"].startswith("raw_expired"), run)
        self.assertEqual(self.rows(f"count(*) filter (where _batch = {second} and old is not null)"), "180")
        platform.sql("insert into landing.payload select * from landing.kept; drop table landing.kept")
        self.assertEqual(platform.must("POST", f"/v1/jobs/{run['errors'][0]['job']}/retry")["result"], "ready")
        run = wait_for("the run goes on", lambda: (found := self.run_of(run["id"]))["state"] == "succeeded" and found)
        self.assertEqual((self.counts(run)[:3], run["error"], run["errors"]), ([3, 3, 0], None, []))
        self.expect_second_version(3, receipts)


if __name__ == "__main__":
    unittest.main(verbosity=2)
