"""The platform at rest for a minute, after records went through it: each process's processor time, and transactions."""

import time
from pathlib import Path

from platform_under_test import Platform, figure, say

SETTLE = 40
PERIOD = 60


def processor_times(platform):
    """{pid: (command, nanoseconds on a processor)}; a process that comes and goes meanwhile is not counted."""
    result = {}
    for pid, command in platform.processes().items():
        try:
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
            spent = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
        except OSError:
            continue
        result[pid] = (command, spent)
    return result


def transactions(platform):
    return int(platform.sql(
        "select sum(xact_commit + xact_rollback) from pg_stat_database where datname = 'millrace'", "postgres"))


def main():
    with Platform() as platform:
        for number in range(20):
            platform.must("POST", "/v1/ingest/rest?wait=stored", f'{{"id": {number}}}\n', "application/x-ndjson")
        time.sleep(SETTLE)
        first, count = processor_times(platform), transactions(platform)
        begun = time.monotonic()
        time.sleep(PERIOD)
        last, minutes = processor_times(platform), (time.monotonic() - begun) / 60
        spent = {pid: (last[pid][1] - first[pid][1]) / 1e6 / minutes for pid in first if pid in last}
        rate = (transactions(platform) - count) / minutes
        for pid, milliseconds in sorted(spent.items(), key=lambda entry: -entry[1])[:12]:
            say(f"  {milliseconds:7.1f} ms  {first[pid][0][:90]}")
        busiest = max(spent, key=spent.get)
        figure(bench="idle", max_process_ms_per_minute=spent[busiest], process=first[busiest][0][:60],
               total_ms_per_minute=sum(spent.values()), transactions_per_minute=rate)


if __name__ == "__main__":
    main()
