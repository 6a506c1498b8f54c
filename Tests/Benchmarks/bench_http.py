"""Keep-alive JSON answers: a service's `/healthz`, with router, middleware, access log and metrics, beside nginx's
`return 200` with its access log buffered, as many workers as there are processors each, and a file each for the log.
wrk runs on the same machine, in turns: 64 connections, then 16 requests at a time. Before that 10,000 connections at
rest, and what memory they take.
"""

import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from platform_under_test import Platform, figure, say

ROUNDS = 9
SECONDS = max(1, int(os.environ.get("BENCH_SECONDS", "90")) // (2 * ROUNDS))
CONNECTIONS = 64
IDLE = 10_000
NGINX = "/usr/sbin/nginx"
PIPELINE = Path(__file__).with_name("pipeline.lua")
TICKS = os.sysconf("SC_CLK_TCK")


class Service:
    """One more ingest service on the platform's database, which writes its log where nginx writes its own: to a file,
    and not through the supervisor's logger, which would be a third process on two processors."""

    def __init__(self, platform, port):
        self.platform, self.port = platform, port

    def __enter__(self):
        pid = next(pid for pid, command in self.platform.processes().items()
                   if re.search(r"millrace-ingest$", command.split(" ")[0]))
        pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        environment = dict(pair.decode().split("=", 1) for pair in pairs if b"=" in pair)
        environment |= {"MILLRACE_LISTEN_PORT": str(self.port), "MILLRACE_ACCESS_LOG": "true",
                        "MILLRACE_INGEST_PORT": str(self.port)}
        self.folder = tempfile.TemporaryDirectory(prefix="bench-service-")
        owner = os.stat(f"/proc/{pid}")
        log = open(Path(self.folder.name) / "log", "w")
        binary = Path(os.environ["BENCH_BINARIES"]) / "millrace-ingest"
        self.process = subprocess.Popen(
            [binary], env=environment, cwd=os.readlink(f"/proc/{pid}/cwd"), stderr=log,
            **({"user": owner.st_uid, "group": owner.st_gid} if os.getuid() == 0 else {}))
        self.pid = self.process.pid
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    sys.exit("the service did not start: " + (Path(self.folder.name) / "log").read_text()[-2000:])
                time.sleep(0.1)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.folder.cleanup()


class Nginx:
    def __init__(self, port):
        self.port = port

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="bench-nginx-")
        configuration = Path(self.folder.name) / "nginx.conf"
        configuration.write_text(f"""
            worker_processes auto;
            daemon off;
            pid {self.folder.name}/pid;
            error_log {self.folder.name}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                access_log {self.folder.name}/access.log combined buffer=64k flush=1s;
                keepalive_requests 1000000000;
                default_type application/json;
                server {{
                    listen 127.0.0.1:{self.port} reuseport;
                    location / {{ return 200 '{{"status":"ok"}}'; }}
                }}
            }}""")
        self.process = subprocess.Popen([NGINX, "-c", str(configuration), "-p", self.folder.name])
        time.sleep(0.5)
        if self.process.poll() is not None:
            sys.exit("nginx did not start")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        self.pids = [int(pid) for pid in children.split()]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.folder.cleanup()


def processor_time(pids):
    """Seconds that the processes have used so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def load(port, pids, script=None):
    """wrk for a while: answers a second, the 99th percentile in ms, processor time of the server in µs an answer. Any
    answer that is not 200, and any socket error, ends the benchmark."""
    before = processor_time(pids)
    done = subprocess.run(
        ["wrk", "-t", "2", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "--latency",
         *(["-s", str(script)] if script else []), f"http://127.0.0.1:{port}/healthz"],
        stdout=subprocess.PIPE, text=True, check=True)
    used = processor_time(pids) - before
    if re.search("Non-2xx|Socket errors", done.stdout):
        sys.exit(f"port {port}: {done.stdout}")
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]),
            "p99_ms": float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit],
            "cpu_us": used / requests * 1e6}


def compare(name, service, nginx, script=None):
    ours, peers = [], []
    for _ in range(ROUNDS):
        ours.append(load(service.port, [service.pid], script))
        peers.append(load(nginx.port, nginx.pids, script))
        say(f"{name}: ours {ours[-1]['rate']:.0f}/s, nginx {peers[-1]['rate']:.0f}/s")
    mine, theirs = ({key: statistics.median(one[key] for one in runs) for key in runs[0]} for runs in (ours, peers))
    ratio = statistics.median(one["rate"] / other["rate"] for one, other in zip(ours, peers))
    figure(bench=name, rate=mine["rate"], peer="nginx", peer_rate=theirs["rate"], ratio=ratio,
           p99_ms=mine["p99_ms"], peer_p99_ms=theirs["p99_ms"], cpu_us=mine["cpu_us"], peer_cpu_us=theirs["cpu_us"],
           rounds=ROUNDS)


def resident(pid):
    """Resident memory in MB."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def idle(service):
    """Connections that have had one answer each and rest."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, IDLE + 1000), hard))
    before = resident(service.pid)
    sockets = []
    for _ in range(IDLE - 100):
        one = socket.create_connection(("127.0.0.1", service.port))
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if not one.recv(4096).startswith(b"HTTP/1.1 200"):
            sys.exit("a connection was not served")
        sockets.append(one)
    after = resident(service.pid)
    figure(bench="http_idle_connections", connections=len(sockets), megabytes=after, grown_by=after - before)
    for one in sockets:
        one.close()


def main():
    with Platform() as platform, Service(platform, platform.port + 60) as service, Nginx(platform.port + 50) as nginx:
        idle(service)
        compare("http_keep_alive", service, nginx)
        compare("http_pipelined", service, nginx, PIPELINE)


if __name__ == "__main__":
    main()
