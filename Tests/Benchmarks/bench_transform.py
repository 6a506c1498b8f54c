"""Transformation: its own speed on one core beside `jq` and a Python loop, then as part of the whole platform.

`transform_json`: parse, six expressions and a filter over 1,000,000 records, in processor time, with the allocations a
record; the limit is simdjson's bare parse of the same bytes. `transform_log`: the combined log format, one line in a
hundred malformed, counts checked. `load16`: HTTP to queryable in 16 requests beside `psql \\copy` of clean TSV and dlt.
`quarantine`: the same with one bad record in a hundred. BENCH_RECORDS (1000000), BENCH_ROUNDS (3), BENCH_ONLY.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import bench_load
import records
from platform_under_test import PSQL, REPOSITORY, Platform, figure, say

COUNT, ROUNDS = bench_load.COUNT, bench_load.ROUNDS
BENCH = Path(os.environ.get("BENCH_TRANSFORM", REPOSITORY / ".build/release/transform-bench"))
PYTHON = Path(os.environ.get("BENCH_PEERS", REPOSITORY / ".build/bench-peers/bin")).absolute() / "python"
PEERS = Path(__file__).with_name("transform_peers.py")
FOLDER = REPOSITORY / ".build/bench"
# jq and dlt are slow: they are given a part.
JQ_SHARE, DLT_RECORDS = 10, 100_000
STEPS = [
    {"cast": {"status": "int8", "latency_ms": "float8", "user_id": "int8"}},
    {"derive": {
        "is_error": "status >= 500", "seconds": "latency_ms / 1000.0", "section": "split_part(path, '/', 2)",
        "kind": "upper(kind)", "shard": "user_id % 64"}},
    {"derive": {"label": "kind || ':' || status::text"}},
    {"filter": "status < 300"}]
JQ = ('.is_error = (.status >= 500) | .seconds = .latency_ms / 1000 | .section = (.path | split("/")[1])'
      ' | .kind |= ascii_upcase | .shard = .user_id % 64 | .label = .kind + ":" + (.status | tostring)'
      ' | select(.status < 300)')


def definition(steps, source="bench"):
    return json.dumps({"source": source, "steps": steps, "target": {"dataset": "bench"}})


def run(path, kind, steps):
    out = subprocess.run([BENCH, path, kind, definition(steps), str(ROUNDS)], check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)


def processor_seconds(command, stdout):
    before = os.times()
    subprocess.run(command, check=True, stdout=stdout)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def log_lines(path, count):
    """A log of `count` lines, one in a hundred malformed at places that a seed chooses. Gives how many are."""
    generator = random.Random(11)
    malformed = 0
    with open(path, "w", encoding="ascii") as file:
        for number in range(count):
            line = (
                f'10.{number % 200}.{generator.getrandbits(8)}.{generator.getrandbits(8)} - - '
                f'[{1 + number % 28:02d}/Mar/2026:{number % 24:02d}:{number % 60:02d}:{number // 7 % 60:02d} +0000] '
                f'"GET /catalog/products/{generator.getrandbits(32):08x}/reviews HTTP/1.1" '
                f'{records.STATUSES[generator.getrandbits(16) % 9]} {generator.getrandbits(20)} '
                '"https://example.org/start" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"')
            if generator.random() < 0.01:
                malformed += 1
                line = line[:generator.randrange(1, 40)]
            file.write(line + "\n")
    return malformed


def on_one_core():
    path = records.write(bench_load.FILE, COUNT)
    mine = run(path, "ndjson", STEPS)
    out = subprocess.run([PYTHON, "-B", PEERS, "orjson", path], check=True, stdout=subprocess.PIPE)
    looped = json.loads(out.stdout)
    if (looped["records"], looped["rows"]) != (mine["records"], mine["rows"]):
        sys.exit(f"the loop kept {looped}, the pipeline {mine}")
    part = FOLDER / "part.ndjson"
    part.write_bytes(records.parts(path, JQ_SHARE)[0])
    lines = part.read_bytes().count(b"\n")
    seconds = processor_seconds(["jq", "-c", JQ, part], subprocess.DEVNULL)
    rate = mine["records"] / (mine["read_s"] + mine["steps_s"])
    shared = {"read_s": mine["read_s"], "steps_s": mine["steps_s"], "allocations_per_record": mine["allocations"],
              "limit": round(mine["records"] / mine["bare_parse_s"])}
    for name, theirs in (("jq", lines / seconds), ("python_orjson", looped["records"] / looped["seconds"])):
        figure(bench="transform_json", rate=round(rate), peer=name, peer_rate=round(theirs), ratio=rate / theirs,
               **shared)
    log = FOLDER / "access.log"
    malformed = log_lines(log, COUNT)
    mine = run(log, "text", [{"parse": {"format": "combined"}}])
    if (mine["rejected"], mine["rows"]) != (malformed, COUNT - malformed):
        sys.exit(f"{malformed} of {COUNT} lines are malformed, not {mine}")
    figure(bench="transform_log", rate=round(COUNT / (mine["read_s"] + mine["steps_s"])), read_s=mine["read_s"],
           steps_s=mine["steps_s"], allocations_per_record=mine["allocations"], malformed=malformed)


def spoiled(bodies):
    """The bodies with one record in a hundred whose status is no number, and how many those are."""
    out, count = [], 0
    for body in bodies:
        lines = body.split(b"\n")
        for index in range(0, len(lines) - 1, 100):
            lines[index] = lines[index].replace(b'"status":', b'"status":"none","was":')
            count += 1
        out.append(b"\n".join(lines))
    return out, count


def on_the_platform(wanted):
    bodies = records.parts(records.write(bench_load.FILE, COUNT), bench_load.REQUESTS)
    bad, count = spoiled(bodies)
    with Platform() as platform:
        tsv = Path(platform.folder) / "rows.tsv"
        times = {"clean": [], "bad": [], "copy": []}
        for number in range(ROUNDS):
            table = f"ws_default.clean{number}"
            kinds = ["clean", "bad"] if "quarantine" in wanted else ["clean"]
            # Which of the two goes first alternates.
            for kind in kinds if number % 2 == 0 else reversed(kinds):
                given, spoilt = (bodies, 0) if kind == "clean" else (bad, count)
                times[kind].append(bench_load.ours(platform, f"{kind}{number}", given, bad=spoilt))
                platform.sql("checkpoint")
            if "load16" in wanted:
                subprocess.run([PSQL, "-Xq", "-h", platform.socket, "-U", "postgres", "-d", "millrace",
                                "-c", f"\\copy {table} to '{tsv}'"], check=True)
                times["copy"].append(bench_load.peer(platform, table, tsv))
                platform.sql("checkpoint")
            say(f"round {number + 1}: " + ", ".join(f"{name} {each[-1]:.2f} s" for name, each in times.items() if each))
        rate = COUNT / statistics.median(times["clean"])
        if "load16" in wanted:
            copied = COUNT / statistics.median(times["copy"])
            figure(bench="load16", rate=round(rate), peer="psql_copy", peer_rate=round(copied), ratio=rate / copied)
            # dlt asks for a host and a password; the host is the folder of the socket.
            url = f"postgresql://postgres:unused@{quote(str(platform.socket), safe='')}/millrace"
            out = subprocess.run([PYTHON, "-B", PEERS, "dlt", bench_load.FILE, str(DLT_RECORDS), url], check=True,
                                 stdout=subprocess.PIPE, env=os.environ | {"HOME": str(platform.folder)})
            loaded = json.loads(out.stdout.splitlines()[-1])
            theirs = loaded["records"] / loaded["seconds"]
            figure(bench="load16", rate=round(rate), peer="dlt", peer_rate=round(theirs), ratio=rate / theirs)
        if "quarantine" in wanted:
            cost = [bad / clean - 1 for clean, bad in zip(times["clean"], times["bad"])]
            figure(bench="quarantine", bad=count, cost=statistics.median(cost),
                   seconds=statistics.median(times["bad"]), clean_seconds=statistics.median(times["clean"]))


def main():
    wanted = set(os.environ.get("BENCH_ONLY", "core load16 quarantine").split())
    FOLDER.mkdir(parents=True, exist_ok=True)
    if "core" in wanted:
        on_one_core()
    if wanted & {"load16", "quarantine"}:
        on_the_platform(wanted)


if __name__ == "__main__":
    begun = time.monotonic()
    main()
    say(f"{time.monotonic() - begun:.0f} s")
