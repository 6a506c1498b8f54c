"""Stands between clients and the server's socket; can let the connections that are open hang for good, half-open."""

import os
import socket
import threading


class FreezingProxy:
    """Listens in a folder of its own, with two threads a connection."""

    def __init__(self, folder, server):
        self.server, self.generation, self.frozen, self.thawed = str(server), 0, -1, threading.Event()
        self.folder = folder
        os.makedirs(folder)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{folder}/.s.PGSQL.5432")
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self, database):
        return f"postgres://postgres@/{database}?host={self.folder}"

    def freeze(self):
        self.thawed.clear()
        self.frozen = self.generation
        self.generation += 1

    def thaw(self):
        """The frozen connections are found dead at last, as by TCP's own limits."""
        self.thawed.set()

    def close(self):
        self.thaw()
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            upstream = socket.socket(socket.AF_UNIX)
            try:
                upstream.connect(self.server)
            except OSError:
                client.close()
                continue
            for source, sink in ((client, upstream), (upstream, client)):
                threading.Thread(target=self.pump, args=(source, sink, self.generation), daemon=True).start()

    def pump(self, source, sink, generation):
        try:
            while piece := source.recv(1 << 16):
                if generation <= self.frozen:
                    break
                sink.sendall(piece)
        except OSError:
            pass
        if generation <= self.frozen:
            self.thawed.wait()
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
