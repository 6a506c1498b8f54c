"""1,000,000 JSON records in 16 requests, from the first byte sent to the last row queryable, beside `psql \\copy`. They
are sent at once; BENCH_CLIENTS=4 has four under way at a time.

Each request is answered once its rows are committed; a query right after the last answer has to see all of them.

The peer copies the same rows as clean TSV into the same table definition on the same server. Three rounds each,
alternating; the figures are medians.

The peer's table is `like` ours with its defaults and indexes; its file holds our rows as they lie in our table, lineage
columns included, so both write the same rows. Both commit with synchronous_commit on.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import records
from platform_under_test import PSQL, REPOSITORY, Platform, figure, say

COUNT = int(os.environ.get("BENCH_RECORDS", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
REQUESTS = 16
CLIENTS = int(os.environ.get("BENCH_CLIENTS", REQUESTS))  # requests under way at a time
FILE = REPOSITORY / f".build/bench/records-{COUNT}.ndjson"


def ours(platform, name, bodies, bad=0):
    """Seconds from the first byte to the last row queryable; the dataset is declared beforehand. `bad` of the records
    are to be quarantined."""
    platform.must("PUT", f"/v1/datasets/{name}", json.dumps(records.DATASET))
    waiting = list(bodies)
    receipts = []
    faults = []
    lock = threading.Lock()

    def client():
        connection = platform.connect()
        while True:
            with lock:
                if not waiting:
                    break
                body = waiting.pop(0)
            status, receipt = platform.call(
                "POST", f"/v1/ingest/{name}?wait=stored&timeout=60s", body, "application/x-ndjson", connection)
            if status != 200:
                faults.append((status, receipt))
            receipts.append(receipt)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        sys.exit(f"not accepted: {faults[0]}")
    elapsed = time.monotonic() - begun
    seen = platform.must("POST", "/v1/query", json.dumps({"sql": f"select count(*) from {name}"}))["rows"]
    if seen != [[COUNT - bad]]:
        sys.exit(f"{COUNT - bad} rows are said to be stored, and a query sees {seen}")
    quarantined = sum(platform.must("GET", f"/v1/receipts/{receipt['receipt']}")["quarantined"] for receipt in receipts)
    if quarantined != bad:
        sys.exit(f"{quarantined} records were quarantined, not {bad}")
    return elapsed


def peer(platform, table, file):
    """Seconds that psql takes to copy the file into a new table of the same definition."""
    platform.sql(f"create table public.copied (like {table} including all)")
    begun = time.monotonic()
    subprocess.run([PSQL, "-Xq", "-h", platform.socket, "-U", "postgres", "-d", "millrace", "-v", "ON_ERROR_STOP=1",
                    "-c", f"\\copy public.copied from '{file}'"], check=True)
    elapsed = time.monotonic() - begun
    if platform.sql("select count(*) from public.copied") != str(COUNT):
        sys.exit("psql copied other rows than ours")
    platform.sql("drop table public.copied")
    return elapsed


def main():
    records.write(FILE, COUNT)
    bodies = records.parts(FILE, REQUESTS)
    bytes_in = sum(map(len, bodies))
    with Platform() as platform:
        tsv = Path(platform.folder) / "rows.tsv"
        mine, theirs = [], []
        for number in range(ROUNDS):
            name = f"load{number}"
            table = f"ws_default.{name}"
            mine.append(ours(platform, name, bodies))
            subprocess.run([PSQL, "-Xq", "-h", platform.socket, "-U", "postgres", "-d", "millrace",
                            "-c", f"\\copy {table} to '{tsv}'"], check=True)
            # What either leaves to write is written before the other begins.
            platform.sql("checkpoint")
            theirs.append(peer(platform, table, tsv))
            platform.sql("checkpoint")
            say(f"round {number + 1}: ours {mine[-1]:.2f} s, psql \\copy {theirs[-1]:.2f} s")
        rate, peer_rate = COUNT / statistics.median(mine), COUNT / statistics.median(theirs)
        figure(bench="load", rate=round(rate), peer="psql_copy", peer_rate=round(peer_rate), ratio=rate / peer_rate,
               megabytes=round(bytes_in / 1e6), seconds=statistics.median(mine))


if __name__ == "__main__":
    main()
