"""Load that is held on the platform while things fail, and the judgement afterwards.

Each client sends requests one after the other, keeps a log of what was acknowledged that it fsyncs before it goes on,
and repeats a request until it is acknowledged: with an `Idempotency-Key` the same bytes, else under a new number.
"""

import gzip
import http.client
import json
import os
import random
import threading
import time
from collections import Counter

SOURCE = "promise"
REPEATED = (429, 502, 503, 504)


class Client(threading.Thread):
    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load, self.number = load, number
        self.generator = random.Random(load.seed * 1000 + number)
        self.log = open(load.platform.folder / f"client-{number}.log", "a", encoding="ascii")
        self.connection = self.port = None
        self.acknowledged = 0
        self.replayed = 0  # answered from what an earlier try has done
        self.answers = Counter()
        self.faults = []
        self.last = time.monotonic()  # when it was acknowledged last
        self.slowest = 0.0  # s, of answers that refuse

    def run(self):
        request = 0
        while not self.load.over.is_set() and not self.faults:
            self.send(request)
            request += 1
        self.log.close()

    def send(self, request):
        draw = self.generator.random()
        size = self.generator.randint(1, 5) if draw < 0.6 else self.generator.randint(200, 2000)
        if draw > 0.98:
            size = 20000  # more than a MiB: an upload
        bad = int(self.generator.random() < 0.1)
        keyed = self.generator.random() < 0.5
        zipped = self.generator.random() < 0.2
        attempt = 0
        while True:
            group = (self.number, request, 0 if keyed else attempt)
            if not keyed or attempt == 0:
                self.write("sent", *group, size, bad)
            status, headers, answer = self.post(body(group, size, bad), keyed and f"{self.number}-{request}", zipped)
            self.answers[status] += 1
            if status in (200, 202):
                self.write("acknowledged", *group, size, bad)
                self.acknowledged += size + bad
                self.replayed += headers.get("Idempotent-Replayed") == "true"
                self.last = time.monotonic()
                return
            self.judge(group, status, headers, answer)
            if self.faults or time.monotonic() > self.load.deadline:
                return
            attempt += 1
            time.sleep(self.generator.uniform(0.05, 0.5))

    def judge(self, group, status, headers, answer):
        """Refusals that ask for a repetition, and say when, are right; so is no answer from what was killed."""
        if status in (429, 503) and "Retry-After" not in headers:
            self.faults.append(f"{group}: {status} without Retry-After: {answer[:300]}")
        elif any(code in answer for code in self.load.tolerated):
            return
        elif status is not None and status not in REPEATED:
            self.faults.append(f"{group}: {status} {answer[:300]}")

    def post(self, data, key, zipped):
        """(status, headers, answer); a status of None when there was no answer."""
        headers = {"Authorization": f"Bearer {self.load.platform.key}", "Content-Type": "application/x-ndjson"}
        if key:
            headers["Idempotency-Key"] = key
        if zipped:
            data = gzip.compress(data, 1)
            headers["Content-Encoding"] = "gzip"
        begun = time.monotonic()
        try:
            if self.connection and self.port != self.load.port_of(self.number):
                self.connection.close()
                self.connection = None
            if self.connection is None:
                self.port = self.load.port_of(self.number)
                self.connection = self.load.platform.connect(self.port, timeout=90)
            self.connection.request("POST", f"/v1/ingest/{SOURCE}", body=data, headers=headers)
            answer = self.connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                self.slowest = max(self.slowest, time.monotonic() - begun)
            return answer.status, answer.headers, text
        except (OSError, http.client.HTTPException):
            if self.connection:
                self.connection.close()
            self.connection = None
            return None, {}, b""

    def write(self, word, *numbers):
        self.log.write(" ".join(map(str, (word, time.time(), *numbers))) + "\n")
        self.log.flush()
        os.fsync(self.log.fileno())


