"""A disk that is full, of tables and of the write-ahead log; landing's own limit; writes that fail."""

import os
import shutil
import subprocess
import time
from contextlib import contextmanager

from judging import Failed, check, judged
from load import Load
from outages import GROWTH_MB, SHORT
from server import ALLOCATOR, BINARIES, SERVER, USER, Server, as_user
from site_under_test import SERVICES, Memory, Site

from platform_under_test import say

HELD = float(os.environ.get("PROMISES_FULL", "30"))  # s that the disk stays full


class NotHere(Exception):
    """What this machine cannot do."""


@contextmanager
def small_disk(folder, megabytes):
    """A tmpfs of its own at `folder`, which only root can mount."""
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700,uid={USER}", "millrace-promise", folder],
            stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise NotHere("a small disk needs root and mount(2)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


class SmallDisk(Server):
    """A server with its tables, or its write-ahead log, on a small disk on which `ballast` takes place as well."""

    def __init__(self, what, megabytes, ballast, settings=()):
        super().__init__(SERVER, settings)
        self.what, self.megabytes, self.ballast_mb = what, megabytes, ballast

    def __enter__(self):
        if USER:
            shutil.chown(self.folder, USER, USER)
        self.mounted = small_disk(self.folder / "disk", self.megabytes)
        self.disk = self.mounted.__enter__()
        self.ballast = self.disk / "ballast"
        try:
            return super().__enter__()
        except BaseException:
            self.mounted.__exit__(None, None, None)
            raise

    def initialise(self):
        log = self.disk / "wal" if self.what == "log" else self.folder / "wal"
        if self.what == "tables":
            self.data = self.disk / "data"
        self.run(as_user([BINARIES / "initdb", "-D", self.data, "-X", log, "-U", "postgres", "-E", "UTF8",
                          "--locale=C.UTF-8", "--data-checksums", "--auth=trust"]))
        self.configure()
        self.run(["fallocate", "-l", f"{self.ballast_mb}MiB", self.ballast])

    def __exit__(self, *arguments):
        self.kill(wanted=False)
        self.mounted.__exit__(*arguments)
        super().__exit__(*arguments)

    def free_mb(self):
        found = os.statvfs(self.disk)
        return found.f_bavail * found.f_frsize >> 20


def full_tables():
    return full("tables", SmallDisk("tables", 260, 110))


def full_log():
    # A slot that nobody reads keeps all of the log, as a replica that is away does.
    return full("log", SmallDisk("log", 300, 64, {"max_wal_size": "64MB", "min_wal_size": "32MB"}), slot=True)


def full(what, server, slot=False):
    """PostgreSQL's disk is full: 503 with Retry-After, then all well once there is room."""
    with server, Site(server) as site:
        memory, load = Memory(site), Load(site, clients=8)
        load.wait_working(30)
        if slot:
            server.sql("select pg_create_physical_replication_slot('away', true)")
        before = memory.reset()
        wait_refused(load, 120)
        refused = load.answers[503]
        deaths = server.deaths
        say(f"  full after {time.monotonic() - load.begun:.0f} s: {dict(load.answers)}")
        time.sleep(HELD)
        check(load.answers[503] > refused, "nothing was refused while the disk was full")
        most = memory.reset()
        left = server.free_mb()
        say(f"  room is made: {dict(load.answers)}")
        server.ballast.unlink()
        if slot:
            drop_slot(server, 90)
        again = load.wait_working(90)
        say(f"  works again after {again:.1f} s")
        load.finish()
        caught_up = site.wait_stored("promise")
        memory.stop()
        growth = max(most[name] - before[name] for name in SERVICES)
        check(growth < GROWTH_MB, f"memory grew: {before}, then {most}")
        return judged(load, f"the disk of the {what} full for {HELD:.0f} s and more ({left} MB left); "
                      f"the server died {server.deaths} times", again_s=again, caught_up_s=caught_up,
                      refused=load.answers[503], memory_mb=max(most.values()), deaths=deaths)


def drop_slot(server, seconds):
    """It is load that fills the log again while the server comes up: what is not dropped at once is tried again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            server.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
            # Only a checkpoint removes what the slot has kept.
            return server.sql("checkpoint")
        except RuntimeError as error:
            check(time.monotonic() < deadline, f"the slot cannot be dropped: {error}")
            time.sleep(0.2)


def wait_refused(load, seconds):
    """Until everybody is refused for two seconds."""
    deadline = time.monotonic() + seconds
    while True:
        refused, acknowledged = load.answers[503], load.acknowledged
        time.sleep(2)
        if load.faults:
            raise Failed("; ".join(load.faults[:3]))
        if load.answers[503] > refused and load.acknowledged == acknowledged:
            return
        check(time.monotonic() < deadline, f"the disk was not full within {seconds} s: {dict(load.answers)}")


def full_landing():
    """Landing has used up what it may: 503 `storage_full` with Retry-After, and what was accepted is stored."""
    limit = 24 << 20
    with Server(SERVER) as server, Site(server, settings={"MILLRACE_LANDING_MAX_BYTES": f"{limit}"}) as site:
        load = Load(site, clients=6)
        wait_refused(load, 120)
        status, headers, answer = site.ask(site.port, "POST", "/v1/ingest/promise", "{}")
        check(status == 503 and b"storage_full" in answer and "Retry-After" in headers, f"{status} {answer[:300]}")
        load.finish(1)
        caught_up = site.wait_stored("promise")
        used = int(server.sql("""
            select sum(pg_total_relation_size(c.oid)) from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'landing' and c.relkind = 'r'"""))
        return judged(load, f"landing limited to {limit >> 20} MiB", caught_up_s=caught_up, refused=load.answers[503],
                      landing_mb=used / 2**20)


def fiu(*points):
    """A command that makes calls fail at random: (point, probability, errno)."""
    words = ["fiu-run", "-x", "-f", ""]
    for point, probability, number in points:
        words += ["-c", f"enable_random name={point},probability={probability},failinfo={number}"]
    return [*words, "sh", "-c", f'LD_PRELOAD="{ALLOCATOR} $LD_PRELOAD" exec "$0"']


ECONNRESET, ECONNREFUSED = 104, 111


def failing_server(seconds=None):
    """PostgreSQL's writes and flushes fail now and then: it ends, or says so; nothing is acknowledged too early."""
    seconds = seconds or SHORT
    with Server(SERVER) as server, Site(server) as site:
        load = Load(site, clients=6)
        load.wait_working(30)
        server.stop()
        # Not by libfiu: its preloaded library and PostgreSQL both have a function hash_create.
        server.prefix = ["strace", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-e", "signal=none",
                         "-e", "trace=pwrite64,fsync,fdatasync", "-e", "inject=pwrite64:error=EIO:when=400+400",
                         "-e", "inject=fsync,fdatasync:error=EIO:when=150+150"]
        server.start()
        # A server may die while it starts, too.
        until = time.monotonic() + seconds
        while time.monotonic() < until or server.deaths < 2 and time.monotonic() < until + 120:
            time.sleep(0.5)
        deaths = server.deaths
        server.kill(wanted=False)
        server.prefix = []
        server.start()
        again = load.wait_working(60)
        load.finish()
        caught_up = site.wait_stored("promise")
        said = (server.folder / "log").read_text(errors="replace").count("Input/output error")
        check(said >= 5, f"only {said} writes are said to have failed")
        return judged(load, f"{said} failed writes and flushes in PostgreSQL, which died {deaths} times",
                      again_s=again, caught_up_s=caught_up)


def failing_services(seconds=None):
    """The services' own calls fail now and then: answers to clients, what is received of them and of PostgreSQL, and
    the attempts to connect to it.

    Not write(2), by which event loops wake each other (eventfd(2) does not fail so), and not libpq's send(2): libpq
    waits for the end of the connection then, which only comes where it has really broken."""
    seconds = seconds or SHORT
    command = fiu(("posix/io/net/sendmsg", 0.002, ECONNRESET), ("posix/io/net/recv", 0.002, ECONNRESET),
                  ("posix/io/net/connect", 0.1, ECONNREFUSED))
    with Server(SERVER) as server, Site(server, wrap=dict.fromkeys(SERVICES, command)) as site:
        # To the service a body of which nothing more can be received is one that its client gave up.
        load = Load(site, clients=6, tolerated=[b"incomplete_body"])
        load.wait_working(60)
        time.sleep(seconds)
        load.finish()
        caught_up = site.wait_stored("promise")
        refused = sum(count for status, count in load.answers.items() if status not in (200, 202))
        check(refused > 5, f"too few calls failed: {dict(load.answers)}")
        return judged(load, "one of 500 answers and receives of each service fails, and one of 10 connects; "
                      f"{refused} requests repeated", caught_up_s=caught_up)
