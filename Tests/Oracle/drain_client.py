"""Clients that never stop sending while the service is stopped and started again, each with raw sockets, to tell apart
what became of every request:

answered   the answer came whole
refused    nobody listened: no connection, no request
reset      a new connection ended before its first answer, with a reset: the kernel resets one that nobody accepted,
           and one that is closed with octets in it that nobody read. The request was not accepted
retried    a kept connection ended before the answer began, with a reset: the service had closed it idly, and read no
           octet of the request, which may be sent again (RFC 9112, section 9.3.1)
lost       the connection ended before the answer began, and without a reset: the service read the request and did
           not answer. Also any end after `100 Continue`, which says that the request is being read
broken     the connection ended inside an answer

The last two are faults. A request without an answer is sent again, records with the same Idempotency-Key, until there
is one.
"""

import random
import re
import socket
import struct
import threading
import time
from collections import Counter

CLOSED = 7  # TCP_CLOSE of Linux, the state of a connection that was reset
RESET_PATIENCE = 0.5
TIMEOUT = 60


class Ended(Exception):
    """The connection ended where something of the service was due; `began`: inside of it."""

    def __init__(self, began):
        super().__init__("inside an answer" if began else "before an answer")
        self.began = began


class Client(threading.Thread):
    """`kept`: on one connection as long as it holds, else on a new one for each request."""

    def __init__(self, proof, number, kept):
        super().__init__(daemon=True)
        self.proof = proof
        self.number = number
        self.kept = kept
        self.generator = random.Random(proof.seed * 1000 + number)
        self.connection = None
        self.counts = Counter()
        self.faults = []

    def run(self):
        request = 0
        while not self.proof.over.is_set():
            self.send_until_answered(request)
            request += 1
        self.close()

    def send_until_answered(self, request):
        while True:
            outcome, status = self.attempt(request)
            self.counts[outcome] += 1
            if outcome == "answered" and self.settles(request, status):
                return
            if self.proof.over.is_set() and outcome == "refused":
                return
            time.sleep(0.02 if outcome != "answered" else 0.1)

    def settles(self, request, status):
        """Whether the answer is one to stay with."""
        if status in (200, 202):
            return True
        self.counts[f"status {status}"] += 1
        # While a service starts it may have no database yet, and a retry may come while the first attempt is under way.
        if not (status == 503 and not self.proof.stopping or status == 409):
            self.faults.append(f"{type(self).__name__} {self.number}-{request}: {status}")
        return False

    def attempt(self, request):
        """(what became of it, the status of the answer)"""
        fresh = self.connection is None
        self.accepted = False  # by 100 Continue
        self.ahead = b""  # what came behind it
        if fresh:
            try:
                self.connection = socket.create_connection(("127.0.0.1", self.proof.port), timeout=TIMEOUT)
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.prepare()
            except ConnectionError:
                self.close()
                return "refused", None
        try:
            status, ends = self.exchange(request)
        except (Ended, ConnectionError) as error:
            outcome = self.judge(error, fresh)
            self.close()
            if outcome in ("lost", "broken"):
                self.faults.append(f"{type(self).__name__} {self.number}-{request}: {outcome}, "
                                   f"{'new' if fresh else 'kept'} connection, {error!r}")
            return outcome, None
        if ends or not self.kept:
            self.close()
        return "answered", status

    def judge(self, error, fresh):
        if isinstance(error, Ended) and error.began:
            return "broken"
        if self.accepted or not (isinstance(error, ConnectionError) or self.was_reset()):
            return "lost"
        return "reset" if fresh else "retried"

    def was_reset(self):
        """Whether a reset follows the end that was read: the kernel's answer to octets that came after the close."""
        deadline = time.monotonic() + RESET_PATIENCE
        while True:
            state = struct.unpack_from("B", self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8))[0]
            if state == CLOSED:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def prepare(self):
        """For a connection that has just been made."""

    def exchange(self, request):
        """Sends a request and reads its answer: (its status, whether the connection ends with it)."""
        self.connection.sendall(self.octets(request))
        return self.read_answer()

    def read_answer(self, piece=65536, pause=0.0):
        answer, self.ahead = self.ahead or self.receive(b"", piece), b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive(answer, piece)
        head, _, body = answer.partition(b"\r\n\r\n")
        status = int(head[9:12])
        if status == 100:
            self.ahead = body
            return 100, False
        length = int(re.search(rb"\r\ncontent-length: *(\d+)", head.lower())[1])
        while len(body) < length:
            if pause:
                time.sleep(pause)
            body += self.receive(answer, piece)
        if len(body) > length:
            raise Ended(True)
        return status, b"\r\nconnection: close" in head.lower()

    def receive(self, before, piece):
        try:
            octets = self.connection.recv(piece)
        except ConnectionError:
            if before:
                raise Ended(True) from None
            raise
        if not octets:
            raise Ended(bool(before))
        return octets

    def head(self, method, path, *fields):
        return "\r\n".join([
            f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {self.proof.key}", *fields,
            "\r\n"]).encode()


class Probe(Client):
    """`GET` without a body."""

    def octets(self, _):
        return self.head("GET", "/healthz")


class SlowReader(Client):
    """Takes a long answer in small pieces, so that it is on its way for a while."""

    def prepare(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def exchange(self, _):
        self.connection.sendall(self.head("GET", "/openapi.json", "Accept-Encoding: identity"))
        return self.read_answer(piece=4096, pause=self.generator.uniform(0.005, 0.03))


class Sender(Client):
    """`POST` of some records with an Idempotency-Key, in one piece."""

    most = 3

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.acknowledged = {}  # request: records
        self.sent = {}

    def size(self, request):
        """The same at each attempt."""
        return random.Random(self.number * 1000003 + request).randint(1, self.most)

    def body(self, request):
        self.sent[request] = self.size(request)
        return "".join(f'{{"client":{self.number},"request":{request},"n":{n}}}\n'
                       for n in range(self.size(request))).encode()

    def fields(self, request):
        # Unique over runs on the same database, too.
        return ("Content-Type: application/x-ndjson", f"Idempotency-Key: {self.proof.seed}-{self.number}-{request}")

    def octets(self, request):
        body = self.body(request)
        return self.head("POST", "/v1/ingest/drain", *self.fields(request), f"Content-Length: {len(body)}") + body

    def settles(self, request, status):
        settled = super().settles(request, status)
        if settled:
            self.acknowledged[request] = self.size(request)
        return settled


class SlowSender(Sender):
    """`POST` whose body comes in pieces, with pauses, once the service has asked for it; every other one chunked."""

    most = 2000

    def exchange(self, request):
        body = self.body(request)
        chunked = request % 2 == 1
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        self.connection.sendall(self.head(
            "POST", "/v1/ingest/drain", *self.fields(request), framing, "Expect: 100-continue"))
        status, ends = self.read_answer()
        if status != 100:
            return status, True
        self.accepted = True
        step = len(body) // 4 + 1
        for start in range(0, len(body), step):
            piece = body[start:start + step]
            self.connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            time.sleep(self.generator.uniform(0, 0.2))
        if chunked:
            self.connection.sendall(b"0\r\n\r\n")
        return self.read_answer()
