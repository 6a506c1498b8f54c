"""A table of 2,000,000 rows turned into another by a run, with three expressions and a filter, beside one
`insert into … select …` by psql that does the same.

The peer's table is `like` ours with its defaults and indexes, and holds lineage columns, too. Both write the same rows,
which are compared once. Three rounds each, alternating; the figures are medians. `reading` is the part of ours until
the last slice is read and transformed; the rest is loading.
"""

import json
import os
import statistics
import sys
import time

from platform_under_test import Platform, figure, say

COUNT = int(os.environ.get("BENCH_RECORDS", "2000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
COLUMNS = [("id", "int8"), ("at", "timestamptz"), ("path", "text"), ("status", "int8"), ("bytes", "int8"),
           ("latency", "float8"), ("price", "numeric")]
STEPS = [
    {"filter": "status <> 404"},
    {"derive": {"kb": "bytes / 1024.0", "is_error": "status >= 500", "section": "upper(split_part(path, '/', 2))"}},
]
SELECT = """select id, at, path, status, bytes, latency, price, bytes / 1024.0, status >= 500,
    upper(split_part(path, '/', 2)){lineage} from ws_default.requests where status <> 404"""
OURS = "select id, at, path, status, bytes, latency, price, kb, is_error, section from ws_default.{}"


def prepare(platform):
    declared = [{"name": name, "type": kind} for name, kind in COLUMNS]
    platform.must("PUT", "/v1/datasets/requests", json.dumps({"columns": declared}))
    record = {"id": 0, "at": "2026-01-01T00:00:00Z", "path": "/a/0", "status": 200, "bytes": 1, "latency": 0.5,
              "price": 1.25}
    platform.must("POST", "/v1/ingest/requests?wait=stored", json.dumps(record) + "\n", "application/x-ndjson")
    platform.sql(f"""insert into ws_default.requests (id, at, path, status, bytes, latency, price, _batch, _row, _out)
        select n, timestamptz '2026-01-01' + n * interval '1 second', '/' || (array['shop','img','api'])[n % 3 + 1]
            || '/' || md5(n::text), (array[200, 200, 200, 304, 404, 500])[n % 6 + 1], n * 7919 % 1000000,
            n % 997 / 7.0::float8, n % 10000 / 100.0, 0, n, 0
        from generate_series(1, {COUNT - 1}) n""")
    platform.sql("vacuum analyze ws_default.requests")


def ours(platform, name):
    """Seconds until the run has succeeded, and until the last slice was read."""
    definition = {"source": {"dataset": "requests"}, "steps": STEPS, "target": {"dataset": name}}
    platform.must("PUT", f"/v1/pipelines/{name}", json.dumps(definition))
    begun = time.monotonic()
    run = platform.must("POST", f"/v1/pipelines/{name}/run")["run"]
    reading = None
    while True:
        found = platform.must("GET", f"/v1/runs/{run}")
        now = time.monotonic() - begun
        batches = found["batches"]
        if reading is None and batches["total"] and batches["transformed"] == batches["total"]:
            reading = now
        if found["state"] == "succeeded":
            return now, reading
        if found["state"] not in ("queued", "running"):
            sys.exit(f"the run ended as {found}")
        time.sleep(0.05)


def peer(platform, name, like):
    platform.sql(f"create table ws_default.{name} (like ws_default.{like} including all)")
    columns = ", ".join(name for name, _ in COLUMNS) + ", kb, is_error, section, _batch, _row, _out"
    begun = time.monotonic()
    platform.sql(f"insert into ws_default.{name} ({columns}) " + SELECT.format(lineage=", 1::int8, 0, 0"))
    return time.monotonic() - begun


def main():
    with Platform() as platform:
        prepare(platform)
        mine, reading, theirs = [], [], []
        for number in range(ROUNDS):
            platform.sql("checkpoint")
            seconds, read = ours(platform, f"ours_{number}")
            mine.append(seconds)
            reading.append(read)
            platform.sql("checkpoint")
            theirs.append(peer(platform, f"theirs_{number}", f"ours_{number}"))
            say(f"round {number + 1}: ours {seconds:.2f} s (reading {read:.2f} s), insert select {theirs[-1]:.2f} s")
        expected = SELECT.format(lineage="")
        if (rest := platform.sql(f"select count(*) from ({expected} except all {OURS.format('ours_0')}) t")) != "0":
            sys.exit(f"{rest} rows differ")
        rate, peer_rate = COUNT / statistics.median(mine), COUNT / statistics.median(theirs)
        figure(bench="table_run", rate=round(rate), peer="insert_select", peer_rate=round(peer_rate),
               ratio=rate / peer_rate, seconds=statistics.median(mine), reading=statistics.median(reading))


if __name__ == "__main__":
    main()
