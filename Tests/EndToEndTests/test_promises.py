"""Promises in their short form: those that can be tried in a minute; and that the judgement finds what it looks for."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "Tests/Promises"))
from load import Judgement  # noqa: E402
from ports import first_port  # noqa: E402

SHORT = ("lost_answers", "away", "pooled")


class ShortForm(unittest.TestCase):
    def test_what_takes_a_minute_is_held(self):
        environment = {
            "BENCH_BINARIES": str(REPOSITORY / ".build/debug"), "PROMISES_AWAY": "4", "PROMISES_SECONDS": "4",
            "PROMISES_PORT": str(first_port(__file__)), **os.environ}
        done = subprocess.run(
            [sys.executable, "-B", "Tests/Promises/promises.py", *SHORT], cwd=REPOSITORY, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        found = {line["promise"]: line for line in map(json.loads, done.stdout.splitlines())}
        self.assertEqual(set(found), set(SHORT))
        for name, line in found.items():
            self.assertEqual((line["outcome"], line["lost"], line["repeated"]), ("held", 0, 0), name)
            self.assertGreater(line["acknowledged"], 1000)


class Judging(unittest.TestCase):
    # (records, bad records, when sent, when acknowledged)
    ATTEMPTS = {(0, 0, 0): (3, 1, 1.0, 2.0), (0, 1, 0): (2, 0, 3.0, None)}
    WHOLE = {(0, 0, 0): (3, 3)}
    BAD = {(0, 0, 0): 1}

    def judge(self, stored, quarantined, **how):
        found = Judgement(self.ATTEMPTS, stored, quarantined, **how)
        return found.lost, found.repeated, found.torn, len(found.faults)

    def test_what_is_right_is_no_fault(self):
        self.assertEqual(self.judge(self.WHOLE, self.BAD), (0, 0, 0, 0))
        # The answer was lost: it is stored all the same.
        self.assertEqual(self.judge(self.WHOLE | {(0, 1, 0): (2, 2)}, self.BAD), (0, 0, 0, 0))

    def test_what_is_lost_repeated_or_torn_is_found(self):
        self.assertEqual(self.judge({}, self.BAD), (3, 0, 0, 1))
        self.assertEqual(self.judge(self.WHOLE, {}), (1, 0, 0, 1))
        self.assertEqual(self.judge({(0, 0, 0): (4, 3)}, self.BAD), (0, 1, 0, 1))
        self.assertEqual(self.judge(self.WHOLE, {(0, 0, 0): 2}), (0, 1, 0, 1))
        self.assertEqual(self.judge(self.WHOLE | {(0, 1, 0): (1, 1)}, self.BAD), (0, 0, 1, 1))
        self.assertEqual(self.judge(self.WHOLE | {(9, 9, 9): (1, 1)}, self.BAD), (0, 1, 0, 1))

    def test_a_restored_moment_has_what_came_before_it_and_nothing_after(self):
        before = {"must": lambda sent, at: at is not None and at < 1.5, "may": lambda sent, at: sent < 1.5}
        self.assertEqual(self.judge({}, {}, **before), (0, 0, 0, 0))
        self.assertEqual(self.judge(self.WHOLE | {(0, 1, 0): (2, 2)}, self.BAD, **before)[3], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
