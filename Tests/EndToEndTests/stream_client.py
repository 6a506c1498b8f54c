"""A client of a stream that speaks WebSocket by wsproto over a socket of its own, so that it can break off anywhere."""

import json
import select
import socket
import struct
import threading
import time

from wsproto import ConnectionType, WSConnection
from wsproto.events import (AcceptConnection, BytesMessage, CloseConnection, Message, Ping, Pong, RejectConnection,
                            RejectData, Request, TextMessage)
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import LocalProtocolError, RemoteProtocolError


class Gone(Exception):
    """The connection has ended without a close frame."""


class Refused(Exception):
    """The handshake was answered by another status than 101."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body!r}")
        self.status = status
        self.body = body


class Closed(Exception):
    """The server has closed; `last` is the message before, parsed."""

    def __init__(self, code, last):
        super().__init__(f"{code} {last}")
        self.code = code
        self.last = last


class Stream:
    """One connection: `ack` is what the server said first."""

    def __init__(self, port, key, source, stream, compress=False, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.protocol = WSConnection(ConnectionType.CLIENT)
        self.events = []
        self.last = None
        extensions = [PerMessageDeflate()] if compress else []
        try:
            self.socket.sendall(self.protocol.send(Request(
                host=f"127.0.0.1:{port}", target=f"/v1/ingest/{source}/stream?stream={stream}", extensions=extensions,
                extra_headers=[(b"Authorization", f"Bearer {key}".encode())])))
            event = self.event()
            if isinstance(event, RejectConnection):
                body = b""
                while isinstance(event := self.event(), RejectData):
                    body += event.data
                    if event.body_finished:
                        break
                raise Refused(getattr(event, "status_code", 0) or self.status, body)
            assert isinstance(event, AcceptConnection), event
            self.accepted = event
            # A problem in its place is followed by the close, which is raised.
            while (first := self.receive().get("ack")) is None:
                pass
            self.ack = first
        except BaseException:
            self.socket.close()
            raise

    def event(self):
        while not self.events:
            data = self.socket.recv(1 << 16)
            try:
                self.protocol.receive_data(data or None)
            except RemoteProtocolError as error:
                raise Gone() from error
            for event in self.protocol.events():
                if isinstance(event, Ping):
                    self.socket.sendall(self.protocol.send(event.response()))
                elif isinstance(event, RejectConnection):
                    self.status = event.status_code
                    self.events.append(event)
                else:
                    self.events.append(event)
            if not data and not self.events:
                raise Gone()
        return self.events.pop(0)

    def receive(self):
        """The next message, parsed."""
        text = ""
        while True:
            event = self.event()
            if isinstance(event, CloseConnection):
                if event.code == 1006:
                    raise Gone()
                raise Closed(event.code, self.last)
            if isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    self.last = json.loads(text)
                    return self.last
            elif not isinstance(event, Pong):
                raise AssertionError(event)

    def has_message(self):
        return bool(self.events) or bool(select.select([self.socket], [], [], 0)[0])

    def send(self, data, upto=None):
        """Sends a message; of its frame only the first part where `upto` is given."""
        kind = BytesMessage if isinstance(data, bytes) else TextMessage
        self.send_event(kind(data=data), upto)

    def send_event(self, event: Message, upto=None):
        try:
            frame = self.protocol.send(event)
        except LocalProtocolError as error:  # the server has closed already
            raise Gone() from error
        self.socket.sendall(frame if upto is None else frame[:upto % len(frame)])

    def wait_ack(self, seq):
        """Reads until all up to `seq` is acknowledged. A problem is followed by the close, which is raised."""
        while self.ack < seq:
            ack = self.receive().get("ack", self.ack)
            assert ack >= self.ack, (ack, self.ack)
            self.ack = ack

    def close(self):
        """Closes in order."""
        self.socket.sendall(self.protocol.send(CloseConnection(code=1000)))
        try:
            while True:
                self.ack = max(self.ack, self.receive().get("ack", 0))
        except Closed as closed:
            return closed.code
        finally:
            self.socket.close()

    def cut(self, reset):
        """Breaks off without a word; `reset` by RST, with what was not sent yet thrown away."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Sender(threading.Thread):
    """Sends at least `least` messages of a stream, and goes on until `is_over` says so, over as many connections as it
    takes, which break off at random; holds the acknowledgements to what they promise."""

    # What a server that is killed, or whose database is, may answer.
    RETRIED = {429, 502, 503, 504}
    RETRIED_CODES = {1001, 1011, 1012, 1013}

    def __init__(self, platform, source, stream, least, generator, is_over):
        super().__init__(daemon=True)
        self.platform = platform
        self.source = source
        self.stream = stream
        self.least = least
        self.generator = generator
        self.is_over = is_over
        self.acked = 0
        self.sent = 0
        self.cuts = 0
        self.connections = 0
        self.fault = None

    def size(self, seq):
        return 1 + seq * 7 % 5 + (300 if seq % 97 == 0 else 0)

    def body(self, seq):
        records = [{"stream": self.stream, "seq": seq, "n": n, "text": f"{seq * 7919 % 1000003:06d}"}
                   for n in range(self.size(seq))]
        if seq % 3 == 0:
            return "".join(json.dumps(record) + "\n" for record in records)
        return json.dumps({"seq": seq, "records": records})

    def has_more(self):
        return self.sent < self.least or not self.is_over()

    def run(self):
        try:
            while self.acked < self.sent or self.has_more():
                try:
                    self.session()
                except (OSError, Gone):
                    pass
                except Refused as refused:
                    if refused.status not in self.RETRIED:
                        raise
                except Closed as closed:
                    if closed.code not in self.RETRIED_CODES:
                        raise
                time.sleep(self.generator.uniform(0, 0.05))
        except BaseException as error:  # whatever it is, the test is to say so
            self.fault = repr(error)

    def session(self):
        port = self.platform.port if self.generator.random() < 0.5 else self.platform.port_of("ingest")
        stream = Stream(port, self.platform.key, self.source, self.stream, self.generator.random() < 0.5)
        self.connections += 1
        try:
            assert self.acked <= stream.ack <= self.sent, (self.acked, stream.ack, self.sent)
            self.go_on(stream)
        finally:
            stream.cut(self.generator.random() < 0.5)

    def go_on(self, stream):
        self.acked = stream.ack
        following = self.acked + 1
        if self.acked and self.generator.random() < 0.2:
            # Something that is committed already; whatever it says, it is not stored.
            seq = self.generator.randint(1, self.acked)
            stream.send(json.dumps({"seq": seq, "records": [{"stream": self.stream, "seq": seq, "n": -1}]}))
        end = following + self.generator.randint(1, 400)
        while True:
            while following <= self.acked + 200 and (following <= self.sent or self.has_more()):
                self.sent = max(self.sent, following)
                if following == end:
                    self.cuts += 1
                    if self.generator.random() < 0.7:
                        stream.send(self.body(following), upto=self.generator.randrange(1 << 30))
                    return
                stream.send(self.body(following))
                following += 1
                if stream.has_message():
                    break
            if self.acked == self.sent:
                return
            message = stream.receive()
            if "ack" in message:
                assert self.acked <= message["ack"] < following, (self.acked, message, following)
                self.acked = message["ack"]
            if self.acked > self.least:
                time.sleep(0.01)
