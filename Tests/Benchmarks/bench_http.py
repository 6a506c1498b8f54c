"""Keep-alive JSON answers on 64 connections: a service's `/healthz`, with router, metrics and request ids, beside
nginx's `return 200` with as many workers as there are processors. wrk runs on the same machine, and in turns."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from platform_under_test import Platform, figure, say

ROUNDS = 5
SECONDS = max(1, int(os.environ.get("BENCH_SECONDS", "60")) // (2 * ROUNDS))
CONNECTIONS = 64
NGINX = "/usr/sbin/nginx"


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
                access_log off;
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
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.folder.cleanup()


def rate(port):
    """Answers a second; any that is not 200, and any socket error, ends the benchmark."""
    done = subprocess.run(
        ["wrk", "-t", "2", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", f"http://127.0.0.1:{port}/healthz"],
        stdout=subprocess.PIPE, text=True, check=True)
    if re.search("Non-2xx|Socket errors", done.stdout):
        sys.exit(f"port {port}: {done.stdout}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])


def main():
    ours, peers = [], []
    with Platform() as platform, Nginx(platform.port + 50) as nginx:
        for _ in range(ROUNDS):
            ours.append(rate(platform.port_of("ingest")))
            peers.append(rate(nginx.port))
            say(f"ours {ours[-1]:.0f}/s, nginx {peers[-1]:.0f}/s")
    mine, theirs = statistics.median(ours), statistics.median(peers)
    figure(bench="http_keep_alive", rate=mine, peer="nginx", peer_rate=theirs, ratio=mine / theirs, rounds=ROUNDS)


if __name__ == "__main__":
    main()
