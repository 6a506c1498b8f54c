"""Slow clients against everyone else: 1,000 connections to ingest that never finish their heads, never finish their
bodies, or hardly read their answers, while a steady client goes on: `/healthz` 200 times a second, on connections that
are kept and on new ones, and 50 records a second. Each attack is measured from its beginning until the service has
closed the last of the slow connections; before it comes a quiet time.

Fails where a 99th percentile grows more than twofold, where a slow connection outlives the limit that it is against, or
where the attack was none. Times below FLOOR count as equal: a request waits for one slice of the scheduler (3 ms) where
another process has the processor, the attacker on this machine of few processors above all; a record for a sync more.
"""

import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from platform_under_test import Platform, figure, say
from steady_client import SteadyClient

CONNECTIONS = 1000
RATE = 200
RECORDS = 50
QUIET = 15
FLOOR = {"kept": 0.005, "new": 0.005, "record": 0.020}
MOST = 2.0
# Beyond a limit: its timer's step, the answer that says so, and a client that reads its end late.
GRACE = 5
# Other than its default, so that what rests is not measured for over a minute.
SETTINGS = {"MILLRACE_HTTP_IDLE_TIMEOUT": "20s"}


@dataclass(frozen=True)
class Attack:
    bench: str
    limit: int  # seconds that the service gives such a client
    rate: int  # connections a second, opened all at once at the second's beginning
    command: tuple


def attacks(port, key):
    url = f"http://127.0.0.1:{port}"

    def slowhttptest(bench, limit, rate, *arguments):
        return Attack(bench, limit, rate, (
            "slowhttptest", *arguments, "-c", str(CONNECTIONS), "-r", str(rate), "-p", "5", "-l", "120"))

    return (
        # MILLRACE_HTTP_HEAD_TIMEOUT: further fields every three seconds do not help.
        slowhttptest("slow_headers", 10, 200, "-H", "-i", "3", "-x", "24", "-u", f"{url}/healthz"),
        # MILLRACE_HTTP_RATE_GRACE, for a body that is slower than MILLRACE_HTTP_BODY_RATE; of someone who has a key.
        slowhttptest(
            "slow_body", 10, 200, "-B", "-i", "3", "-x", "24", "-s", "65536", "-t", "POST",
            "-f", "application/x-ndjson", "-j", f"none=1\r\nAuthorization: Bearer {key}",
            "-u", f"{url}/v1/ingest/slow"),
        # MILLRACE_HTTP_IDLE_TIMEOUT: the kernel takes the answer, the service waits for a further request. Each is
        # answered by 33 KB: fewer at once, so that the slow clients are measured and not a crowd's first requests.
        slowhttptest(
            "slow_read", 20, 100, "-X", "-w", "512", "-y", "1024", "-n", "3", "-z", "32", "-k", "1",
            "-u", f"{url}/openapi.json"),
        # MILLRACE_HTTP_WRITE_TIMEOUT: the service waits inside an answer.
        Attack("slow_read_blocked", 30, 200, (
            sys.executable, "-B", str(Path(__file__).with_name("slow_reader.py")), str(port), str(CONNECTIONS), "200",
            "/openapi.json")))


def open_connections(port):
    """How many connections the service has not closed yet: established ones, and those that the client has ended."""
    count = 0
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            fields = line.split(None, 4)
            count += fields[1] == f"0100007F:{port:04X}" and fields[3] in ("01", "08")
    return count


def run(attack, port, own):
    """Runs an attack to its end: when it began and ended, the most connections, when the first and the last of them
    were closed, in seconds from the beginning. `own` connections are not the attack's."""
    with tempfile.TemporaryFile() as output:
        begun = time.monotonic()
        # It would be elsewhere, and take no processor time of the service and its other clients: it gets what is left.
        process = subprocess.Popen(
            ["nice", "-n", "19", *attack.command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        most, first_closed, seen = 0, None, 0
        while True:
            time.sleep(0.1)
            now = time.monotonic() - begun
            seen = open_connections(port) - own
            most = max(most, seen)
            if first_closed is None and most > CONNECTIONS // 2 and seen < most - CONNECTIONS // 20:
                first_closed = now
            if (most and seen <= 0 and now > 3) or process.poll() is not None or now > attack.limit + 3 * GRACE:
                break
        process.terminate()
        process.wait(30)
        output.seek(0)
        told = output.read().decode(errors="replace")
    return {"begun": begun, "seconds": now, "most": most, "first_closed": first_closed, "left": max(seen, 0)}, told


def log_end(platform):
    return (platform.home / "log/ingest/current").read_text(errors="replace")[-4000:]


def percentile(latencies, begin, end):
    within = sorted(seconds for when, seconds in latencies if begin <= when < end)
    return within[len(within) * 99 // 100] if within else math.inf


def measure(platform, port, attack):
    """The attack's figures, and what is wrong, each a sentence."""
    client = SteadyClient(platform, port, "steady", RATE, RECORDS)
    time.sleep(1)
    # Those that are kept; new ones come and go.
    own = min(open_connections(port) for _ in range(20))
    quiet = time.monotonic()
    time.sleep(QUIET)
    found, told = run(attack, port, own)
    ended = time.monotonic()
    latencies, failed = client.stop()
    values = {}
    wrong = [f"the steady client's {sentence}; the service's log ends:\n{log_end(platform)}" for sentence in failed]
    for kind, floor in FLOOR.items():
        before = percentile(latencies.get(kind, []), quiet, quiet + QUIET)
        during = percentile(latencies.get(kind, []), found["begun"], ended)
        ratio = max(during, floor) / max(before, floor)
        if math.isinf(during):
            continue  # the steady client has failed, as is said above
        values |= {f"{kind}_quiet_p99_ms": before * 1000, f"{kind}_attack_p99_ms": during * 1000,
                   f"{kind}_ratio": ratio}
        if ratio > MOST:
            wrong.append(f"{kind}: the 99th percentile grew from {before * 1000:.2f} to {during * 1000:.2f} ms")
    if found["most"] < CONNECTIONS * 95 // 100:
        wrong.append(f"only {found['most']} connections were open at the same time; it said:\n{told[-2000:]}")
    if found["left"] or found["seconds"] > CONNECTIONS / attack.rate + attack.limit + GRACE:
        wrong.append(f"{found['left']} slow connections are left after {found['seconds']:.1f} s; {attack.limit} s is "
                     f"the limit; it said:\n{told[-2000:]}")
    figure(bench=attack.bench, connections=found["most"], limit_s=attack.limit,
           opened_in_s=CONNECTIONS / attack.rate, first_closed_s=found["first_closed"],
           all_closed_s=found["seconds"], left=found["left"], **values)
    return [f"{attack.bench}: {sentence}" for sentence in wrong]


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * CONNECTIONS), hard))
    chosen = os.environ.get("BENCH_ATTACKS", "").split()
    wrong = []
    with Platform(settings=SETTINGS) as platform:
        port = platform.port_of("ingest")
        platform.must("POST", "/v1/ingest/steady?wait=stored", b'{"n": -1}\n', "application/x-ndjson")
        for attack in attacks(port, platform.key):
            if not chosen or attack.bench in chosen:
                say(f"{attack.bench}: {CONNECTIONS} connections, {attack.limit} s each at most")
                found = measure(platform, port, attack)
                if found:
                    say(*found, "once more, on what may be a quieter machine", sep="\n")
                    found = measure(platform, port, attack)
                wrong += found
    for sentence in wrong:
        say(sentence)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
