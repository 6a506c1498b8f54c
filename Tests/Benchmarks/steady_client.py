"""A client of a fixed rate, in a process of its own: what others wait while something happens to the server.

Latency counts from when a request was due, not from when it was sent: what holds up one holds up the next, too.
"""

import gc
import http.client
import json
import multiprocessing
import socket
import time

KEPT = 4  # connections that are kept, used in turns
# Of four requests one comes on a connection of its own.
KINDS = ("kept", "kept", "kept", "new")


class SteadyClient:
    """`GET /healthz` at `rate` a second, and `POST` of one record to `source` at `records` a second."""

    def __init__(self, platform, port, source, rate, records):
        context = multiprocessing.get_context("fork")
        self.stopping = context.Event()
        self.processes = []
        for work in ((probe, port, rate), (send_records, port, platform.key, source, records)):
            results, sender = context.Pipe(duplex=False)
            process = context.Process(target=run, args=(sender, self.stopping, *work), daemon=True)
            process.start()
            self.processes.append((process, results))

    def stop(self):
        """({kind: [(when it was due, seconds)]}, what went wrong); by `time.monotonic`, which all processes share."""
        self.stopping.set()
        found, wrong = {}, []
        for process, results in self.processes:
            latencies, error = results.recv()
            process.join(30)
            for kind, when, seconds in latencies:
                found.setdefault(kind, []).append((when, seconds))
            if error:
                wrong.append(error)
        return found, wrong


def run(results, stopping, work, *arguments):
    gc.disable()
    found, error = [], None
    try:
        work(found, stopping, *arguments)
    except (OSError, http.client.HTTPException) as failure:
        error = f"{work.__name__}, after {len(found)} requests: {failure!r}"
    results.send((found, error))


def due_times(stopping, rate):
    """Yields when each request is due, at that time or as soon after it as the one before allows."""
    due = time.monotonic()
    while not stopping.is_set():
        due += 1 / rate
        if (ahead := due - time.monotonic()) > 0:
            time.sleep(ahead)
        yield due


def probe(found, stopping, port, rate):
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    kept = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(KEPT)]
    for number, due in enumerate(due_times(stopping, rate)):
        kind = KINDS[number % len(KINDS)]
        if kind == "kept":
            exchange(kept[number % KEPT], request)
        else:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as own:
                exchange(own, request)
        found.append((kind, due, time.monotonic() - due))


def exchange(connection, request):
    connection.sendall(request)
    answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(f"no answer but {answer[:200]!r}")


def send_records(found, stopping, port, key, source, rate):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    for number, due in enumerate(due_times(stopping, rate)):
        connection.request("POST", f"/v1/ingest/{source}", body=json.dumps({"n": number}), headers=headers)
        answer = connection.getresponse()
        if answer.status != 202:
            raise ConnectionError(f"{answer.status} {answer.read()!r}")
        answer.read()
        found.append(("record", due, time.monotonic() - due))
