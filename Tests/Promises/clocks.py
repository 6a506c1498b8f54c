"""Wall clocks that are ten days off, and that jump there and back."""

import time

from judging import check, judged
from load import Load
from outages import SHORT
from server import ALLOCATOR, SERVER, Server
from site_under_test import SERVICES, Site

LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
DAYS = 10


class Clock:
    def __init__(self, file):
        self.file = file
        self.set(0)

    @property
    def command(self):
        """What runs a program by this clock, but for what it does with monotonic ones."""
        return ["env", f"LD_PRELOAD={ALLOCATOR}:{LIBRARY}", f"FAKETIME_TIMESTAMP_FILE={self.file}",
                "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]

    def set(self, days):
        new = self.file.with_suffix(".new")
        new.write_text(f"{days * 86400:+d}\n")
        new.chmod(0o644)
        new.rename(self.file)


def services(seconds=None):
    """Each service has a wall clock of its own, ten days before or behind, and each jumps under load."""
    seconds = seconds or SHORT
    with Server(SERVER) as server:
        clocks = {name: Clock(server.folder / f"clock-{name}") for name in SERVICES}
        for number, clock in enumerate(clocks.values()):
            clock.set(DAYS if number % 2 == 0 else -DAYS)
        with Site(server, wrap={name: clock.command for name, clock in clocks.items()}) as site:
            load = Load(site, clients=6)
            load.wait_working(30)
            status, headers, _ = site.ask(site.port_of("ingest"), "GET", "/healthz")
            date = time.mktime(time.strptime(headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone
            check(status == 200 and abs(date - time.time() - DAYS * 86400) < 60, f"ingest's clock: {headers['Date']}")
            steps, slowest = 6, 0.0
            for step in range(steps):
                time.sleep(seconds / steps)
                for number, clock in enumerate(clocks.values()):
                    clock.set((DAYS, -DAYS, 0)[(step + number) % 3])
                slowest = max(slowest, load.wait_working(30))
            load.finish()
            caught_up = site.wait_stored("promise")
            return judged(load, f"the services' clocks {DAYS} days off, each differently; {steps} jumps of each",
                          again_s=slowest, caught_up_s=caught_up)


def database(seconds=None):
    """PostgreSQL's wall clock jumps ten days ahead, ten days back, and to the right time."""
    seconds = seconds or SHORT
    with Server(SERVER) as server:
        clock = Clock(server.folder / "clock")
        with Site(server) as site:
            load = Load(site, clients=6)
            load.wait_working(30)
            server.stop()
            server.prefix = clock.command
            server.start()
            slowest = load.wait_working(30)
            for days in (DAYS, 0, -DAYS, 0):
                clock.set(days)
                check(abs(float(server.sql("select extract(epoch from now())")) - time.time() - days * 86400) < 60,
                      "the server goes by another clock than it was given")
                slowest = max(slowest, load.wait_working(60))
                time.sleep(seconds / 4)
            load.finish()
            caught_up = site.wait_stored("promise")
            return judged(load, f"PostgreSQL's clock {DAYS} days ahead, right, {DAYS} days behind, right",
                          again_s=slowest, caught_up_s=caught_up)
