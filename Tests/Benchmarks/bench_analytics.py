"""What analytics adds to PostgreSQL: one statement through `/v1/query` beside a psql session that stays open, a large
answer as CSV beside `psql \\copy`, cached endpoints beside the service's own static answer, a dataset's profile beside
one SQL statement with the same figures; then rollups: how fast they are read at 1 and at 10 million rows, and what two
of them cost while rows are loaded. All in turns, in one run.

BENCH_RECORDS (1000000): rows of the exported dataset, and a tenth of the rows that a rollup is read over.
BENCH_ROUNDS (5), BENCH_SECONDS (90): of wrk, in all. BENCH_ONLY: names of parts, by commas.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlencode

from platform_under_test import PSQL, Platform, figure, say

COUNT = int(os.environ.get("BENCH_RECORDS", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = max(1, int(os.environ.get("BENCH_SECONDS", "90")) // (2 * 5))
CALLS = 200
CONNECTIONS = 64
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
MINUTES, GROUPS = 1440, 1000
STATEMENTS = {
    "point": "select id, customer, amount from sales where id = 4711",
    "group": "select status, count(*), avg(amount), max(at) from sales where id < 100000 group by status order by 1",
}
SHARES = "array[0.01,0.05,0.25,0.5,0.75,0.95,0.99]"


class Session:
    """A psql that stays connected."""

    def __init__(self, platform):
        self.process = subprocess.Popen(
            [PSQL, "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", platform.socket, "-U", "postgres", "-d", "millrace"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.run("set search_path = ws_default; set timezone = 'UTC'")

    def run(self, statement):
        self.process.stdin.write(f"{statement};\n\\echo -- end\n")
        self.process.stdin.flush()
        rows = []
        while (line := self.process.stdout.readline()) != "-- end\n":
            if not line:
                sys.exit("psql has ended")
            rows.append(line)
        return rows

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def make_table(platform, name, columns, select):
    platform.sql(f"set role millrace; create table ws_default.{name} ({columns}); "
                 f"insert into ws_default.{name} {select}")
    platform.sql(f"vacuum (freeze, analyze) ws_default.{name}")


def sales(platform):
    make_table(
        platform, "sales", "id int8 primary key, customer text, status int8, amount float8, at timestamptz, note text",
        f"""select g, 'customer ' || g % 5000, (g * 7919) % 9, round((random() * 1000)::numeric, 2),
            timestamptz '2026-01-01Z' + g * interval '1 second', md5(g::text)
        from generate_series(1::int8, {COUNT}) g""")


def overhead(platform):
    session = Session(platform)
    connection = platform.connect(platform.port_of("analytics"))
    for name, statement in STATEMENTS.items():
        body = json.dumps({"sql": statement})

        def ask():
            answer = platform.must("POST", "/v1/query", body, connection=connection)
            assert answer["row_count"] > 0

        for _ in range(20):
            ask()
            session.run(statement)
        mine, theirs = [], []
        for _ in range(CALLS):
            mine.append(timed(ask) * 1000)
            theirs.append(timed(lambda: session.run(statement)) * 1000)
        ours, peer = statistics.median(mine), statistics.median(theirs)
        figure(bench=f"query_overhead_{name}", ms=ours, peer="psql, connected", peer_ms=peer, more_ms=ours - peer,
               ratio=ours / peer, met=ours - peer < 2 or ours < peer * 1.05)
    session.close()


def export(platform, folder):
    body = Path(folder) / "body"
    mine, theirs = Path(folder) / "mine", Path(folder) / "theirs"
    body.write_text(json.dumps({"sql": "select * from sales", "format": "csv", "timeout": "60s"}))

    def ours():
        subprocess.run(
            ["curl", "-sSf", "-o", mine, "-H", f"Authorization: Bearer {platform.key}", "-H",
             "Content-Type: application/json", "--data-binary", f"@{body}",
             f"http://127.0.0.1:{platform.port_of('analytics')}/v1/query"], check=True)

    def peer():
        subprocess.run([PSQL, "-Xq", "-h", platform.socket, "-U", "postgres", "-d", "millrace", "-c",
                        f"\\copy (select * from ws_default.sales) to '{theirs}' csv header"], check=True)

    ours(), peer()
    seconds, peers = [], []
    for number in range(ROUNDS):
        seconds.append(timed(ours))
        peers.append(timed(peer))
        say(f"export {number + 1}: {seconds[-1]:.2f} s, psql {peers[-1]:.2f} s")
    lines = sum(1 for _ in open(mine, "rb"))
    if lines != COUNT + 1 or lines != sum(1 for _ in open(theirs, "rb")):
        sys.exit(f"{lines} lines were exported")
    ratio = statistics.median(other / one for one, other in zip(seconds, peers))
    figure(bench="csv_export", rows=COUNT, megabytes=mine.stat().st_size / 1e6, rate=COUNT / statistics.median(seconds),
           peer="psql \\copy … to", peer_rate=COUNT / statistics.median(peers), ratio=ratio, met=ratio >= 0.7)


def wrk(platform, path):
    """Answers a second, and the 99th percentile in ms."""
    done = subprocess.run(
        ["wrk", "-t", "2", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "--latency", "-H",
         f"Authorization: Bearer {platform.key}", f"http://127.0.0.1:{platform.port_of('analytics')}{path}"],
        stdout=subprocess.PIPE, text=True, check=True)
    if re.search("Non-2xx|Socket errors", done.stdout):
        sys.exit(f"{path}: {done.stdout}")
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]),
            float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit])


def cached(platform):
    platform.must("PUT", "/v1/endpoints/by_status", json.dumps({
        "sql": "select status, count(*) as hits from sales where id < {{n:int8=1000}} group by status order by status",
        "cache_ttl": "1h"}))
    path = "/v1/endpoints/by_status/data?n=5000"
    platform.must("GET", path)
    mine, theirs = [], []
    for number in range(ROUNDS):
        mine.append(wrk(platform, path))
        theirs.append(wrk(platform, "/healthz"))
        say(f"cached {number + 1}: {mine[-1][0]:.0f}/s, static {theirs[-1][0]:.0f}/s")
    ratio = statistics.median(one[0] / other[0] for one, other in zip(mine, theirs))
    figure(bench="cached_endpoint", rate=statistics.median(one[0] for one in mine), peer="/healthz of the same service",
           peer_rate=statistics.median(one[0] for one in theirs), ratio=ratio,
           p99_ms=statistics.median(one[1] for one in mine), connections=CONNECTIONS, met=ratio >= 0.5)


def profile(platform):
    """20 columns, five of each kind. The statement has what one can have: no histogram, no frequent values."""
    kinds = [("i", "int8", "(g * 7919 + {n}) % 100000"), ("f", "float8", "random() * {n}"),
             ("t", "text", "'word ' || (g * {n}) % 20000"), ("s", "timestamptz", "now() - g * interval '{n} seconds'")]
    columns = [(f"{kind}{n}", type, text.format(n=n)) for n in range(1, 6) for kind, type, text in kinds]
    make_table(platform, "wide", ", ".join(f"{name} {type}" for name, type, _ in columns),
               f"select {', '.join(text for *_, text in columns)} from generate_series(1::int8, {COUNT}) g")
    platform.sql("set role millrace; with d as (insert into millrace.dataset (workspace_id, name, table_created) "
                 "select id, 'wide', true from millrace.workspace where name = 'default' returning id) "
                 "insert into millrace.dataset_column (dataset_id, ordinal, name, type, state, since_version) values "
                 + ", ".join(f"((select id from d), {place}, '{name}', '{type}', 'applied', 1)"
                             for place, (name, type, _) in enumerate(columns)))
    parts = []
    for name, type, _ in columns:
        parts += [f"count({name})", f"count(distinct {name})", f"min({name})", f"max({name})"]
        if type in ("int8", "float8"):
            parts += [f"avg({name})", f"stddev({name})"]
        if type != "text":
            parts.append(f"percentile_disc({SHARES}) within group (order by {name})")
    session = Session(platform)
    numeric = [name for name, type, _ in columns if type in ("int8", "float8")]
    parts += [f"corr({x}, {y})" for at, x in enumerate(numeric) for y in numeric[at + 1:]]
    # 1,664 values are all that a row has; no column of ours comes near.
    statement = f"select {', '.join(parts)} from wide"
    session.run("set work_mem = '64MB'")
    mine, theirs = [], []
    for number in range(max(2, ROUNDS // 2)):
        mine.append(timed(lambda: platform.must("GET", "/v1/profiles/wide?sample=all&timeout=60s")))
        theirs.append(timed(lambda: session.run(statement)))
        say(f"profile {number + 1}: {mine[-1]:.2f} s, SQL {theirs[-1]:.2f} s")
    sampled = statistics.median(timed(lambda: platform.must("GET", "/v1/profiles/wide?sample=100000"))
                                for _ in range(3))
    session.close()
    figure(bench="profile", rows=COUNT, columns=len(columns), seconds=statistics.median(mine), peer="one SQL statement",
           peer_seconds=statistics.median(theirs), ratio=statistics.median(theirs) / statistics.median(mine),
           sampled_seconds=sampled)


# Rollups.

ROLLUPS = {
    "by_minute": {"hits": "count()", "total": "sum(value)", "p99": "quantile(value, 0.99)"},
    "by_hour": {"hits": "count()", "mean": "avg(value)", "most": "max(value)"}}


def put_rollup(platform, name, dataset, grain, measures):
    platform.must("PUT", f"/v1/rollups/{name}", json.dumps({
        "dataset": dataset, "time": {"column": "at", "grain": grain}, "dimensions": ["kind"], "measures": measures}))


def declare(platform, dataset):
    platform.must("PUT", f"/v1/datasets/{dataset}", json.dumps({"columns": [
        {"name": "at", "type": "timestamptz"}, {"name": "kind", "type": "text"}, {"name": "value", "type": "float8"}]}))


def write_rows(path, count, first=0):
    """Rows that visit every minute and every group."""
    stamps = [(START + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:00Z") for minute in range(MINUTES)]
    with open(path, "w") as file:
        file.write("at,kind,value\n")
        for number in range(first, first + count):
            file.write(f"{stamps[number // GROUPS % MINUTES]},g{number % GROUPS},{number % 997}.5\n")


def load(platform, source, path):
    """Seconds from the first byte sent to the last row stored."""
    start = time.perf_counter()
    subprocess.run(
        ["curl", "-sSf", "-o", "/dev/null", "-T", path, "-X", "POST", "-H", f"Authorization: Bearer {platform.key}",
         "-H", "Content-Type: text/csv", f"http://127.0.0.1:{platform.port_of('ingest')}/v1/ingest/{source}"],
        check=True)
    platform.wait_finished(source, 600)
    return time.perf_counter() - start


def rolled_rows(platform, name):
    answer = platform.must("GET", f"/v1/rollups/{name}/data?" + urlencode({
        "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "grain": "day", "group_by": ""}))
    return sum(item["hits"] for item in answer["items"])


def wait_rolled(platform, name, rows, seconds=300):
    start = time.perf_counter()
    while rolled_rows(platform, name) != rows:
        if time.perf_counter() - start > seconds:
            sys.exit(f"the rollup {name} has {rolled_rows(platform, name)} of {rows} rows after {seconds} s")
        time.sleep(0.1)
    return time.perf_counter() - start


def rollup_reading(platform, folder):
    path = Path(folder) / "rows"
    declare(platform, "hits")
    put_rollup(platform, "by_minute", "hits", "minute", ROLLUPS["by_minute"])
    query = "/v1/rollups/by_minute/data?" + urlencode({
        "from": "2026-01-01T10:00:00Z", "to": "2026-01-01T11:40:00Z", "group_by": "kind", "where": "kind = 'g7'",
        "order": "time", "limit": "100"})
    medians, total = [], 0
    # Each part passes through all groups of all minutes, so that the rollup is as large from the first on.
    for part in (max(COUNT, MINUTES * GROUPS), COUNT * 10 - max(COUNT, MINUTES * GROUPS)):
        step = MINUTES * GROUPS
        for first in range(0, part, step):
            write_rows(path, min(step, part - first))
            load(platform, "hits", path)
        total += part
        wait_rolled(platform, "by_minute", total)
        platform.sql("vacuum analyze")
        # The one before has rested for longer than the service keeps a connection.
        connection = platform.connect(platform.port_of("analytics"))

        def ask(connection=connection):
            answer = platform.must("GET", query, connection=connection)
            if len(answer["items"]) != 100:
                sys.exit(f"{len(answer['items'])} items: {str(answer)[:300]}")

        for _ in range(20):
            ask()
        medians.append(statistics.median(timed(ask) * 1000 for _ in range(CALLS)))
        figure(bench="rollup_data", rows=total, ms=medians[-1], items=100, met=medians[-1] < 5)
    figure(bench="rollup_data_growth", ratio=medians[1] / medians[0], met=medians[1] < 1.25 * medians[0])


def rollup_cost(platform, folder):
    path = Path(folder) / "rows"
    write_rows(path, COUNT)
    for dataset in ("plain", "rolled"):
        declare(platform, dataset)
    for name, grain in (("by_minute", "minute"), ("by_hour", "hour")):
        put_rollup(platform, f"cost_{name}", "rolled", grain, ROLLUPS[name])
    load(platform, "plain", path), load(platform, "rolled", path)
    def wait_both(loads):
        return sum(wait_rolled(platform, f"cost_{name}", COUNT * loads) for name in ("by_minute", "by_hour"))

    wait_both(1)
    without, with_two, behind = [], [], []
    for number in range(ROUNDS):
        without.append(load(platform, "plain", path))
        # Until all is stored; and from then on until both rollups have it.
        with_two.append(load(platform, "rolled", path))
        behind.append(wait_both(number + 2))
        say(f"load {number + 1}: {without[-1]:.2f} s, with two rollups {with_two[-1]:.2f} s until it is stored, "
            f"{behind[-1]:.2f} s more until they have it")
    cost = statistics.median(one / other for one, other in zip(with_two, without)) - 1
    figure(bench="rollup_cost", rows=COUNT, seconds=statistics.median(with_two), peer="without rollups",
           peer_seconds=statistics.median(without), cost=cost, met=cost < 0.25)
    # What is loaded faster than this for good, the rollups fall behind by.
    whole = statistics.median(stored + more for stored, more in zip(with_two, behind))
    figure(bench="rollup_sustained", rows=COUNT, seconds=whole, after_stored_seconds=statistics.median(behind),
           rate=COUNT / whole)


def main():
    only = os.environ.get("BENCH_ONLY", "overhead,export,cached,profile,reading,cost").split(",")
    with Platform() as platform, tempfile.TemporaryDirectory(prefix="bench-analytics-") as folder:
        sales(platform)
        parts = {
            "overhead": lambda: overhead(platform), "export": lambda: export(platform, folder),
            "cached": lambda: cached(platform), "profile": lambda: profile(platform),
            "reading": lambda: rollup_reading(platform, folder), "cost": lambda: rollup_cost(platform, folder)}
        for name in only:
            say(f"-- {name}")
            parts[name]()


if __name__ == "__main__":
    main()
