"""Slow readers whose answers do not fit into the kernel's buffers: of a connection over loopback these hold 2.6 MB,
which no answer of a service fills, so slowhttptest's readers only ever make it wait for their next request. Segments of
536 octets, as of a poor line, make the buffers small, and the service waits in the midst of its answers.

    slow_reader.py PORT CONNECTIONS A_SECOND PATH
"""

import socket
import sys
import time

REQUESTS = 30  # at a time on each connection
READ = 32  # octets each INTERVAL seconds
INTERVAL = 2


def connect(port, path):
    connection = socket.socket()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.connect(("127.0.0.1", port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * REQUESTS)
    return connection


def main():
    port, count, rate, path = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    connections = []
    begun = time.monotonic()
    for number in range(count):
        time.sleep(max(0, begun + number / rate - time.monotonic()))
        connections.append(connect(port, path))
    while connections:
        time.sleep(INTERVAL)
        for connection in list(connections):
            try:
                if connection.recv(READ):
                    continue
            except ConnectionError:
                pass
            connection.close()
            connections.remove(connection)


if __name__ == "__main__":
    main()
