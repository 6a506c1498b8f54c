"""See the first lines of `promises`."""

import os
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))

import backups
import clocks
import disks
import outages
import upgrades
from platform_under_test import figure, say

PROMISES = {
    "away": ("PostgreSQL away: refused, then all well by itself", outages.away),
    "stalled": ("PostgreSQL stands still: nothing piles up", outages.stalled),
    "lost_answers": ("A commit's answer is lost: once all the same", outages.lost_answers),
    "pooled": ("Behind pgbouncer in transaction mode", outages.pooled),
    "full_tables": ("The disk of the tables is full", disks.full_tables),
    "full_log": ("The disk of the log is full", disks.full_log),
    "full_landing": ("Landing is full", disks.full_landing),
    "failing_server": ("PostgreSQL's writes fail", disks.failing_server),
    "failing_services": ("The services' writes fail", disks.failing_services),
    "clocks": ("The services' clocks are ten days off", clocks.services),
    "database_clock": ("PostgreSQL's clock is ten days off", clocks.database),
    "killed": ("Everything is killed", outages.killed),
    "versions": ("Two versions on one schema", upgrades.side_by_side),
    "dump": ("A dump is restored", backups.dump),
    "point_in_time": ("A moment is restored", backups.point_in_time),
}


def main():
    names = sys.argv[1:] or list(PROMISES)
    if unknown := [name for name in names if name not in PROMISES]:
        sys.exit(f"no promise is named {', '.join(unknown)}; there are {', '.join(PROMISES)}")
    rows = []
    for name in names:
        title, test = PROMISES[name]
        say(f"== {name}: {title}")
        began = time.monotonic()
        try:
            result, outcome = test(), "held"
        except disks.NotHere as reason:
            result, outcome = {"why": str(reason)}, "not tried"
        except Exception as error:  # each is tried, whatever became of the one before
            traceback.print_exc()
            result, outcome = {"why": str(error)}, "broken"
        rows.append((title, outcome, result))
        figure(promise=name, outcome=outcome, took_s=time.monotonic() - began, **result)
    for line in table(rows):
        say(line)
    return status(rows, os.environ.get("PROMISES_ALL", "0") not in ("", "0"))


def status(rows, must_be_tried):
    """What the process ends with: 1 where a promise is broken, or was not tried though it must be."""
    bad = ("broken", "not tried") if must_be_tried else ("broken",)
    return int(any(outcome in bad for _, outcome, _ in rows))


def table(rows):
    """Promise, outcome, load held, faults injected, lost, repeated; and below what was not held, each with its why."""
    lines = [("promise", "outcome", "load held", "faults injected", "lost", "repeated")]
    for title, outcome, result in rows:
        lines.append((title, outcome if outcome == "held" else outcome.upper(), result.get("load", "-"),
                      result.get("faults", "-")[:100], str(result.get("lost", "-")), str(result.get("repeated", "-"))))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    yield from ("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines)
    outcomes = [outcome for _, outcome, _ in rows]
    yield (f"{outcomes.count('held')} of {len(rows)} promises held, {outcomes.count('broken')} broken, "
           f"{outcomes.count('not tried')} not tried")
    yield from (f"{outcome.upper()}: {title}: {result.get('why', '')}" for title, outcome, result in rows
                if outcome != "held")


if __name__ == "__main__":
    sys.exit(main())
