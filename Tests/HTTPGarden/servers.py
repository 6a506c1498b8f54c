"""nginx and HAProxy on loopback, each before an origin that tells in a header of its answer what it was sent: what they
understood is what they pass on."""

import base64
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reading import Reading, request_text

# A server that has said nothing for this long waits for more. Where that gave something that was not foreseen, it is
# given longer: this machine may be busy.
QUIET, LONG_QUIET = 0.4, 2.0
AT_A_TIME = 32

NGINX = """
    daemon off;
    {user}
    pid {folder}/pid;
    error_log {folder}/error.log;
    events {{ worker_connections 1024; }}
    http {{
        access_log off;
        client_body_temp_path {folder}/body;
        proxy_temp_path {folder}/proxy;
        fastcgi_temp_path {folder}/fastcgi;
        uwsgi_temp_path {folder}/uwsgi;
        scgi_temp_path {folder}/scgi;
        client_max_body_size 0;
        client_body_buffer_size 1m;
        # As ours: a request line of 8,000 octets, a head of 32 KiB.
        large_client_header_buffers 4 8k;
        proxy_buffer_size 64k;
        proxy_buffers 8 64k;
        server {{
            listen 127.0.0.1:{port};
            location / {{
                proxy_pass http://127.0.0.1:{origin};
                proxy_http_version 1.1;
                proxy_set_header Connection "";
            }}
        }}
    }}
"""

HAPROXY = """
    global
        maxconn 512
        tune.bufsize 40960
    defaults
        mode http
        timeout connect 10s
        timeout client 60s
        timeout server 60s
        timeout http-request 60s
    frontend front
        bind 127.0.0.1:{port}
        default_backend origin
    backend origin
        server origin 127.0.0.1:{origin}
"""


class Origin(socketserver.ThreadingTCPServer):
    """Answers each request of a proxy with `X-Read`: the request it was, in base64."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self):
        super().__init__(("127.0.0.1", 0), OriginConnection)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]


class OriginConnection(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            self.answer_requests()
        except OSError:
            pass  # the proxy gave its client up

    def answer_requests(self):
        while line := self.rfile.readline():
            fields = {}
            while (field := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = field.partition(b":")
                fields[name.strip().lower()] = value.strip().lower()
            method, _, rest = line.decode("latin-1").rstrip("\r\n").partition(" ")
            text = request_text(method, rest.rpartition(" ")[0], self.body(fields).decode("latin-1"))
            read = base64.b64encode(text.encode("latin-1")).decode()
            self.wfile.write(f"HTTP/1.1 200 OK\r\nX-Read: {read}\r\nContent-Length: 0\r\n\r\n".encode())

    def body(self, fields):
        if b"transfer-encoding" not in fields:
            return self.octets(int(fields.get(b"content-length", 0)))
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.octets(size)
            self.rfile.readline()
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        return whole

    def octets(self, count):
        """So many, however many that is."""
        read = b""
        while len(read) < count:
            if not (piece := self.rfile.read1(min(count - len(read), 65536))):
                raise ConnectionResetError
            read += piece
        return read


class Server:
    """One of the two, started with a configuration of its own in a folder that is removed at the end."""

    def __init__(self, name, origin):
        self.name = name
        self.origin = origin

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"garden-{self.name}-"))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        command, template = {
            "nginx": (["/usr/sbin/nginx", "-p", str(self.folder), "-c"], NGINX),
            "haproxy": (["/usr/sbin/haproxy", "-db", "-f"], HAPROXY)}[self.name]
        user = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
        configuration = self.folder / "configuration"
        configuration.write_text(template.format(
            folder=self.folder, port=self.port, origin=self.origin.port, user=user))
        self.log = open(self.folder / "log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [*command, str(configuration)], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.log.seek(0)
                    sys.exit(f"{self.name} did not start:\n{self.log.read()}")
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.folder)

    def readings(self, cases, foreseen):
        """{name: Reading}; `foreseen` says of a case and its reading whether that is no news."""
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            found = dict(zip([case.name for case in cases], pool.map(self.reading, cases)))
            again = [case for case in cases if not foreseen(case, found[case.name])]
            found.update(zip([case.name for case in again],
                             pool.map(lambda case: self.reading(case, LONG_QUIET), again)))
        return found

    def reading(self, case, quiet=QUIET):
        answers = b""
        is_open = True
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.settimeout(quiet)
            try:
                client.sendall(case.octets)
                while piece := client.recv(65536):
                    answers += piece
                is_open = False
            except TimeoutError:
                pass
            except OSError:
                is_open = False
        return read_answers(answers, is_open)


def read_answers(octets, is_open):
    requests, refused, last = [], False, False
    while octets:
        head, end, octets = octets.partition(b"\r\n\r\n")
        if not end:
            break
        status = int(head.split(b" ", 2)[1])
        if status < 200:
            continue
        fields = dict(re.findall(rb"\r\n([a-z-]+): *([^\r]*)", head.lower()))
        read = re.search(rb"\r\nx-read: *([^\r]*)", head, re.IGNORECASE)
        if read:
            requests.append(base64.b64decode(read[1]).decode("latin-1"))
        else:
            refused = True
            # An answer to HEAD tells the length of a body that it does not have.
            if not octets.startswith(b"HTTP/1."):
                octets = octets[int(fields.get(b"content-length", 0)):]
        last = fields.get(b"connection") == b"close"
    # A connection that is closed where no answer said so refuses what it was sent.
    return Reading(tuple(requests), refused or not (is_open or last))
