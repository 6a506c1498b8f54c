"""The gateway's start in a container: it follows the services' addresses, tells its health, and ends whole."""

import http.client
import http.server
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from testbed import REPOSITORY, five_free_ports

GATEWAY = REPOSITORY / "deploy/gateway"


class Service(http.server.ThreadingHTTPServer):
    """Answers with its own address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            text = self.server.server_address[0].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    def __init__(self, address, port):
        super().__init__((address, port), self.Handler)
        threading.Thread(target=self.serve_forever).start()

    def end(self):
        self.shutdown()
        self.server_close()


class ContainerGatewayTests(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        # In front of the real one: names are what the test says they are.
        fake = self.folder / "getent"
        fake.write_text(f'#!/bin/sh\n[ "$1" = ahosts ] && cat "{self.folder}/names/$2" 2>/dev/null\n')
        fake.chmod(0o755)
        (self.folder / "names").mkdir()
        self.port = five_free_ports()
        self.environment = {
            "PATH": f"{self.folder}:/usr/bin:/bin", "TMPDIR": str(self.folder), "GATEWAY_LOOKUP": "0.1",
            "GATEWAY_LISTEN": str(self.port), "GATEWAY_INGEST": f"ingest:{self.port + 1}",
            "GATEWAY_FILES": "1024", "GATEWAY_WORKERS": "1"}

    def is_well(self):
        done = subprocess.run([GATEWAY / "health"], env=self.environment, stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0

    def start(self):
        process = subprocess.Popen([GATEWAY / "start"], env=self.environment, stderr=subprocess.DEVNULL)

        self.addCleanup(self.end, process)
        self.wait_until(self.is_well)
        return process

    def end(self, process):
        children = self.children(process)
        self.assertGreater(len(children), 1)
        process.send_signal(signal.SIGQUIT)
        self.assertEqual(process.wait(30), 0)
        self.assertFalse(self.is_well())
        # What follows the addresses ends with it, a moment later.
        self.wait_until(lambda: not [pid for pid in children if os.path.exists(f"/proc/{pid}")])

    @staticmethod
    def children(process):
        return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()

    def name(self, name, *addresses):
        (self.folder / "names" / name).write_text("".join(
            f"{address:15} {kind}\n" for address in addresses for kind in ("STREAM", "DGRAM", "RAW")))

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def wait_until(self, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "waited in vain")
            time.sleep(0.02)

    def test_whom_it_believes(self):
        for given, said in (("10.0.0.0/8;", "not addresses and ranges"), ("$x", "not addresses"), ("10.0.0.0/99", "10")):
            done = subprocess.run([GATEWAY / "start", "-t"], env=self.environment | {"GATEWAY_TRUSTED_PROXIES": given},
                                  stderr=subprocess.PIPE, text=True, check=False)
            self.assertNotEqual(done.returncode, 0, given)
            self.assertIn(said, done.stderr)
        for given, expected in (("", []), ("none", []), ("10.0.0.0/8, ::1,192.168.1.1", ["10.0.0.0/8", "::1", "192.168.1.1"])):
            subprocess.run([GATEWAY / "start", "-t"], env=self.environment | {"GATEWAY_TRUSTED_PROXIES": given},
                           stderr=subprocess.DEVNULL, check=True)
            text = (self.folder / "gateway/nginx.conf").read_text()
            self.assertEqual(re.findall(r"set_real_ip_from (\S+);", text), expected)

    def test_it_follows_a_service_to_another_address(self):
        self.assertFalse(self.is_well())
        self.start()
        # A name that nobody knows yet is a service that is down; the gateway itself is well.
        self.assertEqual(self.get("/v1/ingest")[0], 502)
        for address in ("127.0.0.2", "127.0.0.3"):
            service = Service(address, self.port + 1)
            self.addCleanup(service.end)
            self.name("ingest", address)
            self.wait_until(lambda address=address: self.get("/v1/ingest") == (200, address))
        # One that is no longer known keeps its address; what else changes is followed.
        self.name("ingest")
        self.name("store", "127.0.0.9")
        configuration = self.folder / "gateway/nginx.conf"
        self.wait_until(lambda: "127.0.0.9:8083" in configuration.read_text())
        self.assertEqual(self.get("/v1/ingest"), (200, "127.0.0.3"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
