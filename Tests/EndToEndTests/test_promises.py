"""Promises in their short form: those that can be tried in a minute; and that the judgement finds what it looks for."""

import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "Tests/Promises"))
import promises  # noqa: E402
import upgrades  # noqa: E402
from load import Judgement, Load  # noqa: E402
from ports import first_port  # noqa: E402

SHORT = ("lost_answers", "away", "pooled", "dump")


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


class Telling(unittest.TestCase):
    HELD = ("one", "held", {"load": "6 clients", "faults": "killed", "lost": 0, "repeated": 0})
    UNTRIED = ("two", "not tried", {"why": "a small disk needs root"})
    BROKEN = ("three", "broken", {"why": "lost 1"})

    def test_what_was_not_tried_is_said_and_fails_where_all_must_be(self):
        self.assertEqual([promises.status(rows, must) for must in (False, True) for rows in (
            [self.HELD], [self.HELD, self.UNTRIED], [self.BROKEN, self.HELD])], [0, 0, 1, 0, 1, 1])
        lines = list(promises.table([self.HELD, self.UNTRIED, self.BROKEN]))
        self.assertEqual(lines[0].split()[:2], ["promise", "outcome"])
        self.assertEqual(lines[2].split(), ["two", "NOT", "TRIED", "-", "-", "-", "-"])
        self.assertEqual(lines[4:], ["1 of 3 promises held, 1 broken, 1 not tried",
                                     "NOT TRIED: two: a small disk needs root", "BROKEN: three: lost 1"])

    def test_root_has_to_try_all_unless_told_otherwise(self):
        text = (REPOSITORY / "Tests/Promises/promises").read_text()
        lines = "\n".join(line for line in text.splitlines() if "PROMISES_ALL" in line and not line.startswith("#"))
        for given, root in ((None, "1" if os.geteuid() == 0 else "0"), ("0", "0"), ("1", "1")):
            environment = {"PATH": os.environ["PATH"]} | ({"PROMISES_ALL": given} if given else {})
            done = subprocess.run(["bash", "-c", f"{lines}\necho $PROMISES_ALL"], env=environment, text=True,
                                  stdout=subprocess.PIPE, check=True)
            self.assertEqual(done.stdout.strip(), root, given)


class OldVersion(unittest.TestCase):
    def test_its_migrations_are_some_of_these_and_unchanged(self):
        if int(upgrades.git("rev-list", "--count", "HEAD")) <= upgrades.COMMITS:
            self.skipTest("this clone has no commits that lie back so far")
        reference = upgrades.old_reference()
        old, own = upgrades.migrations(reference), upgrades.migrations("HEAD")
        self.assertEqual(old, {name: own.get(name) for name in old})
        self.assertLess(len(old), len(own))
        self.assertIn(upgrades.SINCE, old)
        behind = upgrades.git("rev-list", "--count", f"{reference}..HEAD")
        self.assertGreaterEqual(int(behind), upgrades.COMMITS)

    def test_what_takes_something_away_says_what_an_earlier_release_makes_of_it(self):
        silent = set()
        for path in (REPOSITORY / "Shared/Migrations/SQL").glob("*.sql"):
            text = path.read_text()
            drops = re.search(r"(?im)^ *drop (function|view|schema|sequence)|drop column|rename (to|column)", text)
            says = re.match(r"(-- .*\n)*-- .*earlier (release|version)", text)
            if drops and not says:
                silent.add(path.name)
        # These are from before the promise.
        self.assertEqual({name for name in silent if name >= upgrades.SINCE}, set())
        self.assertTrue(silent)


class Moving(unittest.TestCase):
    def test_clients_follow_when_the_ports_change(self):
        load = Load.__new__(Load)
        load.ports = [1, 1, 2]
        self.assertEqual([load.port_of(number) for number in range(4)], [1, 1, 2, 1])
        load.ports = [3]
        self.assertEqual([load.port_of(number) for number in range(4)], [3, 3, 3, 3])


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
