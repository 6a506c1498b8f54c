"""Schedules as their users meet them: put over REST through the gateway, fired once however many processes there are.

One platform with a second replica of transform: five processes could lead the queue.
"""

import json
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402

PATH = "/v1/schedules/often"
DEFINITION = {"cron": "* * * * *", "timezone": "Asia/Kolkata", "missed": "once",
              "start": {"pipeline": "web", "action": "replay", "window": "1h"}}


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


def replica():
    """Another process of transform, with the settings of the one that runs."""
    pid = next(pid for pid, command in platform.processes().items()
               if Path(command.split()[0]).name == "millrace-transform")
    process = Path(f"/proc/{pid}")
    variables = dict(pair.split("=", 1) for pair in (process / "environ").read_text().split("\0") if pair)
    variables["MILLRACE_TRANSFORM_PORT"] = str(platform.port + 9)
    return subprocess.Popen(
        [Path(os.environ["BENCH_BINARIES"]) / "millrace-transform"], env=variables, cwd=os.readlink(process / "cwd"),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Schedules(unittest.TestCase):
    def wait(self, sql, expected, seconds=30):
        deadline = time.monotonic() + seconds
        while (found := platform.sql(sql)) != expected:
            self.assertLess(time.monotonic(), deadline, f"{sql}: {found}, not {expected}")
            time.sleep(0.05)

    def test_a_tick_starts_one_job_within_a_second_or_so_however_many_processes_lead(self):
        platform.must("PUT", "/v1/pipelines/web", json.dumps(
            {"source": "weblogs", "steps": [], "target": {"dataset": "web", "mode": "append"}}))
        other = replica()
        try:
            self.wait("select count(*) from queue.worker where name = 'transform'", "2")
            status, schedule = platform.call("PUT", PATH, json.dumps(DEFINITION))
            self.assertEqual((status, schedule["version"], schedule["last_job"]), (201, 1, None), schedule)
            self.assertEqual(len(schedule["next"]), 5)
            self.assertEqual(platform.call("PUT", PATH, json.dumps(DEFINITION))[0], 200)
            # Ticks in quick succession, and then one by the clock.
            for _ in range(3):
                before = platform.must("GET", PATH)["last_job"]
                platform.sql("""
                    update queue.schedule set next_at = clock_timestamp() + interval '1.5 seconds',
                        passed_at = clock_timestamp() - interval '1 day';
                    select pg_notify('millrace_queue', 'transform')""")
                self.wait(f"select last_job > coalesce({before or 'null'}, 0) from queue.schedule", "t")
            # By the clock: the next minute's.
            last = platform.must("GET", PATH)["last_job"]
            self.wait(f"select last_job > {last} from queue.schedule", "t", seconds=75)
            schedule = platform.must("GET", PATH)
            self.assertEqual(schedule["version"], 1)
            self.assertTrue(schedule["last_at"].endswith(":00Z"), schedule)
            job = platform.must("GET", f"/v1/jobs/{schedule['last_job']}")
            self.assertEqual((job["queue"], job["kind"]), ("transform", "run.start"))
            self.assertEqual(job["arguments"]["schedule"], {"name": "often", "scheduled_at": schedule["last_at"]})
            self.assertEqual((job["arguments"]["action"], job["arguments"]["window_seconds"]), ("replay", 3600))
            late = platform.sql(f"""
                select extract(epoch from enqueued_at - '{schedule["last_at"]}') < 15 from queue.job
                where id = {schedule["last_job"]}""")
            self.assertEqual(late, "t")
            # Every tick has one job, and no more.
            counts = platform.sql("""
                select count(*) - count(distinct arguments #>> '{schedule,scheduled_at}'), count(*) >= 4
                from queue.job where kind = 'run.start'""")
            self.assertEqual(counts, "0|t")
        finally:
            other.kill()
            other.wait()
        started = platform.must("POST", f"{PATH}/trigger")
        self.assertEqual(platform.must("GET", PATH)["last_job"], started["job"])
        self.assertIsNone(platform.must("POST", f"{PATH}/pause")["next_at"])
        status, problem = platform.call("DELETE", "/v1/pipelines/web")
        self.assertEqual((status, problem["code"]), (409, "in_use"))
        self.assertEqual(platform.call("DELETE", PATH)[0], 204)
        self.assertEqual(platform.must("GET", "/v1/schedules")["items"], [])

    def test_mistakes_are_named(self):
        wrong = {**DEFINITION, "cron": "61 * * * *", "timezone": "Mars"}
        status, problem = platform.call("PUT", PATH, json.dumps(wrong))
        self.assertEqual((status, problem["code"]), (422, "invalid_schedule"))
        self.assertEqual([fault["path"] for fault in problem["errors"]], ["cron", "timezone"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
