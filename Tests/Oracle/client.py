"""A client of the oracle: sends, retries, and keeps a log of what was acknowledged that it fsyncs before going on."""

import gzip
import http.client
import json
import os
import random
import threading
import time

RETRIED = (429, 502, 503, 504)


class Client(threading.Thread):
    def __init__(self, platform, number, records, seed, killer):
        super().__init__(daemon=True)
        self.platform = platform
        self.number = number
        self.records = records  # to be acknowledged
        self.killer = killer  # goes on as long as it kills
        self.generator = random.Random(seed * 100 + number)
        self.acknowledged = 0
        self.faults = []
        self.log = open(platform.folder / f"client-{number}.log", "a", encoding="ascii")
        self.connection = None

    def run(self):
        request = 0
        while self.acknowledged < self.records or self.killer.is_alive():
            self.send_request(request)
            if self.faults:
                return
            request += 1
        self.log.close()

    def is_ahead(self):
        """Whether more of the records are acknowledged than of the kills are done: both should end together."""
        return self.killer.is_alive() and self.acknowledged / self.records > self.killer.progress + 0.02

    def send_request(self, request):
        """Sends one request's records until they are acknowledged: the same bytes with a key, else new ones."""
        small = self.is_ahead() or self.generator.random() < 0.4
        size = self.generator.randint(1, 5) if small else self.generator.randint(200, 4000)
        bad = int(self.generator.random() < 0.1)
        keyed = self.generator.random() < 0.5
        zipped = self.generator.random() < 0.2
        attempt = 0
        while True:
            group = (self.number, request, 0 if keyed else attempt)
            if not keyed or attempt == 0:
                self.write("sent", *group, size, bad)
            status, answer = self.post(body(group, size, bad), f"{self.number}-{request}" if keyed else None, zipped)
            if status in (200, 202):
                self.write("acknowledged", *group, size, bad)
                self.acknowledged += size + bad
                return
            if status is not None and status not in RETRIED and not in_progress(status, answer):
                self.faults.append(f"{group}: {status} {answer}")
                return
            attempt += 1
            time.sleep(self.generator.uniform(0.02, 0.3))

    def post(self, data, key, zipped):
        """(status, answer); (None, None) when there was no answer."""
        headers = {"Authorization": f"Bearer {self.platform.key}", "Content-Type": "application/x-ndjson"}
        if key:
            headers["Idempotency-Key"] = key
        if zipped:
            data = gzip.compress(data, 1)
            headers["Content-Encoding"] = "gzip"
        try:
            if self.connection is None:
                self.connection = self.platform.connect(timeout=60)
            self.connection.request("POST", "/v1/ingest/oracle", body=data, headers=headers)
            answer = self.connection.getresponse()
            text = answer.read()
            return answer.status, text
        except (OSError, http.client.HTTPException):
            if self.connection:
                self.connection.close()
            self.connection = None
            return None, None

    def write(self, *fields):
        self.log.write(" ".join(map(str, fields)) + "\n")
        self.log.flush()
        os.fsync(self.log.fileno())

    def recorded(self):
        """{(client, request, attempt): (records, bad records, whether acknowledged)} as the log has it."""
        attempts = {}
        with open(self.log.name, encoding="ascii") as log:
            for line in log:
                word, *numbers = line.split()
                client, request, attempt, size, bad = map(int, numbers)
                attempts[client, request, attempt] = (size, bad, word == "acknowledged")
        return attempts


def in_progress(status, answer):
    """A keyed request whose first attempt is still under way."""
    return status == 409 and b"idempotency_in_progress" in answer


def body(group, size, bad):
    client, request, attempt = group
    lines = [f'{{"client":{client},"request":{request},"attempt":{attempt},"n":{n},"text":"{n * 7919 % 1000003:06d}"}}'
             for n in range(size)]
    if bad:
        lines.insert(size // 2, json.dumps(f"{client} {request} {attempt}"))
    return ("\n".join(lines) + "\n").encode()
