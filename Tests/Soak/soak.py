"""See the first lines of `soak`. Each test has a server of its own: the last one's wounds are not the next one's."""

import os
import secrets
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))

from freezing_proxy import FreezingProxy
from platform_under_test import figure, say
from queue_cluster import REPOSITORY, Cluster, Process, as_server, merged, quantile_ms
from queue_load import Holder, Ours, intervals, watch

SECONDS = int(os.environ.get("SOAK_SECONDS", "600"))
RATE = int(os.environ.get("SOAK_RATE", "10000"))
SHORT = max(30, SECONDS // 5)
# A poll and its fifth at random, and what a busy machine takes.
POLL_S = 12.5


class Failed(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failed(message)


def count(cluster, ours, what):
    return int(cluster.sql(f"select count(*) from {what}", ours.database))


def wait_for(condition, seconds, message):
    """How long it took; the server may be away meanwhile."""
    began = time.monotonic()
    while True:
        try:
            if condition():
                return time.monotonic() - began
        except RuntimeError:
            pass
        check(time.monotonic() - began < seconds, f"{message} within {seconds} s")
        time.sleep(0.1)


def unfinished(cluster, ours):
    return sum(count(cluster, ours, f"queue.{table}") for table in ("ready", "deferred", "lease"))


def check_complete(cluster, ours, worker, seconds=120):
    """Every job of a committed enqueue has succeeded exactly once, nothing is left, and the worker stops cleanly."""
    wait_for(lambda: unfinished(cluster, ours) == 0, seconds, "not everything was done")
    jobs, done = count(cluster, ours, "queue.job"), count(cluster, ours, "queue.outcome where state = 'succeeded'")
    check(jobs == done, f"{jobs} jobs and {done} successes")
    check(worker.process.poll() is None, "the worker did not survive")
    worker.stop(60)
    check(count(cluster, ours, "queue.worker") == 0, "a worker stayed on the register")
    return jobs


def children(pid):
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(entry.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(entry.parent.name))
        except OSError:
            pass
    return found


def postmaster(cluster):
    return int((cluster.folder / "data/postmaster.pid").read_text().split()[0])


def memory_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0


def latencies(worker):
    return merged(line["latency"] for line in worker.lines if "latency" in line)


def snapshot():
    """1: a snapshot, an idle transaction that has written, and a replication slot held; retries, delays, two
    priorities, a worker restarted at half time."""
    with Cluster({"wal_level": "logical"}) as cluster:
        ours = Ours(cluster)
        ours.prepare()
        cluster.sql("select pg_create_logical_replication_slot('soak', 'test_decoding')", ours.database)
        reading = "begin isolation level repeatable read; select count(*) from queue.ready"
        writing = "create table soak (id int8); begin; insert into soak values (1)"
        with Holder(cluster, ours.database, reading), Holder(cluster, ours.database, writing):
            seconds, behind = watch(ours, RATE, SECONDS)
            slot = cluster.sql("select pg_size_pretty(pg_current_wal_lsn() - restart_lsn) from pg_replication_slots")
        rows = intervals(seconds, max(10, SECONDS // 10))
        for row in rows:
            say("  {from:4.0f} s: {rate:,.0f}/s, median {median_ms:.1f}, p99 {p99_ms:.1f} ms".format(**row))
        first, last = rows[0], rows[-1]
        result = {"offered": RATE, "seconds": SECONDS, "ratio": last["rate"] / first["rate"],
                  "worst_ratio": min(row["rate"] for row in rows) / first["rate"], "first_p99_ms": first["p99_ms"],
                  "p99_ms": last["p99_ms"], "worst_p99_ms": max(row["p99_ms"] for row in rows), "behind_s": behind,
                  "wal_held": slot}
        check(result["worst_ratio"] >= 0.95, f"throughput fell: {result}")
        check(last["p99_ms"] <= 2 * max(first["p99_ms"], 10), f"the p99 rose: {result}")
        return result


class Disturbed:
    """A worker behind a proxy and an enqueuer that insists, while the server is disturbed."""

    def __init__(self, cluster, rate, length, **options):
        self.cluster, self.ours = cluster, Ours(cluster)
        self.ours.prepare()
        self.proxy = FreezingProxy(cluster.folder / "proxy", cluster.folder / ".s.PGSQL.5432")
        self.worker = self.ours.process(
            "work", self.proxy.url(self.ours.database), slots=2, claim=50, interval=100, fail=1, **options)
        self.offer = self.ours.process("offer", rate=rate, seconds=length, stubborn=1)

    def __enter__(self):
        wait_for(lambda: self.done() > 0, 30, "nothing was done")
        return self

    def __exit__(self, *_):
        self.offer.kill()
        self.worker.kill()
        self.proxy.close()

    def done(self):
        self.worker.read()
        return self.worker.latest("done")

    def works_again(self, seconds):
        """How long until more is done than was at the call, and a little more."""
        before = self.done()
        return wait_for(lambda: self.done() > before + 200, seconds, "not working again")


def restarts():
    """4: the server restarted, killed, its processes ended, the connections left half-open, again and again."""
    with Cluster() as cluster, Disturbed(cluster, 1000, SHORT) as load:
        def restart(mode):
            cluster.stop(mode)
            cluster.start()

        def killed():
            server = postmaster(cluster)
            processes = children(server)
            os.kill(server, signal.SIGKILL)
            wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), 30, "children remain")
            cluster.start()

        def terminated():
            cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity "
                        "where application_name = 'queue-bench'")

        faults = {"fast": lambda: restart("fast"), "immediate": lambda: restart("immediate"), "killed": killed,
                  "terminated": terminated, "half_open": load.proxy.freeze}
        times = {name: [] for name in faults}
        while load.offer.process.poll() is None:
            for name, fault in faults.items():
                if load.offer.process.poll() is not None:
                    break
                fault()
                times[name].append(load.works_again(60))
                say(f"  {name}: working again after {times[name][-1]:.1f} s")
                load.proxy.thaw()
                time.sleep(2)
        load.offer.finish()
        jobs = check_complete(cluster, load.ours, load.worker)
        worst = {f"{name}_s": max(found) for name, found in times.items() if found}
        # A listening connection that is half-open tells nothing: then a job waits for a poll first.
        slow = {name: found for name, found in worst.items() if found > (10 + POLL_S if name == "half_open_s" else 10)}
        check(not slow, f"too late: {slow}")
        return {"jobs": jobs, "faults": sum(map(len, times.values())), **worst}


def storm():
    """6: a NOTIFY storm, and the listener ended every second."""
    with Cluster() as cluster:
        quiet, stormy = {}, {}
        for rows, disturbed in ((quiet, False), (stormy, True)):
            with Disturbed(cluster, 500, SHORT // 2) as load:
                notifier = None
                if disturbed:
                    path = cluster.folder / "storm.sql"
                    path.write_text("select pg_notify('millrace_queue', 'transform');\n")
                    notifier = subprocess.Popen(
                        ["pgbench", "-n", "-c", "4", "-T", str(SHORT // 2), "-f", path, load.ours.database], cwd="/",
                        env=cluster.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                while load.offer.process.poll() is None:
                    if disturbed:
                        cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity "
                                    "where query ilike 'LISTEN%'")
                    load.done()
                    load.offer.read()
                    time.sleep(1)
                if notifier:
                    check(notifier.wait(30) == 0, "the storm failed")
                load.offer.finish()
                rows["jobs"] = check_complete(cluster, load.ours, load.worker)
                rows["behind_s"] = max(line["behind_s"] for line in load.offer.lines)
                rows["p99_ms"] = quantile_ms(latencies(load.worker), 0.99)
                rows["worst_ms"] = quantile_ms(latencies(load.worker), 1)
            (load.proxy.folder / ".s.PGSQL.5432").unlink()
            load.proxy.folder.rmdir()
        result = {"quiet_p99_ms": quiet["p99_ms"], **stormy}
        check(stormy["behind_s"] < 1, f"enqueueing was held up: {result}")
        check(stormy["worst_ms"] < POLL_S * 1000, f"a job waited longer than a poll: {result}")
        return result


def pooler():
    """6: behind a transaction pooler, where nothing listens: a job waits for a poll at most."""
    with Cluster() as cluster:
        ours = Ours(cluster)
        ours.prepare()
        folder = cluster.folder / "pooler"
        folder.mkdir()
        users = folder / "users"
        users.write_text('"postgres" ""\n')
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host={cluster.folder}\n[pgbouncer]\nlisten_port = 6432\nunix_socket_dir = {folder}\n"
            f"auth_type = trust\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 5\n"
            "max_client_conn = 100\n")
        if os.geteuid() == 0:
            for path in (folder, users, settings):
                os.chown(path, 65534, -1)
        bouncer = subprocess.Popen(as_server(["/usr/sbin/pgbouncer", "-q", str(settings)]), cwd="/",
                                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        url = f"postgres://postgres@/{ours.database}?host={folder}&port=6432"
        try:
            wait_for(lambda: (folder / ".s.PGSQL.6432").exists(), 10, "the pooler did not start")
            worker = ours.process("work", url, statements="unnamed", slots=2, claim=10, fail=1, interval=100)
            offer = ours.process("offer", url, statements="unnamed", rate=5, seconds=SHORT, tick=200)
            try:
                offer.finish(SHORT + 60)
                jobs = check_complete(cluster, ours, worker)
                found = latencies(worker)
            finally:
                offer.kill()
                worker.kill()
        finally:
            bouncer.terminate()
            bouncer.wait(10)
        result = {"jobs": jobs, "median_ms": quantile_ms(found, 0.5), "worst_ms": quantile_ms(found, 1)}
        check(result["worst_ms"] < POLL_S * 1000, f"a job waited longer than a poll: {result}")
        return result


def block(cluster, ours, batches, key):
    """So many times 10,000 jobs with a limit key that lets one start a day: all stand blocked but the first, which is
    cancelled."""
    cluster.sql(f"select queue.set_limit('transform', '{key}', 1, 1, 86400)", ours.database)
    limit = f"""'{{"limit": "{key}"}}'::jsonb"""
    columns = ("'transform'::text", "'a'::text", "1::int8", "'{}'::jsonb", "0::int2", "0::float8", "20::int2",
               "null::text", limit)
    arrays = ", ".join(f"array_fill({column}, array[10000])" for column in columns)
    for _ in range(batches):
        cluster.sql(f"select count(*) from queue.enqueue_linked({arrays})", ours.database)
    cluster.sql("select queue.admit(id, 0, 1000000) from queue.queue where name = 'transform'", ours.database)
    cluster.sql("select queue.cancel(job) from queue.permit", ours.database)
    blocked = count(cluster, ours, "queue.blocked")
    check(blocked == batches * 10_000 - 1, f"{blocked} jobs are blocked")
    return blocked


def ahead():
    """7: 100,000 future jobs ahead of ready ones, then as many besides that are blocked by their key: the time from
    enqueueing to the start is what it was."""
    with Cluster() as cluster:
        ours = Ours(cluster)
        ours.prepare()
        options = {"count": max(100, SHORT * 4)}
        lines = {"before": ours.process("pickup", **options).finish(600)}
        for _ in range(10):
            cluster.sql("select cardinality(queue.enqueue('transform', 'a', 1, array_fill('{}'::jsonb, array[10000]), "
                        "in_delay => 3600))", ours.database)
        lines["after"] = ours.process("pickup", **options).finish(600)
        blocked = block(cluster, ours, 10, "slow")
        lines["blocked"] = ours.process("pickup", **options).finish(600)
        result = {f"{name}_{when}": line[name] for when, line in lines.items() for name in ("median_ms", "p99_ms")}
        for when in ("after", "blocked"):
            check(lines[when]["median_ms"] < lines["before"]["median_ms"] * 1.5 + 1, f"slower: {result}")
        check(count(cluster, ours, "queue.blocked") == blocked, "blocked jobs went on")
        return result


def stall():
    """9: the whole server stopped for longer than the liveness timeout, then a settler: no rescue, bounded memory,
    clean drain."""
    with Cluster() as cluster, Disturbed(cluster, 1000, SHORT + 60) as load:
        workers = cluster.sql("select array_agg(id order by id) from queue.worker", load.ours.database)
        memory = memory_mb(load.worker.pid)
        server = postmaster(cluster)
        stopped = [server, *children(server)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(30)
            stalled = memory_mb(load.worker.pid)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        again = load.works_again(30)
        say(f"  working again {again:.1f} s after a stall of 30 s; {memory:.0f} MB before, {stalled:.0f} MB in it")
        # A settler that stands still for less than the liveness timeout keeps what it holds.
        load.worker.process.send_signal(signal.SIGSTOP)
        time.sleep(12)
        load.worker.process.send_signal(signal.SIGCONT)
        settler = load.works_again(30)
        found = cluster.sql("select array_agg(id order by id) from queue.worker", load.ours.database)
        solo = count(cluster, load.ours, "queue.lease where solo")
        charged = count(cluster, load.ours, "queue.outcome where error like 'worker_lost%'")
        leases = count(cluster, load.ours, "queue.lease")
        load.offer.finish(SHORT + 120)
        jobs = check_complete(cluster, load.ours, load.worker)
        result = {"jobs": jobs, "again_s": again, "settler_again_s": settler, "memory_mb": memory,
                  "stalled_memory_mb": stalled, "leases": leases}
        check(found == workers, f"a worker was declared lost: {workers}, then {found}")
        check(solo == 0 and charged == 0, f"jobs were rescued: {solo} solo, {charged} charged")
        check(stalled < memory + 50, f"memory grew: {result}")
        check(again < 10 and settler < 10, f"slow to work again: {result}")
        return result


def histories():
    """The simulation, Tests/QueueTests/SimulationTests.swift: random histories of the queue against its model. The
    first seed is said at once: with it in SIMULATION_START the same ones are played again."""
    number = int(os.environ.get("SIMULATION_HISTORIES", "10000"))
    start = int(os.environ.get("SIMULATION_START", secrets.randbits(32) << 20))
    say(f"  {number} histories from SIMULATION_START={start}")
    environment = {**os.environ, "SIMULATION_HISTORIES": str(number), "SIMULATION_START": str(start),
                   "SWIFT_BACKTRACE": "enable=no"}
    environment.pop("SIMULATION_SEED", None)
    run = subprocess.run([os.environ.get("SWIFT", "swift"), "test", "--filter", "SimulationTests.histories"],
                         cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    violations = [line.strip() for line in run.stdout.splitlines() if "replay: SIMULATION_SEED" in line]
    for line in violations:
        say(f"  {line}")
    if run.returncode and not violations:
        say(run.stdout[-4000:])
    check(run.returncode == 0, f"{len(violations)} histories failed, of {number} from {start}")
    # A filter that finds nothing passes, too.
    check("Test run with 1 test" in run.stdout, "the simulation was not run")
    return {"histories": number, "start": str(start)}


TESTS = {test.__name__: test for test in (snapshot, restarts, storm, pooler, ahead, stall, histories)}


def main():
    failures = 0
    for name in sys.argv[1:] or TESTS:
        say(f"== {name}")
        began = time.monotonic()
        try:
            result, passed = TESTS[name](), True
        except (Failed, AssertionError, RuntimeError) as error:
            if not isinstance(error, Failed):
                traceback.print_exc()
            result, passed = {"why": str(error)}, False
        failures += not passed
        figure(soak=name, passed=passed, took_s=time.monotonic() - began, **result)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
