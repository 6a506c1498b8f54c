"""The platform as compose.yaml makes it, with what the benchmarks' and the oracle's clients ask of a platform."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "Tests/Benchmarks"))
from platform_under_test import SERVICES, Platform  # noqa: E402

PROJECT = "millracetest"
HEALTHY = (*SERVICES, "postgres", "gateway")


class ComposePlatform(Platform):
    """Brought up on entering, down on leaving; then nothing of it may be left. `program`: a docker-compose, of
    whichever version."""

    def __init__(self, daemon, port, program):
        # Nothing is started on this machine itself, so nothing of the launcher's is made ready.
        self.port = port
        self.daemon = daemon
        self.program = program
        self.containers = {}
        self.environment = {**daemon.environment, "MILLRACE_PORT": str(port), "COMPOSE_PROJECT_NAME": PROJECT}
        # The clients' logs.
        self.folder = Path(tempfile.mkdtemp(prefix="clients-", dir=REPOSITORY / ".build/compose"))

    def __enter__(self):
        self.key = ""
        self.compose("up", "-d", "--no-build")
        self.wait_until_ready()
        self.key = self.compose("exec", "-T", "store", "cat", "/run/millrace/admin-key").strip()
        return self

    def __exit__(self, *_):
        (REPOSITORY / ".build/compose/containers.log").write_text(self.compose("logs", "--no-color", check=False))
        self.compose("--profile", "demo", "down", "--volumes", "--timeout", "30")
        shutil.rmtree(self.folder)

    def compose(self, *arguments, check=True):
        """docker-compose on the repository's compose.yaml; what it printed."""
        done = subprocess.run([self.program, *arguments], cwd=REPOSITORY, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"docker-compose {' '.join(arguments)}: {(done.stdout + done.stderr)[-3000:]}")
        return done.stdout

    def container(self, service):
        """The id of a service's container; it keeps it when it is restarted."""
        if service not in self.containers:
            labels = {"project": PROJECT, "service": service}
            filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
            [self.containers[service]] = self.daemon.docker("ps", "-aq", *filters).stdout.split()
        return self.containers[service]

    def inspect(self, service, what):
        """What Docker knows of a service's container: `State`, `HostConfig`, `Config`."""
        return json.loads(self.daemon.docker("inspect", "-f", f"{{{{json .{what}}}}}", self.container(service)).stdout)

    def state(self, service):
        return self.inspect(service, "State")

    def is_healthy(self, service):
        state = self.state(service)
        return state["Running"] and state["Health"]["Status"] == "healthy"

    def wait_healthy(self, service, seconds=90):
        deadline = time.monotonic() + seconds
        while not self.is_healthy(service):
            assert time.monotonic() < deadline, f"{service} is not healthy after {seconds} s: {self.state(service)}"
            time.sleep(0.1)

    def sql(self, text, database="millrace", quiet=False):
        done = self.daemon.docker(
            "exec", self.container("postgres"), "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres",
            "-d", database, "-c", text, check=False)
        if done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, "psql", done.stdout)
        return done.stdout.strip()
