"""A PostgreSQL of a promise's own, as `deploy/postgres` sets one up, that is started again when it dies."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BINARIES = Path("/usr/lib/postgresql/15/bin")
# The first of 24 ports of 127.0.0.1: two platforms have five each, and a server, another one and a pooler one each.
PORT = int(os.environ.get("PROMISES_PORT", "18900"))
OTHER_SITE, SERVER, OTHER_SERVER, POOLER = PORT + 10, PORT + 20, PORT + 21, PORT + 22
# glibc's allocator, loaded before jemalloc, with which the services are linked: libfiu and libfaketime ask for memory
# in the calls that they stand in for, and jemalloc makes such calls to get it. By the one services crashed as they
# started, by the other they hung.
ALLOCATOR = "libc_malloc_debug.so.0"
# Whom the launcher runs the services as: the server is theirs, too.
USER = "millrace" if os.geteuid() == 0 else None


def as_user(command):
    command = [str(part) for part in command]
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--", *command] if USER else command


def children(pid):
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(entry.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(entry.parent.name))
        except OSError:
            pass
    return found


class Server:
    """Listens in `folder` and on `port` of 127.0.0.1. `settings` are added to postgresql.conf; `prefix` is a command
    that runs it. Its data are in `data`, if that is given."""

    def __init__(self, port, settings=(), prefix=(), data=None):
        self.port, self.settings, self.prefix = port, dict(settings), list(prefix)
        self.folder = Path(tempfile.mkdtemp(prefix="millrace-promise-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.data = Path(data) if data else self.folder / "data"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        self.environment |= {"LC_ALL": "C.UTF-8"}
        self.process = None
        self.wanted = False
        self.deaths = 0  # not asked for
        self.lock = threading.Lock()
        self.keeper = threading.Thread(target=self.keep, daemon=True)

    def __enter__(self):
        if USER:
            shutil.chown(self.folder, USER, USER)
        self.initialise()
        self.keeper.start()
        self.start()
        self.prepare()
        return self

    def prepare(self, administrator="postgres"):
        self.run([BINARIES / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-v", "role=millrace", "-v", "database=millrace",
                  "-h", self.folder, "-p", self.port, "-U", administrator, "-d", "postgres", "-f", "-"],
                 input=(REPOSITORY / "deploy/postgres/prepare.sql").read_text())

    def __exit__(self, *_):
        self.kill(wanted=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def initialise(self):
        self.run(as_user([BINARIES / "initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                          "--data-checksums", "--auth=trust"]))
        self.configure()

    def configure(self, **more):
        """Writes the settings; what is there already keeps its place before them."""
        self.settings |= more
        own = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder,
               "shared_buffers": "128MB"} | self.settings
        lines = "".join(f"{name} = '{value}'\n" for name, value in own.items())
        text = (REPOSITORY / "deploy/postgres/millrace.conf").read_text() + lines
        (self.data / "promise.conf").write_text(text)
        with open(self.data / "postgresql.conf", "r+", encoding="utf-8") as file:
            if "promise.conf" not in file.read():
                file.write("\ninclude 'promise.conf'\n")

    def url(self, port=None, database="millrace"):
        return f"postgres://millrace@127.0.0.1:{port or self.port}/{database}?sslmode=disable&gssencmode=disable"

    def launch(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                as_user([*self.prefix, BINARIES / "postgres", "-D", self.data]), cwd="/",
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)

    def keep(self):
        """What a service manager does: a server that has died by itself is started again, a second later."""
        while True:
            time.sleep(0.05)
            with self.lock:
                if self.wanted and self.process.poll() is not None:
                    self.deaths += 1
                    time.sleep(1)
                    self.launch()

    def start(self, seconds=60):
        with self.lock:
            self.launch()
            self.wanted = True
        self.wait(seconds)

    def wait(self, seconds=60):
        deadline = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL is not ready after {seconds} s: {self.tail()}")
            time.sleep(0.1)

    def answers(self):
        """Whether it takes writes: one that is being restored answers before that."""
        try:
            return self.sql("select pg_is_in_recovery()", database="postgres") == "f"
        except RuntimeError:
            return False

    def stop(self, number=signal.SIGINT):
        """Ends it for good: SIGINT is a fast, SIGQUIT an immediate shutdown."""
        with self.lock:
            self.wanted = False
            os.kill(self.postmaster(), number)
            self.process.wait(120)

    def pids(self):
        server = self.postmaster()
        return [server, *children(server)] if server else []

    def postmaster(self):
        try:
            return int((self.data / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def kill(self, wanted=True):
        """SIGKILL to all of its processes at once, as when the machine dies; it is started again if `wanted`."""
        with self.lock:
            self.wanted = False
            pids = self.pids() if self.process and self.process.poll() is None else []
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if self.process:
                self.process.kill()
                self.process.wait()
            for pid in pids:
                while (Path("/proc") / str(pid)).exists() and "Z" not in state(pid):
                    time.sleep(0.01)
            if wanted:
                self.launch()
                self.wanted = True

    def freeze(self):
        self.frozen = self.pids()
        for pid in self.frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.frozen:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    def sql(self, text, database="millrace"):
        return self.run([BINARIES / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", self.port, "-U",
                         "postgres", "-d", database, "-c", text], timeout=60).strip()

    def run(self, command, **options):
        """What a command prints; RuntimeError with what it complains of."""
        try:
            done = subprocess.run(
                [str(part) for part in command], cwd="/", env=self.environment, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, check=False, **options)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{command[0]}: {error}") from None
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def tail(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"
