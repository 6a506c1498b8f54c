"""A private, durable PostgreSQL for the queue's benchmarks and its soak, and what drives systems on it."""

import json
import math
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BINARIES = Path("/usr/lib/postgresql/15/bin")
# fsync, synchronous_commit, full_page_writes and autovacuum stay as PostgreSQL has them: on.
SETTINGS = {"listen_addresses": "", "shared_buffers": "1GB", "max_wal_size": "8GB", "max_connections": "200",
            "log_min_messages": "warning"}


def as_server(command):
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", *command]


class Cluster:
    """Its databases are used as the superuser `postgres`, without a password, through a socket of its own."""

    def __init__(self, settings=()):
        self.settings = SETTINGS | dict(settings)

    def __enter__(self):
        # A benchmark that is told to stop takes its server with it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.home = tempfile.TemporaryDirectory(prefix="millrace-queue.")
        self.folder = Path(self.home.name)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {
            "PGHOST": str(self.folder), "PGUSER": "postgres", "PGDATABASE": "postgres",
            "PATH": f"{BINARIES}:{os.environ['PATH']}"}
        self.run(as_server(
            [str(BINARIES / "initdb"), "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust"]))
        text = "".join(f"{name} = '{value}'\n" for name, value in self.settings.items())
        with open(self.folder / "data/postgresql.conf", "a", encoding="utf-8") as file:
            file.write(text + f"unix_socket_directories = '{self.folder}'\n")
        try:
            self.start()
            found = self.sql("show data_directory")
            assert found == str(self.folder / "data"), f"another server answers: {found}"
        except BaseException:
            self.home.cleanup()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.stop("immediate")
        finally:
            self.home.cleanup()

    def start(self):
        self.control("start", "-l", str(self.folder / "log"))

    def stop(self, mode):
        self.control("stop", "-m", mode)

    def control(self, *arguments):
        self.run(as_server([str(BINARIES / "pg_ctl"), "-D", str(self.folder / "data"), "-w", "-s", *arguments]))

    def url(self, database):
        return f"postgres://postgres@/{database}?host={self.folder}"

    def run(self, command, **options):
        done = subprocess.run(command, cwd="/", env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed ({done.returncode}): {done.stderr[-4000:]}")
        return done.stdout

    def sql(self, text, database="postgres"):
        return self.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text]).strip()

    def script(self, path, database):
        self.run(["psql", "-XAtq1", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", str(path)])

    def create(self, database):
        """A database that holds nothing; one of the name is dropped before."""
        self.drop(database)
        self.sql(f"create database {database} template template0")

    def drop(self, database):
        self.sql(f"drop database if exists {database} with (force)")

    def migrate(self, database):
        """Our schema, all of it."""
        for path in sorted((REPOSITORY / "Shared/Migrations/SQL").glob("*.sql")):
            self.script(path, database)

    def settle_down(self):
        """Leaves nothing of the last run to the next: dirty pages, and work for the vacuum."""
        self.sql("checkpoint")

    def wal(self):
        """Bytes of write-ahead log so far."""
        return int(self.sql("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def transactions(self, database):
        return int(self.sql(
            f"select xact_commit + xact_rollback from pg_stat_database where datname = '{database}'"))

    def pgbench(self, database, script, clients, runs, **variables):
        """Runs a script `runs` times a client; transactions a second."""
        path = self.folder / "pgbench.sql"
        path.write_text(script)
        settings = [part for name, value in variables.items() for part in ("-D", f"{name}={value}")]
        out = self.run(["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2)),
                        "-t", str(runs), *settings, "-f", str(path), database])
        return float(re.search(r"^tps = ([\d.]+)", out, re.M)[1])


class Process:
    """A program that prints lines of JSON: `queue-bench`, or the peers' counterpart in Python."""

    def __init__(self, command, cluster=None, **options):
        self.command = [str(part) for part in command]
        environment = cluster.environment if cluster else None
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment, **options)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.rest = b""
        self.lines = []

    @property
    def pid(self):
        return self.process.pid

    def read(self):
        """The lines that have come since the last call; all are kept in `lines`."""
        new = []
        while True:
            try:
                piece = os.read(self.process.stdout.fileno(), 1 << 20)
            except BlockingIOError:
                break
            if not piece:
                break
            *whole, self.rest = (self.rest + piece).split(b"\n")
            new += [json.loads(line) for line in whole]
        self.lines += new
        return new

    def wait_readable(self, seconds):
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            selector.select(seconds)

    def latest(self, name, default=0):
        for line in reversed(self.lines):
            if name in line:
                return line[name]
        return default

    def finish(self, seconds=60, expected=(0,)):
        """Waits for its end; the last line."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            self.wait_readable(0.2)
            self.read()
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{' '.join(self.command)} did not end within {seconds} s")
        self.read()
        if self.process.returncode not in expected:
            raise RuntimeError(f"{' '.join(self.command)} ended with {self.process.returncode}")
        return self.lines[-1] if self.lines else {}

    def stop(self, seconds=60):
        self.process.send_signal(signal.SIGTERM)
        return self.finish(seconds)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def run_until(processes, jobs, seconds=300):
    """Lets workers work until they have done so many jobs together, then stops them; jobs a second from the first
    one's start to the last job's end."""
    deadline = time.monotonic() + seconds
    try:
        while sum(process.latest("done") for process in processes) < jobs:
            if time.monotonic() > deadline:
                done = [process.latest("done") for process in processes]
                raise RuntimeError(f"{done} of {jobs} jobs after {seconds} s")
            for process in processes:
                if process.process.poll() is not None:
                    process.read()
                    if sum(process.latest("done") for process in processes) < jobs:
                        raise RuntimeError(f"a worker ended by itself: {process.process.returncode}")
                process.wait_readable(0.02)
                process.read()
        last = [process.stop() if process.process.poll() is None else process.finish() for process in processes]
    finally:
        for process in processes:
            process.kill()
    start = min(process.lines[0]["start"] for process in processes)
    end = max(line["last"] for line in last)
    return jobs / (end - start), last


def merged(latencies):
    total = {}
    for one in latencies:
        for bucket, count in one.items():
            total[int(bucket)] = total.get(int(bucket), 0) + count
    return total


def quantile_ms(latencies, share):
    """The upper end of the bucket (4.4 % wide) that holds the quantile, in milliseconds; NaN for none."""
    wanted = math.ceil(sum(latencies.values()) * share)
    for bucket in sorted(latencies):
        wanted -= latencies[bucket]
        if wanted <= 0:
            return 2 ** ((bucket + 1) / 16) / 1000
    return math.nan
