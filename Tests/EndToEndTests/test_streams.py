"""Streams over WebSocket as their users meet them: by PyPI's websockets and by wsproto, through the gateway and not.

One platform serves all cases; each has its own source.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402
from stream_client import Closed, Sender, Stream  # noqa: E402
from websockets.exceptions import ConnectionClosedError, InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402
from wsproto.events import Ping, Pong, TextMessage  # noqa: E402

SEED = int(os.environ.get("MILLRACE_TEST_SEED") or random.randrange(1, 1 << 30))


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


def envelope(seq, *records):
    return json.dumps({"seq": seq, "records": list(records)})


def pid_of(service):
    """The pid of a service that is up; None while it is not."""
    done = subprocess.run(
        ["s6-svstat", "-o", "up,pid", platform.home / "run/service" / service],
        stdout=subprocess.PIPE, text=True, check=False)
    fields = done.stdout.split()
    return int(fields[1]) if len(fields) == 2 and fields[0] == "true" else None


def values(source, column="n"):
    """What is stored of a source, in order."""
    platform.wait_finished(source)
    return [int(line) for line in platform.sql(f"select {column} from ws_default.{source} order by 1").split()]


class WithWebsockets(unittest.TestCase):
    def connect(self, source, stream="s", port=None, **options):
        return connect(
            f"ws://127.0.0.1:{port or platform.port}/v1/ingest/{source}/stream?stream={stream}",
            additional_headers={"Authorization": f"Bearer {platform.key}"}, **options)

    def test_messages_are_acknowledged_and_stored(self):
        for number, port in enumerate((platform.port, platform.port_of("ingest"))):
            with self.connect("both", f"s{number}", port) as socket:
                self.assertEqual(json.loads(socket.recv()), {"ack": 0})
                socket.send(envelope(1, {"n": 1}, {"n": 2}))
                self.assertEqual(json.loads(socket.recv()), {"ack": 1})
                socket.send('{"n": 3}\n{"n": 4}\n')
                self.assertEqual(json.loads(socket.recv()), {"ack": 2})
                socket.send(b'{"n": 5}')
                self.assertEqual(json.loads(socket.recv()), {"ack": 3})
        self.assertEqual(values("both"), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5])

    def test_many_messages_share_a_commit(self):
        count = 20_000
        with self.connect("busy") as socket:
            socket.recv()

            def send():
                for seq in range(1, count + 1):
                    socket.send(envelope(seq, {"n": seq}))

            sender = threading.Thread(target=send)
            sender.start()
            acks = [0]
            while acks[-1] < count:
                acks.append(json.loads(socket.recv())["ack"])
            sender.join()
        self.assertEqual(acks, sorted(set(acks)))
        self.assertEqual(values("busy"), list(range(1, count + 1)))
        batches = int(platform.sql("""
            select count(*) from millrace.batch b join millrace.source s on s.id = b.source_id
            where s.name = 'busy'"""))
        self.assertLess(batches, count / 2)

    def test_a_stream_is_gone_on_with(self):
        with self.connect("resumed") as socket:
            socket.recv()
            for seq in (1, 2, 3):
                socket.send(envelope(seq, {"n": seq}))
            while json.loads(socket.recv())["ack"] < 3:
                pass
        with self.connect("resumed") as socket:
            self.assertEqual(json.loads(socket.recv()), {"ack": 3})
            socket.send(envelope(2, {"n": 2}))
            self.assertEqual(json.loads(socket.recv()), {"ack": 3})
            socket.send('{"n": 4}')
            self.assertEqual(json.loads(socket.recv()), {"ack": 4})
        with self.connect("resumed", "another") as socket:
            self.assertEqual(json.loads(socket.recv()), {"ack": 0})
        self.assertEqual(values("resumed"), [1, 2, 3, 4])

    def test_compression_is_agreed_on(self):
        with self.connect("packed") as socket:
            self.assertTrue(socket.protocol.extensions)
            socket.recv()
            socket.send(envelope(1, *({"n": n, "text": "again and again" * 10} for n in range(5000))))
            self.assertEqual(json.loads(socket.recv()), {"ack": 1})
        with self.connect("packed", compression=None) as socket:
            self.assertFalse(socket.protocol.extensions)
            self.assertEqual(json.loads(socket.recv()), {"ack": 1})
            # A message of several frames.
            socket.send(["{", '"n"', ": 5000}"])
            self.assertEqual(json.loads(socket.recv()), {"ack": 2})
        self.assertEqual(values("packed"), list(range(5001)))

    def fault(self, source, *messages, **options):
        """(problem, close code, highest acknowledgement) of a stream whose last message is at fault."""
        ack, problem = 0, None
        with self.connect(source, **options) as socket:
            try:
                for message in messages:
                    socket.send(message)
                while True:
                    answer = json.loads(socket.recv())
                    if "ack" in answer:
                        self.assertIsNone(problem, "the problem is the last message")
                        ack = answer["ack"]
                    else:
                        problem = answer
            except ConnectionClosedError as closed:
                return problem, closed.rcvd.code, ack

    def test_faults_are_the_last_message_and_what_came_before_is_stored(self):
        good = [envelope(1, {"n": 1}), envelope(2, {"n": 2})]
        cases = [
            (envelope(4, {"n": 4}), "out_of_sequence", 1008), (envelope(0, {"n": 0}), "malformed_body", 1007),
            ('{"seq": 3, "records": [{"n": 3}], "more": 1}', "malformed_body", 1007),
            ('{"seq": 3, "records": [{"n": 3} {"n": 4}]}', "malformed_body", 1007),
            (envelope(3), "empty_body", 1007), (" \n", "empty_body", 1007),
            ("x" * ((4 << 20) + 1), "payload_too_large", 1009),
        ]
        for number, (message, code, close) in enumerate(cases):
            problem, closed, ack = self.fault(f"faults_{number}", *good, message)
            self.assertEqual((problem["code"], closed, ack), (code, close, 2), message[:80])
            self.assertEqual(values(f"faults_{number}"), [1, 2])
        self.assertEqual(self.fault("faults_x", *good, envelope(5, {}))[0]["expected"], 3)

    def test_bad_records_are_quarantined(self):
        with self.connect("noisy") as socket:
            socket.recv()
            socket.send('{"n": 1}\nno JSON\n[1]\n{"n": 2}\n')
            self.assertEqual(json.loads(socket.recv()), {"ack": 1})
            socket.send(envelope(2, {"n": 3}, 4, "five"))
            self.assertEqual(json.loads(socket.recv()), {"ack": 2})
        self.assertEqual(values("noisy"), [1, 2, 3])
        items = platform.must("GET", "/v1/datasets/noisy/quarantine")["items"]
        self.assertEqual(sorted(item["raw"] for item in items), ['"five"', "4", "[1]", "no JSON"])

    def test_handshakes_are_refused_with_a_problem(self):
        key = {"Authorization": f"Bearer {platform.key}"}
        base = f"ws://127.0.0.1:{platform.port}/v1/ingest"
        cases = [
            (f"{base}/x/stream?stream=s", {}, 401, "unauthorized"),
            (f"{base}/x/stream?stream=s", {"Authorization": "Bearer mr_" + "A" * 43}, 401, "unauthorized"),
            (f"{base}/Bad-Name/stream?stream=s", key, 422, "invalid_name"),
            (f"{base}/x/stream", key, 400, "invalid_parameter"),
            (f"{base}/x/stream?stream=", key, 400, "invalid_parameter"),
            (f"{base}/x/stream?stream=a%20b", key, 400, "invalid_parameter"),
            (f"{base}/x/stream?stream={'s' * 129}", key, 400, "invalid_parameter"),
            (f"{base}/x/stream?stream=s&more=1", key, 400, "invalid_parameter"),
        ]
        for url, headers, status, code in cases:
            with self.assertRaises(InvalidStatus, msg=url) as refused:
                connect(url, additional_headers=headers)
            answer = refused.exception.response
            self.assertEqual((answer.status_code, json.loads(answer.body)["code"]), (status, code), url)
        for method, status in (("GET", 426), ("POST", 405)):
            self.assertEqual(platform.call(method, "/v1/ingest/x/stream?stream=s")[0], status)

    def test_the_later_connection_takes_over(self):
        with self.connect("taken") as first:
            first.recv()
            first.send(envelope(1, {"n": 1}))
            self.assertEqual(json.loads(first.recv()), {"ack": 1})
            with self.connect("taken") as second:
                self.assertEqual(json.loads(second.recv()), {"ack": 1})
                first.send(envelope(2, {"n": -2}))
                self.assertEqual(json.loads(first.recv())["code"], "stream_taken_over")
                with self.assertRaises(ConnectionClosedError) as closed:
                    first.recv()
                self.assertEqual(closed.exception.rcvd.code, 1008)
                second.send(envelope(2, {"n": 2}))
                self.assertEqual(json.loads(second.recv()), {"ack": 2})
        self.assertEqual(values("taken"), [1, 2])


class WithWsproto(unittest.TestCase):
    def open(self, source, stream="s", port=None, **options):
        return Stream(port or platform.port, platform.key, source, stream, **options)

    def test_fragments_with_pings_between(self):
        for compress in (False, True):
            stream = self.open("fragments", f"s{compress}", compress=compress)
            text = envelope(1, {"n": int(compress), "text": "κόσμε"})
            for place in range(len(text)):
                stream.send_event(TextMessage(data=text[place], message_finished=place == len(text) - 1))
                if place % 10 == 0:
                    stream.send_event(Ping(payload=str(place).encode()))
            pongs = 0
            while not isinstance(event := stream.event(), TextMessage):
                self.assertIsInstance(event, Pong)
                pongs += 1
            self.assertEqual(json.loads(event.data), {"ack": 1})
            self.assertEqual(pongs, -(-len(text) // 10))
            self.assertEqual(stream.close(), 1000)
        self.assertEqual(values("fragments"), [0, 1])

    def test_what_is_no_text_is_refused_at_once(self):
        stream = self.open("encoded")
        # The frame is longer than what is sent of it.
        stream.socket.sendall(bytes([0x81, 0xFE, 0x01, 0x00, 0, 0, 0, 0]) + b"ok \xff")
        with self.assertRaises(Closed) as closed:
            stream.receive()
        self.assertEqual(closed.exception.code, 1007)

    def test_what_was_received_before_the_close_is_acknowledged(self):
        stream = self.open("closing")
        for seq in range(1, 101):
            stream.send(envelope(seq, {"n": seq}))
        self.assertEqual(stream.close(), 1000)
        self.assertEqual(stream.ack, 100)
        self.assertEqual(values("closing"), list(range(1, 101)))

    def test_a_service_that_stops_says_so(self):
        stream = self.open("draining", port=platform.port_of("ingest"))
        stream.send(envelope(1, {"n": 1}))
        stream.wait_ack(1)
        before = pid_of("ingest")
        os.kill(before, signal.SIGTERM)
        with self.assertRaises(Closed) as closed:
            stream.receive()
        self.assertEqual(closed.exception.code, 1001)
        stream.cut(reset=False)
        while pid_of("ingest") in (None, before):
            time.sleep(0.05)
        platform.wait_until_ready()
        again = self.open("draining")
        self.assertEqual(again.ack, 1)
        again.close()

    def test_a_source_that_sends_too_fast_is_held_up(self):
        """Streams meet a rate limit by waiting, not by an error."""
        limits = {"limits": {"records_per_second": 1000}}
        self.assertEqual(platform.call("PUT", "/v1/sources/paced", json.dumps(limits))[0], 201)
        stream = self.open("paced")
        # A second's worth may pass at once; two more are owed by then.
        begun = time.monotonic()
        stream.send(envelope(1, *({"n": n} for n in range(3000))))
        stream.wait_ack(1)
        stream.send(envelope(2, {"n": 3000}))
        stream.wait_ack(2)
        self.assertGreater(time.monotonic() - begun, 1.9)
        stream.close()
        self.assertEqual(values("paced"), list(range(3001)))

    def test_a_source_that_is_deleted_ends_its_streams(self):
        stream = self.open("deleted")
        stream.send(envelope(1, {"n": 1}))
        stream.wait_ack(1)
        self.assertEqual(values("deleted"), [1])
        self.assertEqual(platform.call("DELETE", "/v1/sources/deleted?confirm=deleted")[0], 204)
        with self.assertRaises(Closed) as closed:
            seq = 2
            while True:  # a few seconds at most, in which a process may still know the source
                stream.send(envelope(seq, {"n": seq}))
                stream.wait_ack(seq)
                seq += 1
        self.assertEqual((closed.exception.code, closed.exception.last["code"]), (1008, "conflict"))
        again = self.open("deleted")
        self.assertEqual(again.ack, 0)
        again.close()

    def test_a_commit_that_fails_is_told(self):
        """Nothing of it is acknowledged, and its neighbours go on."""
        stream = self.open("failing")
        platform.sql("alter table millrace.ingest_stream add constraint failing check (seq < 5 or name <> 'fails')")
        try:
            failing = self.open("failing", "fails")
            for seq in range(1, 5):
                failing.send(envelope(seq, {"n": seq}))
            failing.wait_ack(4)
            failing.send(envelope(5, {"n": 5}))
            with self.assertRaises(Closed) as closed:
                failing.receive()
                failing.receive()
            self.assertIn(closed.exception.code, (1011, 1013))
            self.assertGreaterEqual(closed.exception.last["status"], 500)
        finally:
            platform.sql("alter table millrace.ingest_stream drop constraint failing")
        stream.send(envelope(1, {"n": 0}))
        stream.wait_ack(1)
        stream.close()
        again = self.open("failing", "fails")
        self.assertEqual(again.ack, 4)
        again.close()
        self.assertEqual(values("failing"), [0, 1, 2, 3, 4])


class Cuts(unittest.TestCase):
    """Connections that break anywhere, while ingest and PostgreSQL are killed."""

    STREAMS = 6
    MESSAGES = int(os.environ.get("STREAM_MESSAGES", "3000"))
    KILLS = int(os.environ.get("STREAM_KILLS", "6"))

    def kill(self, generator, number, senders):
        """Kills ingest, and now and then PostgreSQL, once streams have gone on for a while after the last time."""
        acked = sum(sender.acked for sender in senders)
        while sum(sender.acked for sender in senders) < acked + 300:
            if any(sender.fault for sender in senders):
                return
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.5))
        service = "postgres" if number % 3 == 2 else "ingest"
        if pid := pid_of(service):
            # Who dies often is started later each time; here it is to be up again at once.
            (platform.home / "run/service" / service / "delay").write_text("0\n")
            os.kill(pid, signal.SIGQUIT if service == "postgres" else signal.SIGKILL)

    def test_nothing_is_lost_and_nothing_repeated(self):
        print(f"seed {SEED}", file=sys.stderr)
        generator = random.Random(SEED)
        kills = 0
        senders = [
            Sender(platform, "cuts", f"s{number}", self.MESSAGES, random.Random(SEED + number),
                   lambda: kills >= self.KILLS)
            for number in range(self.STREAMS)]
        for sender in senders:
            sender.start()
        for number in range(self.KILLS):
            self.kill(generator, number, senders)
            kills = number + 1
        before = sum(sender.acked for sender in senders)
        for sender in senders:
            sender.join(300)
            self.assertIsNone(sender.fault, f"seed {SEED}")
            self.assertEqual(sender.acked, sender.sent, f"seed {SEED}")
        platform.wait_until_ready()
        platform.wait_finished("cuts", 300)
        found = {}
        for line in platform.sql("""
                select stream, seq, count(*), count(distinct n), min(n) from ws_default.cuts group by 1, 2""").split():
            stream, *numbers = line.split("|")
            seq, rows, distinct, least = map(int, numbers)
            found[stream, seq] = (rows, distinct, least)
        expected = {(sender.stream, seq): (sender.size(seq), sender.size(seq), 0)
                    for sender in senders for seq in range(1, sender.sent + 1)}
        self.assertEqual({key: value for key, value in found.items() if expected.get(key) != value}, {},
                         f"seed {SEED}: stored otherwise than sent")
        self.assertEqual(expected.keys() - found.keys(), set(), f"seed {SEED}: acknowledged and not stored")
        cuts = sum(sender.cuts for sender in senders)
        connections = sum(sender.connections for sender in senders)
        print(f"{len(expected)} messages, {before} of them before the last of {self.KILLS} kills, {cuts} cuts, "
              f"{connections} connections", file=sys.stderr)
        self.assertGreater(cuts, self.STREAMS)


if __name__ == "__main__":
    unittest.main(verbosity=2)
