"""A client of server-sent events over a socket of its own, so that it can read as slowly, and break off anywhere, as a
test wants."""

import json
import socket


class Gone(Exception):
    """The stream has ended; `whole` where the server said so."""

    def __init__(self, whole):
        super().__init__("ended" if whole else "broken off")
        self.whole = whole


class Events:
    """One stream. `status` is its answer's; events are taken one by one."""

    def __init__(self, port, key, path, last=None, timeout=60, buffer=None):
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        resume = f"Last-Event-ID: {last}\r\n" if last else ""
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\n{resume}\r\n".encode())
        self.bytes = b""
        self.lines = []
        self.comments = 0
        head = self.upto(b"\r\n\r\n").decode()
        self.status = int(head.split(" ")[1])
        self.head = head.lower()
        self.text = b""

    def fill(self):
        try:
            piece = self.socket.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        if not piece:
            raise Gone(False)
        self.bytes += piece

    def upto(self, mark):
        while mark not in self.bytes:
            self.fill()
        found, self.bytes = self.bytes.split(mark, 1)
        return found

    def chunk(self):
        size = int(self.upto(b"\r\n"), 16)
        while len(self.bytes) < size + 2:
            self.fill()
        found, self.bytes = self.bytes[:size], self.bytes[size + 2:]
        if size == 0:
            raise Gone(True)
        self.text += found

    def take(self):
        """The next event: its id, its type and its data."""
        while True:
            while b"\n\n" in self.text:
                one, self.text = self.text.split(b"\n\n", 1)
                fields = dict(line.split(": ", 1) for line in one.decode().split("\n") if not line.startswith(":"))
                if fields:
                    return fields.get("id"), fields.get("event", "message"), json.loads(fields["data"])
                self.comments += 1
            self.chunk()

    def close(self):
        self.socket.close()
