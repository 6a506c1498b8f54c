"""The drain's proof in its short form: a service under load is told to stop, and no request that it accepted fails."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from ports import first_port

REPOSITORY = Path(__file__).resolve().parents[2]


class DrainTests(unittest.TestCase):
    def test_a_service_that_is_told_to_stop_finishes_what_it_accepted(self):
        environment = {
            "BENCH_BINARIES": str(REPOSITORY / ".build/debug"), "DRAIN_TERMINATIONS": "3",
            "BENCH_PORT": str(first_port(__file__)), **os.environ}
        done = subprocess.run(
            [sys.executable, "-B", "Tests/Oracle/drain.py"], cwd=REPOSITORY, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual((found["lost"], found["broken"], found["faults"]), (0, 0, 0))
        self.assertGreater(found["answered"], 100)
        self.assertGreater(found["acknowledged"], 100)


if __name__ == "__main__":
    unittest.main(verbosity=2)
