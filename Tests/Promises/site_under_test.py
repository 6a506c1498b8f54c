"""The platform of a promise, started by the launcher over a server of the promise's own."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
from platform_under_test import SERVICES, Platform
from server import PORT, USER

class Site(Platform):
    """`url`: how the services reach the server, if not straight. `wrap`: {service: command} for services that a command
    runs, such as `env` with a library that is loaded before, or `fiu-run`. `key`: the administrator's, where one is."""

    def __init__(self, server, url=None, settings=(), wrap=(), port=PORT, binaries=None, key=None):
        super().__init__(port, {"DATABASE_URL": url or server.url(), "MILLRACE_DRAIN": "10s"} | dict(settings))
        self.server = server
        self.binaries = Path(binaries or os.environ["BENCH_BINARIES"])
        if wrap:
            self.binaries = self.wrapped(dict(wrap))
        if key:
            self.home.mkdir()
            (self.home / "admin-key").write_text(key)
            for path in (self.home, self.home / "admin-key"):
                shutil.chown(path, USER or os.geteuid())

    def __enter__(self):
        try:
            return super().__enter__()
        except SystemExit as end:
            if isinstance(end.code, str):
                raise RuntimeError(end.code) from None  # one promise's end, not that of all
            raise

    def wrapped(self, commands):
        """The services, each behind a script that has its command run it; where the services' user can reach them."""
        folder = self.server.folder / f"bin-{self.port}"
        (folder / "real").mkdir(parents=True)
        for name in SERVICES:
            real = folder / f"real/millrace-{name}"
            shutil.copy(self.binaries / f"millrace-{name}", real)
            words = shlex.join(map(str, commands.get(name, [])))
            script = folder / f"millrace-{name}"
            script.write_text(f'#!/bin/sh\n[ $# = 0 ] || exec {real} "$@"\nexec {words} {real}\n')
            script.chmod(0o755)
        return folder

    def sql(self, text, database="millrace", quiet=False):
        return self.server.sql(text, database)

    def pid(self, service):
        """The pid of a supervised process; None while it is down."""
        done = subprocess.run(["s6-svstat", "-o", "up,pid", self.home / "run/service" / service],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        fields = done.stdout.split()
        return int(fields[1]) if fields[:1] == ["true"] else None

    def kill(self, service):
        if pid := self.pid(service):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def control(self, service, option):
        """Tells its supervisor: -d to end it and leave it so, -u to start it."""
        subprocess.run(["s6-svc", option, self.home / "run/service" / service], check=True)

    def leave(self, seconds=60):
        """Each service ends, in the way that it ends when it is replaced; the gateway stays."""
        for service in SERVICES:
            self.control(service, "-d")
        self.wait(lambda: not any(self.pid(service) for service in SERVICES), seconds, "services that were told to end")

    def come_back(self, seconds=60):
        for service in SERVICES:
            self.control(service, "-u")
        self.wait(lambda: self.ask(self.port, "GET", "/readyz")[0] == 200, seconds, "services that were started again")

    @staticmethod
    def wait(condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not so after {seconds} s")
            time.sleep(0.05)

    def ask(self, port, method, path, body=None):
        """(status, headers, body) of a request to a port; a status of None when there is no answer."""
        connection = self.connect(port, timeout=30)
        try:
            headers = {"Authorization": f"Bearer {self.key}"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except OSError:
            return None, {}, b""
        finally:
            connection.close()

    def wait_stored(self, source, seconds=300):
        """Until each of the source's batches is stored; how long it took. AssertionError if one is given up."""
        begun = time.monotonic()
        while True:
            waiting, failed = self.unstored(source)
            if not waiting:
                break
            if time.monotonic() > begun + seconds:
                raise AssertionError(f"{waiting} outputs wait still after {seconds} s")
            time.sleep(0.1)
        if failed:
            raise AssertionError(f"{failed} outputs have failed for good")
        return time.monotonic() - begun

    def unstored(self, source):
        """(outputs that wait, outputs that have failed); (-1, 0) while the server does not say."""
        try:
            found = self.sql(f"""
                select count(*) filter (where a.state in ('accepted', 'transformed')),
                       count(*) filter (where a.state = 'failed')
                from millrace.application a join millrace.source s on s.id = a.source_id where s.name = '{source}'""")
        except RuntimeError:
            return -1, 0
        return tuple(map(int, found.split("|")))


class Memory(threading.Thread):
    """Looks at the services' resident memory twice a second: {service: MB at most} since the last `reset`."""

    def __init__(self, site):
        super().__init__(daemon=True)
        self.site, self.over, self.most = site, threading.Event(), {}
        self.start()

    def run(self):
        while not self.over.wait(0.5):
            for service in SERVICES:
                pid = self.site.pid(service)
                self.most[service] = max(self.most.get(service, 0), memory_mb(pid) if pid else 0)

    def reset(self):
        """What was most since the last time, once each service has been looked at."""
        while len(self.most) < len(SERVICES):
            time.sleep(0.05)
        before, self.most = self.most, {}
        return before

    def stop(self):
        self.over.set()
        self.join()
        return self.most


def memory_mb(pid):
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0
