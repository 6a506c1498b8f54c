"""One event a request on 64 connections for 60 s with the whole path running, and how far storing lags at the end.

The peer is FastAPI + asyncpg, a worker a core, which inserts each event durably on the same server. wrk speaks to
ingest and to the peer directly; the figure through the gateway is there too.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import records
from platform_under_test import Platform, figure, say

SECONDS = int(os.environ.get("BENCH_SECONDS", "60"))
CONNECTIONS = 64


def load(url, arguments):
    """Runs wrk; (requests a second, answered with 2xx, failed, median ms, p99 ms)."""
    done = subprocess.run(
        ["wrk", "-t", "2", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "--timeout", "10s",
         "-s", Path(__file__).with_name("event.lua"), url, "--", *arguments],
        stdout=subprocess.PIPE, text=True, check=True)
    match = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)$", done.stdout, re.M)
    if not match:
        sys.exit(f"wrk said nothing of use:\n{done.stdout}")
    requests, micros, status, sockets, timeouts = map(int, match.groups()[:5])
    good = requests - status
    return good / (micros / 1e6), good, status + sockets + timeouts, float(match[6]), float(match[7])


def ours(platform, source, port):
    platform.must("PUT", f"/v1/datasets/{source}", json.dumps(records.DATASET))
    rate, good, failed, median, high = load(
        f"http://127.0.0.1:{port}/v1/ingest/{source}", ["application/x-ndjson", platform.key])
    ended = time.monotonic()
    platform.wait_finished(source)
    lag = time.monotonic() - ended
    stored = int(platform.sql(f"select count(*) from ws_default.{source}"))
    # A request under way when wrk stopped may be stored without an answer; an answered one must be.
    if not good <= stored <= good + CONNECTIONS:
        sys.exit(f"{good} events were acknowledged and {stored} are stored")
    say(f"ours on port {port}: {rate:.0f}/s, {failed} failed, {median} ms (p99 {high} ms), lag {lag:.2f} s")
    return {"rate": rate, "failed": failed, "median_ms": median, "p99_ms": high, "lag_s": lag}


def peer(platform, port):
    platform.sql("""
        create schema peer authorization millrace;
        create table peer.event (id int8, at timestamptz, user_id int8, kind text, path text, status int8,
                                 latency_ms float8, ok bool);
        alter table peer.event owner to millrace""")
    server = subprocess.Popen(
        [Path(os.environ["BENCH_PEERS"]).resolve() / "uvicorn", "peer_event:app", "--port", str(port), "--workers", "2",
         "--no-access-log", "--log-level", "warning"],
        cwd=Path(__file__).parent, env={**os.environ, "PEER_SOCKET": platform.socket, "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                connection = platform.connect(port)
                connection.request("GET", "/openapi.json")
                connection.getresponse().read()
                break
            except OSError:
                if time.monotonic() > deadline or server.poll() is not None:
                    sys.exit("the peer did not start")
                time.sleep(0.1)
        rate, good, failed, median, high = load(f"http://127.0.0.1:{port}/events", ["application/json"])
    finally:
        server.terminate()
        server.wait(30)
    stored = int(platform.sql("select count(*) from peer.event"))
    if stored < good:
        sys.exit(f"the peer acknowledged {good} events and stored {stored}")
    platform.sql("drop schema peer cascade; checkpoint")
    say(f"peer: {rate:.0f}/s, {failed} failed, {median} ms (p99 {high} ms)")
    return {"rate": rate, "failed": failed}


def main():
    with Platform() as platform:
        first = ours(platform, "events_a", platform.port_of("ingest"))
        platform.sql("checkpoint")
        theirs = peer(platform, platform.port + 9)
        second = ours(platform, "events_b", platform.port_of("ingest"))
        platform.sql("checkpoint")
        through = ours(platform, "events_c", platform.port)
    mine = {name: (first[name] + second[name]) / 2 for name in first}
    figure(bench="event", rate=round(mine["rate"]), peer="fastapi_asyncpg", peer_rate=round(theirs["rate"]),
           ratio=mine["rate"] / theirs["rate"], lag_s=max(first["lag_s"], second["lag_s"]), failed=mine["failed"],
           median_ms=mine["median_ms"], p99_ms=mine["p99_ms"])
    figure(bench="event_gateway", rate=round(through["rate"]), peer="fastapi_asyncpg", peer_rate=round(theirs["rate"]),
           ratio=through["rate"] / theirs["rate"], lag_s=through["lag_s"], failed=through["failed"])


if __name__ == "__main__":
    main()
