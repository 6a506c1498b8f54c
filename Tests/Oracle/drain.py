"""Terminates an ingest service by SIGTERM again and again while clients send, and starts it again each time: no request
that was accepted fails, each time the process ends by itself, in time and with status 0, and what was acknowledged is
stored afterwards, once. What becomes of a request is told apart as the clients' file says.
"""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
from drain_client import Probe, Sender, SlowReader, SlowSender
from platform_under_test import Platform, figure, say

TERMINATIONS = int(os.environ.get("DRAIN_TERMINATIONS", "50"))
SEED = int(os.environ.get("DRAIN_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
DEADLINE = 10  # MILLRACE_DRAIN of the service
# (kind, whether connections are kept), so many of each
CLIENTS = ((Probe, True, 3), (Probe, False, 3), (Sender, True, 3), (Sender, False, 3), (SlowSender, True, 2),
           (SlowSender, False, 2), (SlowReader, True, 2), (SlowReader, False, 1))


class Proof:
    def __init__(self, platform):
        self.platform = platform
        self.seed = SEED
        self.key = platform.key
        self.port = platform.port + 20
        self.over = threading.Event()
        self.stopping = False
        self.process = None
        self.faults = []
        self.longest = 0.0
        # Another replica, run as the launcher runs its own: as the same user, in the same folder, with its settings.
        pid, command = next((pid, command) for pid, command in platform.processes().items()
                            if re.search(r"millrace-ingest$", command.split(" ")[0]))
        self.folder = os.readlink(f"/proc/{pid}/cwd")
        # By its path from that folder: the user may not look at where that lies.
        self.command = "bin/" + os.path.basename(command.split(" ")[0])
        self.owner = os.stat(f"/proc/{pid}")
        variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
        self.environment = dict(line.split("=", 1) for line in variables if line)
        self.environment |= {"MILLRACE_INGEST_PORT": str(self.port), "MILLRACE_DRAIN": f"{DEADLINE}s"}

    def start(self):
        own = {}
        if os.geteuid() == 0:
            own = {"user": self.owner.st_uid, "group": self.owner.st_gid, "extra_groups": []}
        self.process = subprocess.Popen(
            [self.command], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stderr=self.log, **own)
        deadline = time.monotonic() + 30
        while True:
            connection = self.platform.connect(self.port, timeout=5)
            try:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            finally:
                connection.close()
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit("the service did not start; its log:\n" + Path(self.log.name).read_text()[-2000:])
            time.sleep(0.02)

    def terminate(self):
        begun = time.monotonic()
        self.stopping = True
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(DEADLINE + 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.stopping = False
        took = time.monotonic() - begun
        self.longest = max(self.longest, took)
        if status != 0:
            self.faults.append(f"it ended with status {status}")
        if took > DEADLINE:
            self.faults.append(f"it took {took:.1f} s to end; {DEADLINE} s is its deadline")

    def run(self):
        generator = random.Random(SEED)
        kinds = [(kind, kept) for kind, kept, count in CLIENTS for _ in range(count)]
        self.clients = [kind(self, number, kept) for number, (kind, kept) in enumerate(kinds)]
        with open(self.platform.folder / "drain.log", "w", encoding="utf-8") as self.log:
            self.start()
            for client in self.clients:
                client.start()
            for number in range(TERMINATIONS):
                time.sleep(generator.uniform(0.3, 1.0))
                self.terminate()
                self.start()
                if number % 10 == 9:
                    say(f"{number + 1} terminations: {dict(self.counts())}")
            # The last one serves what is still to be answered.
            self.over.set()
            for client in self.clients:
                client.join(60)
            self.terminate()
        self.platform.wait_finished("drain", 120)
        self.faults += [fault for client in self.clients for fault in client.faults]
        self.faults += self.compare()

    def counts(self):
        return sum((client.counts for client in self.clients), Counter())

    def compare(self):
        """Each request's records are stored once if they were acknowledged, else not at all or once."""
        text = self.platform.sql("""
            select client, request, count(*), count(distinct n) from ws_default.drain group by 1, 2""")
        stored = {}
        for line in text.splitlines():
            client, request, *found = map(int, line.split("|"))
            stored[client, request] = tuple(found)
        for client in self.clients:
            for request, size in getattr(client, "sent", {}).items():
                found = stored.pop((client.number, request), (0, 0))
                known = request in client.acknowledged
                if found != (size, size) and (known or found != (0, 0)):
                    yield (f"{client.number}-{request}: {size} records, {'' if known else 'not '}acknowledged; "
                           f"{found[0]} are stored, {found[1]} of them distinct")
        for group in stored:
            yield f"{group}: stored, but nobody sent it"


def main():
    say(f"seed {SEED}: {TERMINATIONS} terminations")
    with Platform() as platform:
        proof = Proof(platform)
        begun = time.monotonic()
        try:
            proof.run()
        finally:
            if proof.process and proof.process.poll() is None:
                proof.process.kill()
                proof.process.wait()
        seconds = time.monotonic() - begun
    for fault in proof.faults[:30]:
        say(fault)
    counts = proof.counts()
    outcomes = {name: counts[name] for name in ("answered", "refused", "reset", "retried", "lost", "broken")}
    statuses = {name: count for name, count in counts.items() if name.startswith("status")}
    acknowledged = sum(sum(getattr(client, "acknowledged", {}).values()) for client in proof.clients)
    figure(bench="drain", seed=SEED, terminations=TERMINATIONS, **outcomes, statuses=statuses,
           acknowledged=acknowledged, longest_stop_s=proof.longest, deadline_s=DEADLINE, faults=len(proof.faults),
           seconds=round(seconds))
    sys.exit(1 if proof.faults or not counts["answered"] or not acknowledged else 0)


if __name__ == "__main__":
    main()
