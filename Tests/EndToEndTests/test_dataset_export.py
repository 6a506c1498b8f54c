"""Exports of a large dataset on the whole platform: the rows that the table has, in memory that does not grow with
them."""

import csv
import io
import json
import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402

ROWS = int(os.environ.get("EXPORT_ROWS", "200000"))
# A piece as it came and as it goes, and what the allocator keeps of that.
GROWTH = 64 << 20
COLUMNS = [{"name": "id", "type": "int8"}, {"name": "at", "type": "timestamptz"}, {"name": "path", "type": "text"},
           {"name": "amount", "type": "numeric"}, {"name": "share", "type": "float8"}, {"name": "ok", "type": "bool"}]


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()
    platform.must("PUT", "/v1/datasets/visits", json.dumps({"columns": COLUMNS}))
    platform.must("POST", "/v1/ingest/visits?wait=stored", '{"id": 0, "path": "x"}\n',
                  content_type="application/x-ndjson")
    platform.sql(f"""insert into ws_default.visits (id, at, path, amount, share, ok, _batch, _row, _out)
        select n, '2026-01-01'::timestamptz + n * '1 s'::interval, '/shop/' || n % 1000, n / 100.0, n / 7.0::float8,
            n % 3 = 0, 0, n, 0 from generate_series(1, {ROWS - 1}) n""")


def tearDownModule():
    platform.__exit__()


class Export(unittest.TestCase):
    def store_memory(self):
        """The most that store has had in memory, in bytes."""
        for pid, line in platform.processes().items():
            if line.split(" ")[0].endswith("millrace-store"):
                status = Path(f"/proc/{pid}/status").read_text()
                return int(status.split("VmHWM:")[1].split()[0]) << 10
        self.fail("store does not run")

    def export(self, query, sink=None):
        connection = platform.connect()
        connection.request("GET", f"/v1/datasets/visits/export?{query}",
                           headers={"Authorization": f"Bearer {platform.key}"})
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        size = 0
        while piece := answer.read(1 << 20):
            size += len(piece)
            if sink is not None:
                sink.write(piece)
        connection.close()
        return size

    def test_rows_are_those_of_the_table_in_bounded_memory(self):
        self.export("format=csv&where=id%20%3C%20100")
        before = self.store_memory()
        sink = io.BytesIO()
        self.assertGreater(self.export("format=csv&columns=id,path,ok", sink), ROWS * 15)
        rows = list(csv.reader(io.StringIO(sink.getvalue().decode())))
        self.assertEqual(rows[0], ["id", "path", "ok"])
        self.assertEqual(len(rows) - 1, ROWS)
        self.assertEqual(sum(int(row[0]) for row in rows[1:]), ROWS * (ROWS - 1) // 2)
        self.assertEqual(sum(row[2] == "true" for row in rows[1:]), (ROWS - 1) // 3)
        self.export("format=ndjson")
        self.assertLess(self.store_memory() - before, GROWTH)


if __name__ == "__main__":
    unittest.main()
