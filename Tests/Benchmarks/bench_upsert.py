"""1,000,000 rows that wait to be merged into a dataset by its key, beside `insert … on conflict` from a staged table.

Once every key is fresh, and once half of the rows repeat a key of the other half. Ours is the store service alone: the
records are sent and transformed while its queue is paused; the time runs from its resumption to the last row stored.
The peer has the same rows in a table and is one statement in psql, into the same table definition on the same server;
where keys repeat, the latest of each is picked first, as the statement would fail otherwise. Three rounds each,
alternating; the figures are medians.
"""

import json
import os
import statistics
import subprocess
import time

import records
from platform_under_test import PSQL, REPOSITORY, Platform, figure, say

COUNT = int(os.environ.get("BENCH_RECORDS", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
FILE = REPOSITORY / f".build/bench/records-{COUNT}.ndjson"
NAMES = [name for name, _ in records.COLUMNS] + ["_extra", "_batch", "_row", "_out"]


def prepare(platform, name, bodies, derive):
    """Has the records wait for store, transformed; gives the rows' table."""
    dataset = {**records.DATASET, "primary_key": ["id"]}
    platform.must("PUT", f"/v1/datasets/{name}", json.dumps(dataset))
    steps = [{"cast": {"id": "int8"}}, {"derive": {"id": derive}}]
    definition = {"source": name, "steps": steps, "target": {"dataset": name, "mode": "upsert"}}
    platform.must("PUT", f"/v1/pipelines/{name}", json.dumps(definition))
    platform.must("POST", "/v1/queues/store/pause")
    for body in bodies:
        platform.must("POST", f"/v1/ingest/{name}", body, content_type="application/x-ndjson")
    while platform.sql(f"""
            select count(*) from millrace.application a join millrace.source s on s.id = a.source_id
            where s.name = '{name}' and a.state = 'accepted'""") != "0":
        time.sleep(0.1)
    platform.sql("checkpoint")


def ours(platform, name):
    """Seconds from the resumption of store's queue to the last row stored."""
    begun = time.monotonic()
    platform.must("POST", "/v1/queues/store/resume")
    while platform.unfinished(name):
        time.sleep(0.02)
    return time.monotonic() - begun


def peer(platform, name, keys, repeats):
    """Seconds of one statement that merges the same rows, which lie in a table."""
    columns = ", ".join(NAMES)
    rows = ("n % " + str(keys)) if repeats else "n"
    platform.sql(f"""
        create table public.merged (like ws_default.{name} including all);
        create unlogged table public.staged as
        select {columns.replace('id,', rows + ' as id,', 1)}
        from generate_series(0, {COUNT} - 1) n join ws_default.{name} r on r.id = {rows}
        order by n; checkpoint""")
    pick = f"select distinct on (id) {columns} from public.staged order by id, _batch desc, _row desc, _out desc"
    sets = ", ".join(f"{column} = excluded.{column}" for column in NAMES if column != "id")
    statement = f"""
        insert into public.merged as old ({columns}) {pick if repeats else f'select {columns} from public.staged'}
        on conflict (id) do update set {sets}
        where (excluded._batch, excluded._row, excluded._out) > (old._batch, old._row, old._out)"""
    begun = time.monotonic()
    subprocess.run([PSQL, "-Xq", "-h", platform.socket, "-U", "postgres", "-d", "millrace", "-v", "ON_ERROR_STOP=1",
                    "-c", statement], check=True)
    elapsed = time.monotonic() - begun
    platform.sql("drop table public.merged, public.staged")
    return elapsed


def main():
    records.write(FILE, COUNT)
    bodies = records.parts(FILE, 16)
    with Platform() as platform:
        for kind, keys, derive in (("fresh", COUNT, "id"), ("half", COUNT // 2, f"id % {COUNT // 2}")):
            mine, theirs = [], []
            for number in range(ROUNDS):
                name = f"{kind}{number}"
                prepare(platform, name, bodies, derive)
                mine.append(ours(platform, name))
                if platform.sql(f"select count(*) from ws_default.{name}") != str(keys):
                    raise SystemExit("not every key is there once")
                platform.sql("checkpoint")
                theirs.append(peer(platform, name, keys, kind == "half"))
                platform.sql("checkpoint")
                say(f"{kind} {number + 1}: ours {mine[-1]:.2f} s, psql {theirs[-1]:.2f} s")
            rate, peer_rate = COUNT / statistics.median(mine), COUNT / statistics.median(theirs)
            figure(bench=f"upsert_{kind}", rate=round(rate), peer="psql_on_conflict", peer_rate=round(peer_rate),
                   ratio=rate / peer_rate, seconds=statistics.median(mine))


if __name__ == "__main__":
    main()
