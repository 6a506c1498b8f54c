"""One event with `?wait=stored` on an idle platform, again and again: how long until it is a row."""

import statistics
import sys
import time

from platform_under_test import Platform, figure, say

ROUNDS = 200
WARM_UP = 20
PAUSE = 0.1  # between two, so that each finds the platform at rest


def main():
    times = []
    with Platform() as platform:
        connection = platform.connect()
        for number in range(ROUNDS + WARM_UP):
            body = f'{{"id": {number}, "kind": "probe", "value": {number / 10}}}\n'
            begun = time.perf_counter()
            status, receipt = platform.call(
                "POST", "/v1/ingest/probes?wait=stored&timeout=30s", body, "application/x-ndjson", connection)
            elapsed = time.perf_counter() - begun
            if status != 200 or receipt["stored"] != 1:
                sys.exit(f"not stored: {status} {receipt}")
            if number >= WARM_UP:
                times.append(elapsed * 1000)
            time.sleep(PAUSE)
    say(f"median {statistics.median(times):.1f} ms, slowest {max(times):.1f} ms")
    figure(bench="wait_stored", median_ms=statistics.median(times), p99_ms=statistics.quantiles(times, n=100)[98],
           max_ms=max(times), rounds=ROUNDS)


if __name__ == "__main__":
    main()
