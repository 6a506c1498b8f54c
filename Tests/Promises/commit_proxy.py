"""Stands between the services and PostgreSQL and, now and then, keeps back the answer to what the server has done: the
commit has reached the server, its answer reaches nobody."""

import random
import socket
import threading
from collections import Counter

COMPLETE, READY, COPY_IN, IDLE = ord("C"), ord("Z"), ord("G"), ord("I")


class CommitProxy:
    """Listens on a port of 127.0.0.1 of its own, for connections without TLS; two threads each. `chance`: that an
    answer which ends a transaction is kept back; its connection is cut at both ends then."""

    def __init__(self, server_port, seed):
        self.server_port = server_port
        self.random = random.Random(seed)
        self.chance = 0.0
        self.cuts = Counter()  # by the command that the server said was done
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.server_port))
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.pass_on, args=(client, server), daemon=True).start()
            threading.Thread(target=self.answer, args=(client, server), daemon=True).start()

    def pass_on(self, client, server):
        try:
            while piece := client.recv(1 << 18):
                server.sendall(piece)
        except OSError:
            pass
        cut(client, server)

    def answer(self, client, server):
        try:
            self.read_answers(client, server)
        except OSError:
            pass
        cut(client, server)

    def read_answers(self, client, server):
        """Passes messages on, but what comes from a command's end to `ReadyForQuery` only together with that."""
        buffer, kept, command = b"", b"", ""
        while piece := server.recv(1 << 20):
            buffer += piece
            place, ready = 0, []
            while len(buffer) - place >= 5:
                size = 1 + int.from_bytes(buffer[place + 1:place + 5], "big")
                if len(buffer) - place < size:
                    break
                message, place = buffer[place:place + size], place + size
                if message[0] == COMPLETE:
                    command = message[5:-1].decode().split(" ")[0]
                    kept += message
                elif kept and message[0] not in (READY, COPY_IN):
                    kept += message
                else:
                    ready += [kept, message]
                    if kept and message[0] == READY and message[5] == IDLE and self.random.random() < self.chance:
                        self.cuts[command] += 1
                        return
                    kept = b""
            buffer = buffer[place:]
            if ready:
                client.sendall(b"".join(ready))


def cut(*ends):
    for end in ends:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
