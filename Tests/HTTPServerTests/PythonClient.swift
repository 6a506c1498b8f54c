/// What the clients in Python have in common. An end of the stream without close_notify is an error to them, and so is
/// a server that does not answer in time.
enum PythonClient {
    static let prelude = #"""
        import os, re, socket, ssl, struct, subprocess, sys, threading

        port, certificate = int(sys.argv[1]), sys.argv[2]
        context = ssl.create_default_context(cafile=certificate)
        GET = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"


        def tcp():
            return socket.create_connection(("127.0.0.1", port), 20)


        def connect(context=context, **options):
            return context.wrap_socket(tcp(), server_hostname="localhost", suppress_ragged_eofs=False, **options)


        def only(version, **options):
            made = ssl.create_default_context(cafile=certificate)
            made.minimum_version = made.maximum_version = getattr(ssl.TLSVersion, version)
            return made


        def receive(stream, count):
            octets = b""
            while len(octets) < count:
                piece = stream.recv(count - len(octets))
                assert piece, f"the end came after {len(octets)} of {count} octets"
                octets += piece
            return octets


        def head(stream):
            octets = b""
            while not octets.endswith(b"\r\n\r\n"):
                octets += receive(stream, 1)
            return octets.decode().lower()


        def answer(stream):
            """(status, body, head) of the next answer."""
            fields = head(stream)
            if "transfer-encoding: chunked" not in fields:
                length = int(re.search(r"content-length: (\d+)", fields)[1])
                return int(fields[9:12]), receive(stream, length), fields
            body = b""
            while True:
                line = b""
                while not line.endswith(b"\r\n"):
                    line += receive(stream, 1)
                piece = receive(stream, int(line, 16) + 2)[:-2]
                if not piece:
                    return int(fields[9:12]), body, fields
                body += piece


        class Raw:
            """A client that sees its octets before they are sent."""

            def __init__(self, context=context):
                self.socket = tcp()
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

            def step(self, action, deliver):
                """Does it, delivering what is to be sent, as often as it takes."""
                while True:
                    try:
                        return action()
                    except ssl.SSLWantReadError:
                        deliver(self.outgoing.read())
                        octets = self.socket.recv(65536)
                        self.incoming.write(octets) if octets else self.incoming.write_eof()
                    finally:
                        deliver(self.outgoing.read())

            def recv(self, count):
                return self.step(lambda: self.tls.read(count), self.socket.sendall)


        """#
}
