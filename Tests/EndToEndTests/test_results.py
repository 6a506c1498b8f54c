"""Large answers in bounded memory: rows by the hundred thousand with bound parameters, as JSON, CSV and NDJSON, to a
client that is fast and to one that stops and goes on slowly. Meanwhile the memory of the service and of PostgreSQL's
backend is watched.

RESULT_ROWS (500000): 5000000 for the long form, with BENCH_BINARIES of a release build.
"""

import json
import os
import re
import socket
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402

ROWS = int(os.environ.get("RESULT_ROWS", "500000"))
# Each row is read from the set as it is made: nothing is gathered by the statement itself.
SQL = """select g as id, $1 || g as word, g * $2::float8 as x, timestamptz '2026-01-01Z' + g * interval '1 second' as at
    from (select generate_series(1, $3::int8) as g) s"""
SERVICE_MEGABYTES = 32
BACKEND_MEGABYTES = 32


def setUpModule():
    global platform
    # An answer in JSON has a limit, which is to hold all rows here.
    platform = Platform(port=first_port(__file__),
                        settings={"MILLRACE_QUERY_MAX_BYTES": "2GiB",
                                  "MILLRACE_POSTGRES_PROCESS_MEMORY": "384"}).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


def kilobytes(pid, field):
    try:
        found = re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) if found else 0
    except OSError:
        return 0


class Memory(threading.Thread):
    """The most that the service grew by, and that a backend of its queries had for itself, in MB."""

    def __init__(self):
        super().__init__(daemon=True)
        self.service = next(pid for pid, command in platform.processes().items()
                            if re.search(r"millrace-analytics$", command.split(" ")[0]))
        self.before = kilobytes(self.service, "VmRSS")
        self.grown = self.backend = 0
        self.over = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def run(self):
        pid = None
        while not self.over.wait(0.05):
            self.grown = max(self.grown, (kilobytes(self.service, "VmRSS") - self.before) / 1024)
            pid = pid or backend()[0]
            self.backend = max(self.backend, kilobytes(pid, "RssAnon") / 1024 if pid else 0)


def backend():
    """(pid, what it waits for) of the backend that runs the query."""
    found = platform.sql("select pid, wait_event from pg_stat_activity where usename ~ '^millrace_ws_' "
                         "and query ~ 'generate_series' and state <> 'idle'")
    pid, _, event = found.splitlines()[0].partition("|") if found else ("", "", "")
    return int(pid or 0), event


class Answer:
    """An answer that is read as fast as the test wants, past the gateway."""

    def __init__(self, form):
        body = json.dumps({"sql": SQL, "params": ["it's ", 0.5, ROWS], "format": form, "timeout": "60s",
                           **({"limit": ROWS} if form == "json" else {})})
        self.socket = socket.create_connection(("127.0.0.1", platform.port_of("analytics")), timeout=120)
        self.socket.sendall(
            f"POST /v1/query HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {platform.key}\r\n"
            f"Connection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n\r\n"
            f"{body}".encode())
        self.bytes = self.rows = 0
        self.kept = b""
        self.mark = {"json": b"\"it's ", "csv": b"it's ", "ndjson": b"\"word\":\"it's "}[form]

    def read(self, most=1 << 18):
        """False at the end."""
        piece = self.socket.recv(most)
        if not piece:
            return False
        self.bytes += len(piece)
        # A mark may lie over the border of two pieces, and so may the chunks' own lines: those are taken out.
        text = re.sub(rb"\r\n[1-9a-f][0-9a-f]*\r\n", b"", self.kept + piece)
        cut = max(0, len(text) - 64)
        self.rows += text.count(self.mark, 0, cut)
        self.kept = text[max(0, cut - len(self.mark) + 1):]
        return True

    def finish(self):
        while self.read():
            pass
        self.socket.close()
        self.rows += self.kept.count(self.mark)
        return self.kept


class Results(unittest.TestCase):
    def check(self, form, answer, tail, memory):
        self.assertEqual(answer.rows, ROWS)
        self.assertIn(str(ROWS).encode(), tail)
        self.assertTrue(tail.endswith(b"0\r\n\r\n"), tail)
        self.assertGreater(answer.bytes, 40 * ROWS)
        self.assertLess(memory.grown, SERVICE_MEGABYTES)
        self.assertGreater(memory.backend, 0)
        self.assertLess(memory.backend, BACKEND_MEGABYTES)
        print(f"{form}: {answer.bytes / 1e6:.0f} MB; the service grew by {memory.grown:.1f} MB, the backend had "
              f"{memory.backend:.1f} MB", file=sys.stderr)

    def test_a_query_that_gathers_too_much_fails_alone(self):
        # The oldest sessions of the services: had PostgreSQL lost a process, it would have ended them.
        oldest = "select min(backend_start) from pg_stat_activity where usename = 'millrace'"
        before = platform.sql(oldest)
        greedy = {"sql": "select cardinality(array_agg(repeat('x', 10000 + g % 2))) "
                         "from (select generate_series(1, 150000) g) s", "timeout": "60s"}
        for _ in range(3):
            status, answer = platform.call("POST", "/v1/query", json.dumps(greedy))
            self.assertEqual((status, answer["code"], answer.get("sqlstate")), (422, "query_too_large", "53200"))
        self.assertEqual(platform.must("POST", "/v1/query", '{"sql": "select 1 as one"}')["rows"], [[1]])
        self.assertEqual(platform.sql(oldest), before)

    def test_fast_readers(self):
        for form in ("json", "csv", "ndjson"):
            with self.subTest(form), Memory() as memory:
                answer = Answer(form)
                tail = answer.finish()
                self.check(form, answer, tail, memory)

    def test_a_reader_that_stops_and_goes_on_slowly(self):
        for form in ("json", "csv", "ndjson"):
            with self.subTest(form), Memory() as memory:
                answer = Answer(form)
                answer.read()
                # All buffers are full: the server waits for the service, as that does for its client.
                wait_for("the backend to wait", lambda: backend()[1] == "ClientWrite", 30)
                for _ in range(200):
                    answer.read(4096)
                    time.sleep(0.005)
                wait_for("the backend to wait again", lambda: backend()[1] == "ClientWrite", 30)
                tail = answer.finish()
                self.check(form + ", slow", answer, tail, memory)


if __name__ == "__main__":
    unittest.main()
