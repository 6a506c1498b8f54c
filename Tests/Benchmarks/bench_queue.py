"""The queue beside its peers, on one private durable server, in one run, alternating.

Ours is the library itself (Tests/Benchmarks/Queue: real workers with a handler that does nothing); pgqueuer and
procrastinate are their own workers; pgmq, which is SQL, is driven by pgbench. Each in bulk, pgmq and pgqueuer by claims
of 100, and of 1,000, at which they do more; and at one job a claim. BENCH_ROUNDS (2), BENCH_SCALE (1.0: of the numbers
of jobs), BENCH_SNAPSHOT_SECONDS (60; 600 for the full length), BENCH_IDLE_SECONDS (60), BENCH_ONLY (names of figures,
by spaces).
"""

import os
import statistics
import sys
import time
from pathlib import Path

from platform_under_test import figure, say
from queue_cluster import REPOSITORY, Cluster, Process, run_until
from queue_load import CLIENTS, SINGLE_CLIENTS, Holder, Ours, intervals, watch

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
SNAPSHOT_SECONDS = int(os.environ.get("BENCH_SNAPSHOT_SECONDS", "60"))
IDLE_SECONDS = int(os.environ.get("BENCH_IDLE_SECONDS", "60"))
PYTHON = Path(os.environ.get("BENCH_PEERS", REPOSITORY / ".build/bench-peers/bin")).absolute() / "python"
PEERS = Path(__file__).with_name("queue_peers.py")


def scaled(jobs, batch):
    return max(1, round(jobs * SCALE / batch)) * batch


def clients_for(claim):
    return SINGLE_CLIENTS if claim == 1 else CLIENTS


