"""A Docker daemon of the test's own: its socket, its data and its containers are nobody else's, and go with it."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# What the daemon makes outside of its own folders, and leaves there.
ELSEWHERE = [Path(name) for name in ("/etc/docker", "/etc/docker/key.json", "/opt/containerd", "/run/containerd",
                                     "/run/docker", "/run/runc")]


class Daemon:
    """`run` has the sockets, which need a short path; `data` all that takes space."""

    def __init__(self):
        self.before = Traces()
        self.run = Path(tempfile.mkdtemp(prefix="millrace-compose-", dir="/run"))
        self.data = REPOSITORY / ".build/compose/docker"
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)
        self.socket = self.run / "docker.sock"
        # A packaged client goes with its daemon; another in front of it on the PATH may lack a builder.
        path = f"/usr/sbin:/usr/bin:{os.environ['PATH']}"
        self.client = shutil.which("docker", path=path)
        self.server = shutil.which("dockerd", path=path)
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "DOCKER": self.client, "PATH": path,
                            "DOCKER_CONFIG": str(self.run / "client")}

    def __enter__(self):
        self.log = (REPOSITORY / ".build/compose/dockerd.log").open("w")
        # Containers meet on a bridge of their own, a proxy leads to them: the machine's packet filter stays as it is.
        self.process = subprocess.Popen(
            [self.server, "--data-root", self.data, "--exec-root", self.run / "exec", "--pidfile",
             self.run / "pid", "--host", f"unix://{self.socket}", "--bridge", "none", "--iptables=false",
             "--ip-forward=false", "--default-address-pool", "base=10.213.0.0/16,size=24"],
            stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + 60
        while self.docker("version", check=False).returncode != 0:
            assert self.process.poll() is None and time.monotonic() < deadline, "see .build/compose/dockerd.log"
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)
        self.log.close()
        Traces.left_since(self.before, kind="process")
        # Where the machine's mounts are private it binds its data to itself, and stays so.
        if f"mount {self.data}" in Traces().found:
            subprocess.run(["umount", "--lazy", self.data], check=True)
        shutil.rmtree(self.run, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        for path in ELSEWHERE:
            if f"path {path}" not in self.before.found:
                path.unlink(missing_ok=True) if path.is_file() else shutil.rmtree(path, ignore_errors=True)
        for path in Traces.control_groups():
            if f"group {path}" not in self.before.found:
                for inner in sorted(path.rglob("*/"), reverse=True):
                    inner.rmdir()
                path.rmdir()

    def docker(self, *arguments, check=True):
        """A finished call of the client, its output as text."""
        done = subprocess.run([self.client, *arguments], env=self.environment, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0 or not check, f"docker {' '.join(arguments)}: {done.stdout}"
        return done

    def left(self):
        """What the daemon still has besides images: containers, volumes, networks that are not built in."""
        found = self.docker("ps", "-aq").stdout.split() + self.docker("volume", "ls", "-q").stdout.split()
        networks = self.docker("network", "ls", "--format", "{{.Name}}").stdout.split()
        return found + [name for name in networks if name not in ("none", "host", "bridge")]


class Traces:
    """What a daemon could leave on a machine; `left_since` says what is there that was not."""

    def __init__(self):
        self.found = set()
        for line in Path("/proc/self/mounts").read_text().splitlines():
            self.found.add("mount " + line.split()[1])
        for path in Path("/sys/class/net").iterdir():
            self.found.add("interface " + path.name)
        for path in Path("/proc").glob("[0-9]*/comm"):
            try:
                name = path.read_text().strip()
            except OSError:
                continue
            if name.startswith(("dockerd", "containerd", "docker-proxy", "runc")):
                self.found.add(f"process {path.parent.name} {name}")
        self.found.update(f"path {path}" for path in Path("/run").glob("millrace-compose-*"))
        self.found.update(f"path {path}" for path in ELSEWHERE if path.exists())
        self.found.update(f"group {path}" for path in self.control_groups())
        for table in ("filter", "nat"):
            done = subprocess.run(["/usr/sbin/iptables-save", "-t", table], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True, check=False)
            rules = (line for line in done.stdout.splitlines() if line.startswith("-A") or "DROP" in line)
            self.found.update(f"rule {table} {line.split('[')[0]}" for line in rules)

    @staticmethod
    def control_groups():
        """Docker's, of whichever version they are."""
        root = Path("/sys/fs/cgroup")
        return [*root.glob("docker"), *root.glob("*/docker")]

    @classmethod
    def left_since(cls, before, kind="", seconds=15):
        """What is still there after a while: the last processes end a moment after their daemon."""
        deadline = time.monotonic() + seconds
        while True:
            left = sorted(trace for trace in cls().found - before.found if trace.startswith(kind))
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.2)
