"""Kills everything while clients send, then compares what was acknowledged with what is stored.

An attempt is stored not at all or whole and once; an acknowledged one exactly once; and with an idempotency key exactly
once however often it was retried. A record that is no object is in the quarantine as often as its request is stored.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
from client import Client
from platform_under_test import SERVICES, Platform, figure, say

RECORDS = int(os.environ.get("ORACLE_RECORDS", "1000000"))
KILLS = int(os.environ.get("ORACLE_KILLS", "20"))
POSTGRES_KILLS = int(os.environ.get("ORACLE_POSTGRES_KILLS", "10"))
SEED = int(os.environ.get("ORACLE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
CLIENTS = 4


class Killer(threading.Thread):
    """Kills services by SIGKILL and PostgreSQL as `pg_ctl -m immediate` does, one at a time, each when it is up."""

    def __init__(self, platform, generator):
        super().__init__(daemon=True)
        self.platform = platform
        self.generator = generator
        self.plan = [name for name in SERVICES for _ in range(KILLS)] + ["postgres"] * POSTGRES_KILLS
        generator.shuffle(self.plan)
        self.done = dict.fromkeys((*SERVICES, "postgres"), 0)
        self.inside = 0  # kills that found their victim in a transaction
        self.progress = 0.0

    def run(self):
        for name in self.plan:
            pid = self.wait_up(name)
            in_transaction = self.wait_transaction(name)
            try:
                os.kill(pid, signal.SIGQUIT if name == "postgres" else signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.done[name] += 1
            self.inside += in_transaction
            self.progress = sum(self.done.values()) / len(self.plan)
            time.sleep(self.generator.uniform(0.2, 1.5))

    def wait_up(self, name):
        """The pid of a process that has been up long enough to have work."""
        least = self.generator.uniform(0.3, 3)
        while True:
            done = subprocess.run(
                ["s6-svstat", "-o", "up,pid,updownfor", self.platform.home / "run/service" / name],
                stdout=subprocess.PIPE, text=True, check=False)
            fields = done.stdout.split()
            if len(fields) == 3 and fields[0] == "true" and int(fields[2]) >= least and self.answers():
                return int(fields[1])
            time.sleep(0.1)

    def answers(self):
        try:
            return self.platform.sql("select 1", quiet=True) == "1"
        except subprocess.CalledProcessError:
            return False

    def wait_transaction(self, name):
        """Looks for a moment for a connection of the victim that is inside a transaction; whether one was seen."""
        whose = "true" if name == "postgres" else f"application_name like '%{name}%'"
        deadline = time.monotonic() + self.generator.choice((0.1, 1))
        while time.monotonic() < deadline:
            try:
                found = self.platform.sql(f"""
                    select count(*) from pg_stat_activity where usename = 'millrace' and {whose}
                    and xact_start is not null and state <> 'idle'""", quiet=True)
            except subprocess.CalledProcessError:
                return False
            if found != "0":
                return True
        return False


def stored_groups(platform):
    """{(client, request, attempt): (rows, distinct rows)}"""
    text = platform.sql("""
        select client, request, attempt, count(*), count(distinct n) from ws_default.oracle group by 1, 2, 3""")
    rows = (tuple(map(int, line.split("|"))) for line in text.splitlines())
    return {row[:3]: row[3:] for row in rows}


def quarantined_groups(platform):
    """{(client, request, attempt): quarantined records}: such a record is the text "client request attempt"."""
    found = {}
    cursor = ""
    while True:
        page = platform.must("GET", f"/v1/datasets/oracle/quarantine?limit=500{cursor}")
        for item in page["items"]:
            group = tuple(map(int, item["raw"].strip().strip('"').split()))
            found[group] = found.get(group, 0) + 1
        if not page.get("next_cursor"):
            return found
        cursor = f"&cursor={page['next_cursor']}"


def compare(attempts, stored, quarantined):
    """The faults, each a sentence."""
    for group, (size, bad, acknowledged) in attempts.items():
        rows, distinct = stored.pop(group, (0, 0))
        wrong = quarantined.pop(group, 0)
        found = (rows, distinct, wrong)
        if found != (size, size, bad) and (acknowledged or found != (0, 0, 0)):
            yield (f"{group}: {'' if acknowledged else 'not '}acknowledged with {size} + {bad} records; "
                   f"{rows} rows ({distinct} distinct), {wrong} quarantined")
    for group in {**stored, **quarantined}:
        yield f"{group}: stored, but nobody sent it"


def main():
    say(f"seed {SEED}: {RECORDS} records, {KILLS} kills of each service, {POSTGRES_KILLS} of PostgreSQL")
    with Platform() as platform:
        killer = Killer(platform, random.Random(SEED))
        clients = [Client(platform, number, RECORDS // CLIENTS, SEED, killer) for number in range(CLIENTS)]
        begun = time.monotonic()
        for thread in (killer, *clients):
            thread.start()
        for thread in (*clients, killer):
            while thread.is_alive():
                thread.join(10)
                acknowledged = sum(client.acknowledged for client in clients)
                say(f"{time.monotonic() - begun:5.0f} s: {acknowledged} acknowledged, "
                    f"killed {killer.done}, {killer.inside} inside transactions")
        sent = time.monotonic() - begun
        platform.wait_until_ready()
        platform.wait_finished("oracle", 600)
        attempts = {}
        for client in clients:
            attempts.update(client.recorded())
        faults = list(compare(attempts, stored_groups(platform), quarantined_groups(platform)))
    refused = [fault for client in clients for fault in client.faults]
    for fault in (faults + refused)[:20]:
        say(fault)
    acknowledged = sum(size + bad for size, bad, known in attempts.values() if known)
    figure(bench="oracle", seed=SEED, acknowledged=acknowledged, attempts=len(attempts), faults=len(faults + refused),
           kills=killer.done, inside_transactions=killer.inside, seconds=round(sent))
    if not killer.inside:
        say("no kill was seen to land inside a transaction")
    if faults or refused or acknowledged < RECORDS or not killer.inside:
        sys.exit(1)


if __name__ == "__main__":
    main()