class Pgmq:
    name = "pgmq"
    bulk_claims = (100, 1_000)
    jobs = {"bulk": 200_000, "single": 12_000}
    batch = 10_000
    script = """\
select array_agg(msg_id) as ids from pgmq.read('bench', 30, :n) \\gset
select count(*) from pgmq.delete('bench', :ids::int8[]);
"""

    def __init__(self, cluster):
        self.cluster, self.database = cluster, "pgmq"

    def prepare(self):
        self.cluster.create(self.database)
        peer(self, "setup").finish()

    def enqueue(self, jobs, batch):
        script = "select count(*) from pgmq.send_batch('bench', array_fill('{}'::jsonb, array[:n::int]));\n"
        if batch == 1:
            script = "select pgmq.send('bench', '{}');\n"
        clients = 2 if batch > 1 else CLIENTS
        return self.cluster.pgbench(self.database, script, clients, jobs // batch // clients, n=batch) * batch

    def settle(self, jobs, claim):
        clients = clients_for(claim)
        rate = self.cluster.pgbench(self.database, self.script, clients, jobs // claim // clients, n=claim) * claim
        left = int(self.cluster.sql("select count(*) from pgmq.q_bench", self.database))
        assert left == 0, f"{left} of {jobs} left"
        return rate


class ByClient:
    """A peer with a worker of its own, in two processes so that both cores have one."""

    def __init__(self, cluster):
        self.cluster, self.database = cluster, self.name

    def prepare(self):
        self.cluster.create(self.database)
        peer(self, "setup").finish()

    def enqueue(self, jobs, batch):
        clients = 2 if batch > 1 else CLIENTS
        line = peer(self, "enqueue", jobs=jobs, batch=batch, clients=clients).finish(300)
        return line["jobs"] / line["seconds"]

    def settle(self, jobs, claim):
        workers = [peer(self, "work", claim=claim, managers=clients_for(claim) // 2) for _ in range(2)]
        return run_until(workers, jobs)[0]


class PgQueuer(ByClient):
    name = "pgqueuer"
    bulk_claims = (100, 1_000)
    jobs = {"bulk": 40_000, "single": 4_000}
    batch = 10_000


class Procrastinate(ByClient):
    name = "procrastinate"
    bulk_claims = (20,)
    jobs = {"bulk": 3_000, "single": 2_000}
    batch = 1_000


def peer(system, mode, **options):
    command = [PYTHON, "-B", PEERS, system.name, mode, "--url", system.cluster.url(system.database)]
    return Process(command + [part for name, value in options.items() for part in (f"--{name}", str(value))])


def rates(cluster, systems):
    """{(figure, system): [a rate each round]}, with the bytes of WAL a job beside them."""
    found = {}

    def note(name, system, value, claim=None):
        found.setdefault((name, system.name) + ((claim,) if claim else ()), []).append(value)
        say(f"  {name} {system.name}: {value:,.0f}")

    for number in range(ROUNDS):
        say(f" round {number + 1} of {ROUNDS}")
        for kind in ("bulk", "single"):
            for system, claim in ((system, claim) for system in systems
                                  for claim in (system.bulk_claims if kind == "bulk" else (1,))):
                jobs = scaled(system.jobs[kind], max(system.batch if kind == "bulk" else 1, claim * clients_for(claim)))
                system.prepare()
                cluster.settle_down()
                before = cluster.wal()
                note(f"enqueue_{kind}", system, system.enqueue(jobs, system.batch if kind == "bulk" else 1))
                enqueued = cluster.wal()
                cluster.sql("analyze", system.database)
                cluster.settle_down()
                between = cluster.wal()
                note(f"settle_{kind}", system, system.settle(jobs, claim), claim)
                settled = cluster.wal()
                note(f"wal_{kind}", system, (enqueued - before + settled - between) / jobs)
                cluster.drop(system.database)
    return {key: statistics.mean(values) for key, values in found.items()}


def compare(found, systems):
    ours, peers = systems[0], systems[1:]
    for kind in ("bulk", "single"):
        claims = (1,) if kind == "single" else ours.bulk_claims
        rate = found[f"settle_{kind}", ours.name, claims[0]]
        for system in peers:
            for claim in (1,) if kind == "single" else system.bulk_claims:
                theirs = found[f"settle_{kind}", system.name, claim]
                figure(bench=f"settle_{kind}", rate=round(rate), peer=system.name, peer_rate=round(theirs),
                       ratio=rate / theirs, claim=claims[0], peer_claim=claim)
    for name in ("enqueue_bulk", "enqueue_single"):
        rate = found[name, ours.name]
        for system in peers:
            theirs = found[name, system.name]
            sizes = {"batch": ours.batch, "peer_batch": system.batch} if name == "enqueue_bulk" else {}
            figure(bench=name, rate=round(rate), peer=system.name, peer_rate=round(theirs), ratio=rate / theirs,
                   **sizes)
    for kind in ("bulk", "single"):
        for system in peers:
            mine, theirs = found[f"wal_{kind}", ours.name], found[f"wal_{kind}", system.name]
            figure(bench="wal", kind=kind, bytes_per_job=round(mine), peer=system.name,
                   peer_bytes_per_job=round(theirs), ratio=theirs / mine)


def sql_limit(cluster, ours):
    """The same claim and settle without a worker: what the statements alone allow."""
    claims, claim = scaled(200, CLIENTS), ours.bulk_claims[0]
    jobs = claims * claim
    ours.prepare()
    ours.enqueue(-(-jobs // ours.batch) * ours.batch, ours.batch)
    for _ in range(CLIENTS):
        cluster.sql("select queue.register_worker('transform', 'bench')", ours.database)
    cluster.settle_down()
    # The one place that knows the claim's signature; ClaimStatement is its master.
    script = """\
select coalesce(max(lease), 0) as lease, coalesce(max(position), 0) as mark,
    array_agg(job) filter (where job is not null) as jobs,
    array_agg(attempt) filter (where job is not null) as attempts
from queue.claim(:client_id + 1, 0::int2, false, :n, '{0,0,0,0,0}', array[0,0,:mark,0,0]::int8[], '{0,0,0,0,0}',
    false, '{}') \\gset
select queue.settle(:lease, :jobs::int8[], :attempts::int2[], true);
"""
    rate = cluster.pgbench(ours.database, script, CLIENTS, claims // CLIENTS, n=claim, mark=0) * claim
    cluster.drop(ours.database)
    figure(bench="settle_sql", rate=round(rate), claim=claim)
    return rate


def pickup(cluster, systems):
    results = {}
    for system in systems:
        system.prepare()
        count = 400 if system is systems[0] else 100
        process = system.process("pickup", count=count) if system is systems[0] else \
            peer(system, "pickup", count=count, claim=1)
        results[system.name] = process.finish(300)
        say(f"  pickup {system.name}: {results[system.name]}")
        cluster.drop(system.database)
    mine = results[systems[0].name]
    for system in systems[1:]:
        theirs = results[system.name]
        figure(bench="pickup", median_ms=mine["median_ms"], p99_ms=mine["p99_ms"], peer=system.name,
               peer_median_ms=theirs["median_ms"], peer_p99_ms=theirs["p99_ms"],
               ratio=theirs["median_ms"] / mine["median_ms"])


def arrays(cluster, ours):
    """As many items in arrays of one size and another, enqueueing included: what an item costs."""
    total, costs = scaled(100_000, 100_000), {}
    for _ in range(ROUNDS):
        for items in (1_000, 10_000, 100_000):
            ours.prepare()
            cluster.settle_down()
            line = ours.process("array", items=items, total=total, claim=ours.bulk_claims[0]).finish(300)
            say(f"  array of {items}: {line}")
            costs.setdefault(items, []).append(line)
            cluster.drop(ours.database)
    best = {items: min(line["us_per_item"] for line in lines) for items, lines in costs.items()}
    for items, lines in costs.items():
        figure(bench="array", items=items, us_per_item=best[items], rate=round(1e6 / best[items]),
               enqueue_ms=min(line["enqueue_s"] for line in lines) * 1000 / lines[0]["arrays"],
               ratio=best[items] / best[1_000])


def idle(cluster, systems):
    """Everyone at rest at the same time, each in a database of its own; ours with three queues and the leader."""
    processes = []
    try:
        for system in systems:
            system.prepare()
            if isinstance(system, Ours):
                processes.append(system.process("work", queues="transform,store,analytics"))
            else:
                processes.append(peer(system, "work"))
        # A server process counts its transactions up to 10 s after they end.
        time.sleep(15)
        before = {system.name: cluster.transactions(system.database) for system in systems}
        time.sleep(IDLE_SECONDS)
        spent = {system.name: cluster.transactions(system.database) - before[system.name] for system in systems}
    finally:
        for process in processes:
            process.kill()
    hourly = {name: count * 3600 / IDLE_SECONDS for name, count in spent.items()}
    mine = hourly[systems[0].name]
    for system in systems[1:]:
        figure(bench="idle", transactions_per_hour=round(mine), queues=3, peer=system.name, peer_queues=1,
               peer_transactions_per_hour=round(hourly[system.name]), ratio=hourly[system.name] / mine)
    for system in systems:
        cluster.drop(system.database)


def mixed_peak(cluster, ours):
    """Jobs a second of what `watch` offers, enqueued and settled at the same time as fast as it goes; the last ones,
    which are those that are delayed or failed at first, do not count."""
    jobs = scaled(400_000, 100_000)
    ours.prepare()
    cluster.settle_down()
    workers = [ours.process("work", **ours.bulk_workers, fail=1)]
    offer = ours.process("offer", rate=jobs, seconds=1)
    try:
        rate, _ = run_until(workers, round(jobs * 0.98))
        offer.finish(60)
    finally:
        offer.kill()
    cluster.drop(ours.database)
    say(f"  peak of the mix: {rate:,.0f}/s")
    return rate


def held_snapshot(cluster, ours):
    rate = round(mixed_peak(cluster, ours) / 2)
    ours.prepare()
    cluster.settle_down()
    with Holder(cluster, ours.database, "begin isolation level repeatable read; select count(*) from queue.ready"):
        seconds, behind = watch(ours, rate, SNAPSHOT_SECONDS)
        dead = int(cluster.sql("select n_dead_tup from pg_stat_user_tables where relname = 'ready'", ours.database))
    rows = intervals(seconds, max(10, SNAPSHOT_SECONDS // 10))
    for row in rows:
        say("  {from:4.0f} s: {rate:,.0f}/s, median {median_ms:.1f}, p99 {p99_ms:.1f} ms".format(**row))
    first, last = rows[0], rows[-1]
    figure(bench="held_snapshot", rate=round(statistics.mean(row["rate"] for row in rows)), offered=rate,
           seconds=SNAPSHOT_SECONDS, ratio=last["rate"] / first["rate"],
           worst_ratio=min(row["rate"] for row in rows[1:]) / first["rate"],
           median_ms=last["median_ms"], p99_ms=last["p99_ms"], first_p99_ms=first["p99_ms"],
           p99_ratio=last["p99_ms"] / first["p99_ms"], worst_p99_ms=max(row["p99_ms"] for row in rows),
           behind_s=behind, dead_entries=dead)
    cluster.drop(ours.database)


def main():
    wanted = set(os.environ.get("BENCH_ONLY", "rates sql pickup array idle snapshot").split())
    with Cluster() as cluster:
        ours = Ours(cluster)
        systems = [ours, Pgmq(cluster), PgQueuer(cluster), Procrastinate(cluster)]
        if "rates" in wanted:
            found = rates(cluster, systems)
            compare(found, systems)
        if "sql" in wanted:
            sql_limit(cluster, ours)
        if "pickup" in wanted:
            pickup(cluster, systems)
        if "array" in wanted:
            arrays(cluster, ours)
        if "idle" in wanted:
            idle(cluster, systems)
        if "snapshot" in wanted:
            held_snapshot(cluster, ours)


if __name__ == "__main__":
    sys.exit(main())