def body(group, size, bad):
    client, request, attempt = group
    lines = [f'{{"client":{client},"request":{request},"attempt":{attempt},"n":{n},"text":"{n * 7919 % 1000003:06d}"}}'
             for n in range(size)]
    if bad:
        lines.insert(size // 2, json.dumps(f"{client} {request} {attempt}"))
    return ("\n".join(lines) + "\n").encode()


class Load:
    """`ports`: of gateways, taken in turns by the clients, who follow when they change. `tolerated`: codes of problems
    after which they try again, besides those that every client has to know."""

    def __init__(self, platform, clients=6, seed=None, ports=None, tolerated=()):
        self.platform, self.ports = platform, ports or [platform.port]
        self.tolerated = (b"idempotency_in_progress", *tolerated)
        self.seed = seed or random.SystemRandom().randrange(1, 1 << 30)
        self.over = threading.Event()
        self.deadline = time.monotonic() + 3600
        self.clients = [Client(self, number) for number in range(clients)]
        self.begun = time.monotonic()
        for client in self.clients:
            client.start()

    def port_of(self, number):
        ports = self.ports
        return ports[number % len(ports)]

    @property
    def acknowledged(self):
        return sum(client.acknowledged for client in self.clients)

    @property
    def answers(self):
        return sum((client.answers for client in self.clients), Counter())

    @property
    def faults(self):
        return [fault for client in self.clients for fault in client.faults]

    def last(self):
        """When every client has been acknowledged last: the moment of the one that waits longest."""
        return min(client.last for client in self.clients)

    def wait_working(self, seconds):
        """How long it takes until each client has been acknowledged once more."""
        begun = time.monotonic()
        while self.last() <= begun:
            if self.faults:
                raise AssertionError("; ".join(self.faults[:3]))
            if time.monotonic() > begun + seconds:
                raise AssertionError(f"not everybody is acknowledged within {seconds} s: {dict(self.answers)}")
            time.sleep(0.05)
        return time.monotonic() - begun

    def finish(self, seconds=120):
        """Ends when what is under way is acknowledged."""
        self.deadline = time.monotonic() + seconds
        self.over.set()
        for client in self.clients:
            client.join(seconds + 95)
            if client.is_alive():
                raise AssertionError(f"client {client.number} has not ended")
        self.seconds = time.monotonic() - self.begun
        self.attempts = self.recorded()

    def recorded(self):
        """{(client, request, attempt): (records, bad records, when sent, when acknowledged or None)} of the logs."""
        attempts = {}
        for client in self.clients:
            with open(client.log.name, encoding="ascii") as log:
                for line in log:
                    word, at, *numbers = line.split()
                    number, request, attempt, size, bad = map(int, numbers)
                    group = (number, request, attempt)
                    sent = attempts[group][2] if group in attempts else float(at)
                    attempts[group] = (size, bad, sent, float(at) if word == "acknowledged" else None)
        return attempts

    def describe(self):
        return f"{len(self.clients)} clients, {self.acknowledged:,} records acknowledged in {self.seconds:.0f} s"


class Judgement:
    """What was acknowledged beside what is stored; the faults are sentences."""

    def __init__(self, attempts, stored, quarantined, must=None, may=None):
        """`must` and `may` say of (sent, acknowledged) whether an attempt has to be there, and can be."""
        must = must or (lambda sent, acknowledged: acknowledged is not None)
        may = may or (lambda sent, acknowledged: True)
        self.lost = self.repeated = self.torn = self.unacknowledged = 0
        self.faults = []
        stored, quarantined = dict(stored), dict(quarantined)
        for group, (size, bad, sent, acknowledged) in attempts.items():
            rows, distinct = stored.pop(group, (0, 0))
            wrong = quarantined.pop(group, 0)
            found, whole = (rows, distinct, wrong), (size, size, bad)
            if found == whole and may(sent, acknowledged):
                self.unacknowledged += acknowledged is None
                continue
            if found == (0, 0, 0) and not must(sent, acknowledged):
                continue
            missing = max(0, size - distinct) + max(0, bad - wrong)
            self.repeated += max(0, rows - distinct) + max(0, wrong - bad)
            if must(sent, acknowledged):
                self.lost += missing
            elif missing:
                self.torn += 1
            self.faults.append(f"{group}: {size} + {bad} records, {'' if acknowledged else 'not '}acknowledged; "
                               f"{rows} rows ({distinct} distinct), {wrong} quarantined")
        for group in {**stored, **quarantined}:
            self.faults.append(f"{group}: stored, but nobody sent it")
            self.repeated += 1


def stored_groups(sql):
    """{(client, request, attempt): (rows, distinct rows)}"""
    text = sql(f"""
        select client, request, attempt, count(*), count(distinct n) from ws_default.{SOURCE} group by 1, 2, 3""")
    rows = (tuple(map(int, line.split("|"))) for line in text.splitlines())
    return {row[:3]: row[3:] for row in rows}


def quarantined_groups(sql):
    """{(client, request, attempt): quarantined records}: such a record is the text "client request attempt"."""
    text = sql("select encode(raw, 'escape') from landing.quarantine")
    return Counter(tuple(map(int, line.strip().strip('"').split())) for line in text.splitlines())
