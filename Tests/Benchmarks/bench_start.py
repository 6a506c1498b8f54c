"""From the start of a service's process to its first 200 of /readyz, on a migrated database: at most 300 ms."""

import http.client
import os
import pwd
import statistics
import subprocess
import sys
import time
from pathlib import Path

from platform_under_test import SERVICES, Platform, figure, say

ROUNDS = int(os.environ.get("BENCH_STARTS", "9"))
MOST = 0.3


def settings_of(platform, service):
    """The environment of a service that runs, for another beside it on a port of its own."""
    done = subprocess.run(["s6-svstat", "-o", "pid", platform.home / "run/service" / service],
                          stdout=subprocess.PIPE, text=True, check=True)
    entries = (Path("/proc") / done.stdout.strip() / "environ").read_text().split("\0")
    settings = dict(entry.split("=", 1) for entry in entries if entry)
    del settings[f"MILLRACE_{service.upper()}_PORT"]
    return settings | {"MILLRACE_LISTEN_PORT": str(platform.port + 10), "MILLRACE_LOG_LEVEL": "error"}


def is_ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def start_once(binary, settings, user):
    """Seconds; the process is stopped again."""
    begun = time.monotonic()
    process = subprocess.Popen([binary], env=settings, cwd="/", user=user)
    try:
        while not is_ready(int(settings["MILLRACE_LISTEN_PORT"])):
            if time.monotonic() - begun > 30 or process.poll() is not None:
                sys.exit(f"{binary} does not become ready")
            time.sleep(0.001)
        return time.monotonic() - begun
    finally:
        process.terminate()
        process.wait(60)


def main():
    user = pwd.getpwnam("millrace").pw_uid if os.geteuid() == 0 else None
    slow = []
    with Platform() as platform:
        for service in SERVICES:
            binary = Path(os.environ["BENCH_BINARIES"]) / f"millrace-{service}"
            settings = settings_of(platform, service) | {"MILLRACE_CONSOLE": ""}
            times = sorted(start_once(binary, settings, user) for _ in range(ROUNDS))
            median = statistics.median(times)
            say(f"  {service:<10} {' '.join(f'{1000 * taken:.0f}' for taken in times)} ms")
            figure(bench="start", service=service, median_ms=1000 * median, least_ms=1000 * times[0],
                   most_ms=1000 * times[-1])
            if median > MOST:
                slow.append(service)
    if slow:
        sys.exit(f"not ready within {1000 * MOST:.0f} ms: {', '.join(slow)}")


if __name__ == "__main__":
    main()
