"""The oracle in its short form: some kills of each service and of PostgreSQL while clients send, then a comparison."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from ports import first_port

REPOSITORY = Path(__file__).resolve().parents[2]


class OracleTests(unittest.TestCase):
    def test_what_was_acknowledged_is_stored_once(self):
        environment = {
            "BENCH_BINARIES": str(REPOSITORY / ".build/debug"), "ORACLE_RECORDS": "40000", "ORACLE_KILLS": "3",
            "ORACLE_POSTGRES_KILLS": "2", "BENCH_PORT": str(first_port(__file__)), **os.environ}
        done = subprocess.run(
            [sys.executable, "-B", "Tests/Oracle/oracle.py"], cwd=REPOSITORY, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(found["faults"], 0)
        self.assertGreaterEqual(found["acknowledged"], 40000)
        self.assertGreater(found["inside_transactions"], 0)
        self.assertEqual(set(found["kills"].values()), {2, 3})


if __name__ == "__main__":
    unittest.main(verbosity=2)
