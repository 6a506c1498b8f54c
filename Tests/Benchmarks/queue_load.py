"""Our queue under load: real workers and enqueuers of the library (Tests/Benchmarks/Queue), and what disturbs them."""

import os
import subprocess
import time
from pathlib import Path

from queue_cluster import REPOSITORY, Process, merged, quantile_ms, run_until

QUEUE_BENCH = Path(os.environ.get("BENCH_QUEUE", REPOSITORY / ".build/release/queue-bench"))
# Connections that work at a time, of each system: in bulk, and at one job a claim.
CLIENTS = 4
SINGLE_CLIENTS = 8


class Ours:
    name = "millrace"
    bulk_claims = (2_000,)
    jobs = {"bulk": 600_000, "single": 12_000}
    batch = 10_000
    # A worker claims by one statement at a time: two keep two cores of PostgreSQL busy. One job at a time: half of the
    # connections claim and half of them settle, for as many handlers as keep both busy.
    bulk_workers = {"workers": 2, "slots": 2, "buffer": 1, "claim": 2_000, "interval": 100}
    single_workers = {"workers": SINGLE_CLIENTS // 2, "slots": 8, "buffer": 1, "claim": 1, "interval": 100}

    def __init__(self, cluster):
        self.cluster, self.database = cluster, "millrace"

    def prepare(self):
        self.cluster.create(self.database)
        self.cluster.migrate(self.database)

    def process(self, mode, url=None, **options):
        command = [QUEUE_BENCH, mode, "--url", url or self.cluster.url(self.database)]
        return Process(command + [part for name, value in options.items() for part in (f"--{name}", str(value))])

    def enqueue(self, jobs, batch):
        line = self.process("enqueue", jobs=jobs, batch=batch, clients=2 if batch > 1 else CLIENTS).finish(300)
        return line["jobs"] / line["seconds"]

    def settle(self, jobs, claim):
        options = self.single_workers if claim == 1 else {**self.bulk_workers, "claim": claim}
        rate, _ = run_until([self.process("work", **options)], jobs)
        settled = int(self.cluster.sql("select count(*) from queue.outcome", self.database))
        assert settled == jobs, f"{settled} of {jobs} settled"
        return rate


class Holder:
    """A session that runs a script and then stays idle, within its transaction if the script began one."""

    def __init__(self, cluster, database, script):
        self.process = subprocess.Popen(
            ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database], cwd="/", env=cluster.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.script = script

    def __enter__(self):
        self.process.stdin.write(f"{self.script};\n\\echo held\n")
        self.process.stdin.flush()
        while (line := self.process.stdout.readline()) != "held\n":
            if not line:
                raise RuntimeError(f"not held: {self.script}")
        return self

    def __exit__(self, kind, *_):
        held = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        assert held or kind, "what was to be held was not held to the end"


def watch(ours, rate, length, url=None, **more):
    """Offers jobs at a rate for so many seconds, one in a hundred failing at first, and restarts the worker at half
    time. [(time, jobs, latencies)] for each second, and how far the offering fell behind its time at worst."""
    options = {**ours.bulk_workers, "fail": 1, "interval": 1000, **more}
    worker = ours.process("work", url, **options)
    offer = ours.process("offer", rate=rate, seconds=length)
    seconds, done, restart_at = [], 0, time.time() + length / 2

    def take(lines):
        nonlocal done
        for line in lines:
            if "at" in line:
                seconds.append((line["at"], line["done"] - done, line["latency"]))
                done = line["done"]

    try:
        while offer.process.poll() is None:
            worker.wait_readable(0.2)
            offer.read()
            take(worker.read())
            if restart_at and time.time() >= restart_at:
                restart_at, old = None, worker
                worker = ours.process("work", url, **options)
                known = len(old.lines)
                old.stop()
                take(old.lines[known:])
                done = 0
        offer.finish()
        worker.stop()
    finally:
        offer.kill()
        worker.kill()
    return seconds, max(line["behind_s"] for line in offer.lines)


def intervals(seconds, length):
    """Rate and latencies of each whole interval, from the second second on."""
    start = seconds[0][0] + 1
    rows = []
    while start + length <= seconds[-1][0] + 1:
        part = [one for one in seconds if start <= one[0] < start + length]
        latencies = merged(one[2] for one in part)
        rows.append({"from": start - seconds[0][0], "rate": sum(one[1] for one in part) / length,
                     "median_ms": quantile_ms(latencies, 0.5), "p99_ms": quantile_ms(latencies, 0.99)})
        start += length
    return rows
