"""Healing on the whole platform: bad records are quarantined, their pipeline is mended, and they are run again, while
store is killed inside the transactions that take them in."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import PSQL, Platform  # noqa: E402

NDJSON = "application/x-ndjson"
# Of each ten records: one has a unit that version 1 does not know, one is no number under any version.
RECORDS = 200


def setUpModule():
    global platform
    platform = Platform(port=int(os.environ.get("E2E_HEAL_PORT", "18985"))).__enter__()
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


class Heal(unittest.TestCase):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:40]

    def put(self, *steps):
        definition = {"source": self.name, "steps": list(steps), "target": {"dataset": self.name}}
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(definition))

    def first_version(self):
        self.put({"cast": {"n": "int8"}})

    def mended(self):
        self.put({"derive": {"n": "replace(n::text, 'kg', '')"}}, {"cast": {"n": "int8"}})

    def ingest(self, batches):
        receipts = []
        for batch in range(batches):
            body = ""
            for n in range(batch * RECORDS, (batch + 1) * RECORDS):
                text = f"{n}kg" if n % 10 == 3 else "none" if n % 10 == 7 else str(n)
                body += json.dumps({"n": text}) + "\n"
            receipts.append(platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)["receipt"])
        platform.wait_finished(self.name)
        return receipts

    def heal(self, query="", body="{}"):
        return platform.call("POST", f"/v1/datasets/{self.name}/quarantine/replay{query}", body)

    def rows(self):
        return platform.sql("select concat_ws('|', count(*), count(distinct n), count(distinct (_batch, _row)), "
                            f"count(*) filter (where n % 10 = 3), min(_out)) from ws_default.{self.name}")

    def quarantined(self):
        return platform.sql(
            "select concat_ws('|', count(*), min(q.version), max(q.version)) from landing.quarantine q "
            f"join millrace.dataset d on d.id = q.dataset_id where d.name = '{self.name}'")

    def expect(self, batches, receipts, healed):
        total = batches * RECORDS
        bad = total // 10 if healed else total // 5
        good = total - bad
        self.assertEqual(self.rows(), f"{good}|{good}|{good}|{total // 10 if healed else 0}|0")
        version = 2 if healed else 1
        self.assertEqual(self.quarantined(), f"{bad}|{version}|{version}")
        for receipt in receipts:
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            self.assertEqual(
                [answer[name] for name in ("state", "received", "stored", "filtered", "quarantined", "duplicates")],
                ["stored", RECORDS, good // batches, 0, bad // batches, 0])

    @contextlib.contextmanager
    def held(self):
        """Holds the dataset's table, so that who writes to it stands still inside a transaction."""
        holder = subprocess.Popen([PSQL, "-XAtq", "-h", platform.socket, "-U", "postgres", "-d", "millrace"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            holder.stdin.write(f"begin; lock table ws_default.{self.name} in share mode; select 'held';\n")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline().strip(), "held")
            yield
        finally:
            holder.communicate("rollback;\n")

    def kill(self, service):
        pids = [pid for pid, line in platform.processes().items()
                if line.split(" ")[0].endswith(f"millrace-{service}")]
        self.assertEqual(len(pids), 1, platform.processes())
        os.kill(pids[0], signal.SIGKILL)
        platform.wait_until_ready()

    def test_mended_records_leave_the_quarantine(self):
        self.first_version()
        receipts = self.ingest(3)
        self.expect(3, receipts, healed=False)
        self.mended()
        status, answer = self.heal("?wait=30s")
        self.assertEqual((status, answer["healed"], answer["failing"], answer["failed_batches"]), (200, 60, 60, 0))
        self.expect(3, receipts, healed=True)
        run = platform.must("GET", f"/v1/runs/{answer['runs'][0]}")
        self.assertEqual((run["kind"], run["state"], run["version"], run["progress"]),
                         ("heal", "succeeded", 2, {"done": 3, "total": 3}))
        self.assertEqual(run["records"], {"stored": 60, "filtered": 0, "quarantined": 60, "duplicates": 0})
        # Once more changes nothing.
        status, answer = self.heal("?wait=30s")
        self.assertEqual((status, answer["healed"], answer["failing"]), (200, 0, 60))
        self.expect(3, receipts, healed=True)
        # A replay makes the same of it, and a heal after it finds the same records.
        request = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
        replay = platform.must("POST", f"/v1/pipelines/{self.name}/replay", json.dumps(request))["run"]
        wait_for("the replay", lambda: platform.must("GET", f"/v1/runs/{replay}")["state"] == "succeeded")
        self.expect(3, receipts, healed=True)

    def test_store_is_killed_while_records_heal(self):
        self.first_version()
        receipts = self.ingest(6)
        self.mended()
        with self.held():
            status, made = self.heal()
            self.assertEqual(status, 202)
            for _ in range(2):
                wait_for("store stands still", lambda: platform.sql(
                    "select count(*) from pg_locks where not granted and relation = "
                    f"'ws_default.{self.name}'::regclass") != "0")
                self.kill("store")
        run = wait_for("the run's end", lambda: (found := platform.must(
            "GET", f"/v1/runs/{made['run']}"))["state"] not in ("queued", "running") and found)
        self.assertEqual((run["state"], run["records"]["stored"], run["records"]["quarantined"]),
                         ("succeeded", 120, 120), run)
        self.expect(6, receipts, healed=True)

    def test_many_heal_at_once(self):
        self.first_version()
        receipts = self.ingest(4)
        self.mended()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.heal("?wait=60s"))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = [answer[0] for answer in answers]
        self.assertEqual(set(statuses) - {200, 409}, set(), answers)
        self.assertEqual(sum(answer["healed"] for status, answer in answers if status == 200), 80, answers)
        self.expect(4, receipts, healed=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
