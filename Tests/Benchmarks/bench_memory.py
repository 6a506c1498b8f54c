"""2 GB of NDJSON in one request, then 100 requests of 50 MB at once, through the gateway: the largest resident memory
(VmHWM) of every process of ours, and that nginx wrote nothing to its temporary files.

The disk needs room for the rows: about 12 GB. BENCH_MEGABYTES and BENCH_PARALLEL make it smaller.
"""

import json
import os
import re
import socket
import sys
import threading
import time
from pathlib import Path

import records
from platform_under_test import REPOSITORY, SERVICES, Platform, figure, say

MEGABYTES = int(os.environ.get("BENCH_MEGABYTES", "2000"))
PARALLEL = int(os.environ.get("BENCH_PARALLEL", "100"))
EACH = 50
COUNT = 300_000  # records in the piece that is sent over and over, about 50 MB
FILE = REPOSITORY / f".build/bench/records-{COUNT}.ndjson"


def send(platform, source, piece, repeats):
    """Streams the piece `repeats` times in one request; the receipt's id."""
    with socket.create_connection(("127.0.0.1", platform.port), timeout=900) as connection:
        connection.sendall((
            f"POST /v1/ingest/{source} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {platform.key}\r\n"
            f"Content-Type: application/x-ndjson\r\nContent-Length: {len(piece) * repeats}\r\nConnection: close\r\n\r\n"
        ).encode())
        for _ in range(repeats):
            connection.sendall(piece)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 202 " not in head.split(b"\r\n")[0] + b" ":
        sys.exit(f"not accepted: {answer[:500]}")
    return json.loads(body[body.index(b"{"):body.rindex(b"}") + 1])["receipt"]


def peaks(platform):
    """{service: largest VmHWM of its processes in MB}"""
    result = {}
    for pid, command in platform.processes().items():
        match = re.search(r"millrace-(\w+)$", command.split(" ")[0]) or re.match(r"(nginx)", command)
        if match:
            text = Path(f"/proc/{pid}/status").read_text()
            peak = int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024
            result[match[1]] = max(peak, result.get(match[1], 0))
    return result


class TemporaryFiles(threading.Thread):
    """Watches nginx's temporary folder, and the files it holds open without a name."""

    def __init__(self, platform):
        super().__init__(daemon=True)
        self.folder = os.path.realpath(platform.home / "socket/gateway/temporary")
        self.workers = [pid for pid, command in platform.processes().items() if command.startswith("nginx")]
        self.seen = 0
        self.over = False

    def run(self):
        while not self.over:
            self.seen += sum(self.is_kept(path) for path in Path(self.folder).rglob("*") if path.is_file())
            for pid in self.workers:
                try:
                    self.seen += sum(self.is_kept(os.readlink(path)) for path in Path(f"/proc/{pid}/fd").iterdir())
                except OSError:
                    continue
            time.sleep(0.05)

    def is_kept(self, path):
        return str(path).startswith(self.folder) and not str(path).endswith("nginx.pid")


def main():
    piece = records.write(FILE, COUNT).read_bytes()
    expected = {"one": MEGABYTES * 1_000_000 // len(piece) * COUNT, "many": PARALLEL * COUNT}
    with Platform() as platform:
        watch = TemporaryFiles(platform)
        watch.start()
        for source in expected:
            platform.must("PUT", f"/v1/datasets/{source}", json.dumps(records.DATASET))
        begun = time.monotonic()
        send(platform, "one", piece, MEGABYTES * 1_000_000 // len(piece))
        say(f"one request of {MEGABYTES} MB: accepted after {time.monotonic() - begun:.1f} s; {peaks(platform)}")
        platform.wait_finished("one", 900)
        threads = [threading.Thread(target=send, args=(platform, "many", piece, 1)) for _ in range(PARALLEL)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        say(f"{PARALLEL} requests of {EACH} MB: accepted after {time.monotonic() - begun:.1f} s; {peaks(platform)}")
        platform.wait_finished("many", 1800)
        for source, count in expected.items():
            stored = int(platform.sql(f"select count(*) from ws_default.{source}"))
            if stored != count:
                sys.exit(f"{source}: {stored} rows of {count}")
        watch.over = True
        found = peaks(platform)
        say(f"stored after {time.monotonic() - begun:.1f} s")
        figure(bench="memory", **{f"{name}_mb": found[name] for name in (*SERVICES, "nginx")},
               temporary_files=watch.seen, worst_service_mb=max(found[name] for name in SERVICES))


if __name__ == "__main__":
    main()
