"""Starts the launcher over stub services, in a home of its own, on ports of its own."""

import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICES = ("ingest", "transform", "store", "analytics")
# A shell's background job ignores Ctrl-C, and so would all that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)


def five_free_ports():
    """The first of five ports in a row that are free now, below those the kernel gives to clients."""
    for first in range(20000 + os.getpid() % 1000 * 5, 32000, 5):
        probes = []
        try:
            for port in range(first, first + 5):
                probes.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
    raise RuntimeError("no five free ports")


class Platform:
    """One MILLRACE_HOME below a folder that is closed to everyone but its owner."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="millrace-test-"))  # 0700
        self.home = self.folder / "a folder" / "it's home"
        self.binaries = self.folder / "bin"
        self.binaries.mkdir()
        for name in SERVICES:
            shutil.copy(Path(__file__).with_name("stub-service"), self.binaries / f"millrace-{name}")
        self.port = five_free_ports()
        self.process = None
        self.output = ""
        self.pids = set()

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MILLRACE_", "DATABASE_"))}
        return {**kept, "MILLRACE_HOME": str(self.home), "MILLRACE_PORT": str(self.port), **more}

    def launch(self, command=None, **environment):
        """Starts the launcher (or a command that starts it) and returns when all is ready, or it has ended."""
        self.output = ""
        self.process = subprocess.Popen(
            command or ["deploy/local/run", "--binaries", self.binaries], cwd=REPOSITORY, text=True,
            env=self.environment(**environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)
        ready = threading.Event()

        def read():
            for line in self.process.stdout:
                self.output += line
                if "Ctrl-C stops it" in line:
                    ready.set()
            ready.set()

        self.reader = threading.Thread(target=read)
        self.reader.start()
        assert ready.wait(90), self.output
        self.pids = self.descendants()
        return self.output

    def give(self, *names):
        """Makes files of the home the user's whom the launcher becomes; missing ones are made."""
        user = pwd.getpwnam("millrace") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        for name in names:
            path = self.home / name
            if not path.exists():
                path.touch()
            os.chown(path, user.pw_uid, user.pw_gid)

    def descendants(self):
        parents = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.parent.name)] = int(fields[1])
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def find(self, name):
        """The pid of the first process of this platform whose command is `name`."""
        for pid in sorted(self.pids):
            if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                return pid
        raise RuntimeError(f"no {name}")

    def left(self):
        """Processes of this platform that are still there, zombies not counted."""
        found = []
        for pid in self.pids:
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
                if state != "Z":
                    found.append((pid, Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")))
            except OSError:
                continue
        return found

    def stop(self, number=signal.SIGTERM):
        """Signals the launcher, waits for its end and returns its exit status."""
        self.process.send_signal(number)
        return self.wait_end()

    def wait_end(self):
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end; left are {self.left()}; it said:\n{self.output}") from None
        self.reader.join()
        self.process.stdout.close()
        return status

    def wait_gone(self, seconds=15):
        deadline = time.monotonic() + seconds
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.left()

    def sql(self, text):
        return subprocess.run(
            ["psql", "-XAtq", "-h", self.home / "socket", "-U", "postgres", "-d", "millrace", "-c", text],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout.strip()

    def pid_of(self, name):
        """The pid of a supervised process, as the supervisor sees it."""
        done = subprocess.run(
            ["s6-svstat", "-o", "pid", self.home / "run/service" / name], stdout=subprocess.PIPE, text=True, check=True)
        return int(done.stdout)

    def request(self, path, method="GET", body=None, headers=None, port=None):
        """(status, headers, parsed body)"""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def wait_until(self, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except (OSError, subprocess.CalledProcessError, http.client.HTTPException):
                pass
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.05)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.stop()
        for leftover in re.findall(r"/tmp/millrace-[a-z0-9_]{8}", self.output):
            shutil.rmtree(leftover, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
