"""From a service's start to its first 200 of /readyz. `make bench-start` measures the release build."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from ports import first_port

REPOSITORY = Path(__file__).resolve().parents[2]


class StartTests(unittest.TestCase):
    def test_a_service_is_ready_within_300_milliseconds(self):
        environment = {"BENCH_BINARIES": str(REPOSITORY / ".build/debug"), "BENCH_PORT": str(first_port(__file__)),
                       "BENCH_STARTS": "5", **os.environ}
        done = subprocess.run(
            [sys.executable, "-B", "Tests/Benchmarks/bench_start.py"], cwd=REPOSITORY, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, check=False)
        measured = {json.loads(line)["service"]: json.loads(line) for line in done.stdout.splitlines()}
        self.assertEqual(set(measured), {"ingest", "transform", "store", "analytics"}, done.stdout + done.stderr)
        for figures in measured.values():
            # What a busy machine adds is no part of a start; the benchmark holds the median to the same.
            self.assertLess(figures["least_ms"], 300)


if __name__ == "__main__":
    unittest.main(verbosity=2)
