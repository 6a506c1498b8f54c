"""What tracing costs: the load of `bench event`, straight to ingest, without a collector, with one request in twenty
recorded, and with all; in turns, each time on a platform of its own. The collector is nginx, which throws all away and
takes its time from the same cores. BENCH_SECONDS (60) of each load, BENCH_ROUNDS (3).
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_event import ours
from platform_under_test import Platform, figure

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SHARES = (0, 0.05, 1)


class Collector:
    def __init__(self, port):
        self.port = port

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        settings = Path(self.folder.name) / "nginx.conf"
        settings.write_text(f"""
            daemon off; worker_processes 1; error_log {self.folder.name}/log; pid {self.folder.name}/pid;
            events {{}}
            http {{ access_log off; client_max_body_size 0;
                server {{ listen 127.0.0.1:{self.port};
                    location / {{ default_type application/json; return 200 "{{}}"; }} }} }}
            """)
        self.process = subprocess.Popen(["nginx", "-e", f"{self.folder.name}/log", "-c", settings])
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


def spans(platform):
    """{outcome: spans of ingest}"""
    connection = platform.connect(platform.port_of("ingest"))
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {platform.key}"})
    lines = connection.getresponse().read().decode().splitlines()
    return {line.split(" ")[0]: int(line.split(" ")[1]) for line in lines if line.startswith("millrace_trace_spans_")}


def main():
    rates = {share: [] for share in SHARES}
    with Collector(int(os.environ.get("BENCH_PORT", "18480")) + 9) as collector:
        traced = {"MILLRACE_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}"}
        for _ in range(ROUNDS):
            for share in SHARES:
                settings = traced | {"OTEL_TRACES_SAMPLER_ARG": str(share)} if share else {}
                with Platform(settings=settings) as platform:
                    rates[share].append(ours(platform, "events", platform.port_of("ingest"))["rate"])
                    if share and not spans(platform).get("millrace_trace_spans_exported_total"):
                        sys.exit(f"no span was sent: {spans(platform)}")
    plain = statistics.median(rates[0])
    for share in SHARES[1:]:
        rate = statistics.median(rates[share])
        figure(bench="tracing", recorded=share, rate=round(rate), without=round(plain), ratio=rate / plain)


if __name__ == "__main__":
    main()
