"""The whole platform in release mode for one benchmark, in a home of its own that is removed afterwards."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICES = ("ingest", "transform", "store", "analytics")
PSQL = "/usr/lib/postgresql/15/bin/psql"


class Platform:
    def __init__(self, port=None, settings=()):
        """`settings`: further variables for the services."""
        self.settings = dict(settings)
        self.binaries = os.environ["BENCH_BINARIES"]
        self.port = port or int(os.environ.get("BENCH_PORT", "18480"))
        parent = REPOSITORY / ".build/bench"
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="home-", dir=parent))
        self.home = self.folder / "home"
        self.output = []

    def __enter__(self):
        # A test that is told to stop takes its platform with it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("MILLRACE_") and name != "DATABASE_URL"}
        environment |= {"MILLRACE_HOME": str(self.home), "MILLRACE_PORT": str(self.port), **self.settings}
        self.process = subprocess.Popen(
            ["deploy/local/run", "--binaries", self.binaries], cwd=REPOSITORY, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True)
        ready = threading.Event()

        def read():
            for line in self.process.stdout:
                self.output.append(line)
                if "Ctrl-C stops it" in line:
                    ready.set()
            ready.set()

        self.reader = threading.Thread(target=read, daemon=True)
        self.reader.start()
        ready.wait()
        if self.process.poll() is not None or "Ctrl-C" not in self.output[-1]:
            raise AssertionError("the platform did not start:\n" + "".join(self.output))
        self.key = (self.home / "admin-key").read_text().strip()
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)
        shutil.rmtree(self.folder, ignore_errors=True)

    def port_of(self, service):
        return self.port + 1 + SERVICES.index(service)

    @property
    def socket(self):
        return os.path.realpath(self.home / "socket")

    def sql(self, text, database="millrace", quiet=False):
        """Runs SQL as the superuser; what it prints, unaligned. `quiet` where the server is expected to be away."""
        done = subprocess.run(
            [PSQL, "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.socket, "-U", "postgres", "-d", database, "-c", text],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if quiet else None, text=True, check=True)
        return done.stdout.strip()

    def connect(self, port=None, timeout=180):
        return http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)

    def call(self, method, path, body=None, content_type="application/json", connection=None):
        """(status, parsed answer) of one request to the gateway; `connection` is kept open where one is given."""
        own = connection or self.connect()
        try:
            headers = {"Authorization": f"Bearer {self.key}"}
            if body is not None:
                headers["Content-Type"] = content_type
            own.request(method, path, body=body, headers=headers)
            answer = own.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            if connection is None:
                own.close()

    def must(self, *arguments, **options):
        status, answer = self.call(*arguments, **options)
        if status >= 300:
            raise AssertionError(f"{arguments[0]} {arguments[1]}: {status} {answer}")
        return answer

    def unfinished(self, source):
        """How many of a source's batches are not stored yet."""
        return int(self.sql(f"""
            select count(*) from millrace.application a join millrace.source s on s.id = a.source_id
            where s.name = '{source}' and a.state in ('accepted', 'transformed')"""))

    def wait_finished(self, source, seconds=300):
        deadline = time.monotonic() + seconds
        while self.unfinished(source):
            if time.monotonic() > deadline:
                raise AssertionError(f"batches of {source} are unfinished after {seconds} s")
            time.sleep(0.05)

    def wait_until_ready(self, seconds=300):
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self.call("GET", "/readyz")[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            if time.monotonic() > deadline:
                raise AssertionError(f"not ready after {seconds} s")
            time.sleep(0.1)

    def processes(self):
        """{pid: command} of all that the launcher runs, itself included."""
        parents, commands = {}, {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                stat = (entry / "stat").read_text()
                command = (entry / "cmdline").read_text().replace("\0", " ").strip()
            except OSError:
                continue
            pid = int(entry.name)
            parents[pid] = int(stat.rsplit(")", 1)[1].split()[1])
            commands[pid] = command
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return {pid: commands[pid] for pid in found}


def wait_for(what, condition, seconds=300):
    """The condition's value once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return found


def figure(**values):
    """One line of JSON on standard output: what the benchmark found."""
    print(json.dumps({name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}),
          flush=True)


def say(*words, **how):
    print(*words, file=sys.stderr, flush=True, **how)
