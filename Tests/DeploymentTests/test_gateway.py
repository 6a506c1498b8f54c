"""The gateway: who gets which path, what it answers itself, and that it keeps nothing of what goes through it."""

import http.client
import json
import re
import socket
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from testbed import Platform, REPOSITORY, SERVICES

ROUTES = {
    "ingest": ("ingest", "sources", "receipts", "batches"),
    "transform": ("pipelines", "runs", "queues", "jobs", "schedules"),
    "store": ("datasets", "keys", "workspaces"),
    "analytics": ("query", "endpoints", "rollups", "profiles", "dashboards", "session"),
}


class GatewayTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = Platform()
        cls.platform.launch()

    @classmethod
    def tearDownClass(cls):
        cls.platform.remove()

    def problem(self, status, code, path, **options):
        got, headers, body = self.platform.request(path, **options)
        self.assertEqual((got, headers["Content-Type"], body["status"], body["code"]),
                         (status, "application/problem+json", status, code), path)
        self.assertTrue(body["title"] and body["detail"])
        self.assertEqual(body["type"], f"urn:millrace:problem:{code}")
        self.assertRegex(headers["X-Request-Id"], r"^[0-9a-f]{32}$")
        return headers, body

    def test_the_second_segment_chooses_the_service(self):
        for service, segments in ROUTES.items():
            for segment in segments:
                for path in (f"/v1/{segment}", f"/v1/{segment}/a%2Fb/c?x=%20y&z"):
                    status, _, body = self.platform.request(path)
                    self.assertEqual((status, body["service"], body["path"]), (200, service, path))
        for path in ("/", "/console.js", "/v1x"):
            self.assertEqual(self.platform.request(path)[2]["service"], "analytics", path)

    def test_what_nobody_serves_is_a_problem(self):
        for path in ("/v1", "/v1/", "/v1/nothing", "/v1/ingestion", "/metrics", "/_gateway/problem",
                     "/_gateway/ingest/readyz"):
            self.problem(404, "not_found", path)
        self.problem(405, "method_not_allowed", "/openapi.json", method="POST", body="{}")
        self.problem(431, "headers_too_large", "/", headers={"X": "a" * 40000})
        self.problem(414, "target_too_long", "/" + "a" * 40000)
        with socket.create_connection(("127.0.0.1", self.platform.port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n")
            answer = connection.makefile().read()
        self.assertRegex(answer, r"^HTTP/1.1 400 ")
        self.assertIn('"code":"malformed_request"', answer)

    def test_its_problems_are_in_the_registry(self):
        registry = (REPOSITORY / "Shared/HTTP/ProblemCode.swift").read_text()
        known = {(code, int(status), title) for code, status, title in
                 re.findall(r'ProblemCode\(\s*"(\w+)", (\d+), "([^"]+)"\)', registry)}
        script = (REPOSITORY / "deploy/gateway/gateway.js").read_text()
        own = {(code, int(status), title) for status, code, title in
               re.findall(r"^    (\d+): \['(\w+)', '([^']+)'", script, re.M)}
        self.assertGreater(len(own), 10)
        self.assertEqual(own - known, set())

    def test_request_ids_and_addresses_are_passed_on(self):
        _, _, body = self.platform.request("/v1/query", headers={"X-Request-Id": "abc-1", "traceparent": "00-1-2-01"})
        sent = body["headers"]
        self.assertEqual(sent["X-Request-Id"], "abc-1")
        self.assertEqual(sent["traceparent"], "00-1-2-01")
        self.assertEqual(sent["X-Forwarded-For"], "127.0.0.1")
        self.assertEqual(sent["X-Forwarded-Proto"], "http")
        self.assertEqual(sent["Host"], f"127.0.0.1:{self.platform.port}")
        for said, passed in (("https", "https"), ("HTTPS, http", "https"), ("httpsx", "http"), ("ftp", "http")):
            _, _, body = self.platform.request("/v1/session", headers={"X-Forwarded-Proto": said})
            self.assertEqual(body["headers"]["X-Forwarded-Proto"], passed, said)
        _, _, body = self.platform.request("/v1/query", headers={"X-Request-Id": "not\tsane"})
        self.assertRegex(body["headers"]["X-Request-Id"], r"^[0-9a-f]{32}$")

    def forwarded(self, *said, platform=None):
        """What a service is told of the client by a gateway that is sent these fields X-Forwarded-For."""
        platform = platform or self.platform
        with socket.create_connection(("127.0.0.1", platform.port)) as connection:
            fields = "".join(f"X-Forwarded-For: {value}\r\n" for value in said)
            connection.sendall(f"GET /v1/query HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n".encode())
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return json.loads(answer.read())["headers"]["X-Forwarded-For"]

    def test_a_client_does_not_choose_its_address(self):
        for said in ((), ("6.6.6.6",), ("6.6.6.6, 10.0.0.1",), ("6.6.6.6", "7.7.7.7"), ("unknown",), ("::1",)):
            self.assertEqual(self.forwarded(*said), "127.0.0.1", said)

    def test_a_proxy_that_is_named_is_believed(self):
        platform = Platform()
        self.addCleanup(platform.remove)
        platform.launch(GATEWAY_TRUSTED_PROXIES="127.0.0.0/8, 10.0.0.0/8,fd00::/8")
        for said, client in (
                ((), "127.0.0.1"), (("203.0.113.7",), "203.0.113.7"), (("6.6.6.6, 203.0.113.7",), "203.0.113.7"),
                (("6.6.6.6, 203.0.113.7, 10.1.2.3",), "203.0.113.7"), (("2001:db8::1, fd00::2",), "2001:db8::1"),
                (("6.6.6.6", "203.0.113.7", "10.1.2.3"), "203.0.113.7")):
            self.assertEqual(self.forwarded(*said, platform=platform), client, said)

    def logged(self, path):
        """The lines of the gateway's log that are of requests for this path."""
        lines = (self.platform.home / "log/gateway/current").read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line["http.path"] == path]

    def test_what_no_service_answered_is_logged(self):
        transform = self.platform.home / "run/service/transform"
        subprocess.run(["s6-svc", "-d", transform], check=True)
        self.addCleanup(self.platform.wait_until, lambda: self.platform.request("/readyz")[0] == 200)
        self.addCleanup(subprocess.run, ["s6-svc", "-u", transform], check=True)
        self.platform.wait_until(lambda: self.platform.pid_of("transform") == -1)
        path = '/v1/pipelines/away%22\\"'
        headers, _ = self.problem(502, "bad_gateway", path + "?secret=1", headers={"X-Forwarded-For": "6.6.6.6"})
        self.problem(404, "not_found", "/v1/nobody?secret=2")
        self.problem(503, "not_ready", "/readyz?secret=3")
        self.assertEqual(self.platform.request("/v1/query/good")[0], 200)
        self.platform.wait_until(lambda: self.logged("/readyz"))
        [line] = self.logged(path)
        self.assertRegex(line.pop("ts"), r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")
        self.assertGreaterEqual(line.pop("http.seconds"), 0)
        self.assertGreater(line.pop("http.sent"), 100)
        self.assertGreaterEqual(float(line.pop("upstream.seconds")), 0)
        self.assertEqual(line, {
            "level": "warning", "service": "gateway", "message": "request.answered",
            "request.id": headers["X-Request-Id"], "http.method": "GET", "http.path": path, "http.status": 502,
            "client.address": "127.0.0.1", "upstream.address": f"127.0.0.1:{self.platform.port + 2}"})
        [line] = self.logged("/v1/nobody")
        self.assertEqual((line["level"], line["http.status"], line["upstream.address"]), ("info", 404, ""))
        self.assertEqual({line["http.status"] for line in self.logged("/readyz")}, {503})
        self.assertEqual(self.logged("/v1/query/good"), [])

    def test_the_documents_are_one(self):
        status, _, document = self.platform.request("/openapi.json")
        self.assertEqual(status, 200)
        self.assertEqual(document["info"]["title"], "Millrace")
        self.assertEqual(set(document["paths"]), {f"/v1/{name}" for name in SERVICES} | {"/healthz"})
        self.assertEqual(set(document["components"]["schemas"]), set(SERVICES))

    def test_a_service_that_is_down(self):
        store = self.platform.home / "run/service/store"
        subprocess.run(["s6-svc", "-d", store], check=True)
        self.platform.wait_until(lambda: self.platform.pid_of("store") == -1)
        headers, _ = self.problem(502, "bad_gateway", "/v1/datasets")
        self.assertEqual(headers["Retry-After"], "1")
        self.problem(503, "service_unavailable", "/openapi.json")
        _, body = self.problem(503, "not_ready", "/readyz")
        self.assertEqual(body["errors"], [{"path": "store", "message": "no answer"}])
        self.assertEqual(self.platform.request("/healthz")[0], 200)
        subprocess.run(["s6-svc", "-u", store], check=True)
        self.platform.wait_until(lambda: self.platform.request("/readyz")[0] == 200)
        self.assertEqual(self.platform.request("/v1/datasets")[0], 200)

    def unready(self, service, text):
        """Has the service answer /readyz with 503 and this, or be ready again."""
        port = self.platform.port + 1 + list(SERVICES).index(service)
        self.assertEqual(self.platform.request("/unready", "PUT", text, port=port)[0], 200)

    def test_what_a_service_lacks_is_said_and_no_reasons(self):
        self.addCleanup(self.unready, "transform", "")
        self.addCleanup(self.unready, "store", "")
        reason = 'connection to server at "10.0.0.7", port 5432 failed: password authentication failed for "millrace"'
        self.unready("transform", json.dumps({"status": 503, "errors": [
            {"path": "database", "message": f"the database cannot be reached: {reason}"},
            {"path": "migrations", "message": "the database lacks 0048_x.sql and 1 more: run it"}]}))
        self.unready("store", json.dumps({"errors": [
            {"path": "draining", "message": "the service is being stopped"}, {"path": "pool"},
            {"path": "/etc/passwd", "message": "x"}, None, {"message": "x"}, 7]}))
        headers, body = self.problem(503, "not_ready", "/readyz")
        self.assertEqual(body["detail"], "Not ready: transform, store.")
        self.assertEqual(body["errors"], [
            {"path": "transform.database", "message": "the database cannot be reached"},
            {"path": "transform.migrations", "message": "the database lacks 0048_x.sql and 1 more"},
            {"path": "store.draining", "message": "the service is being stopped"},
            {"path": "store.pool", "message": "failed"}])
        self.assertNotIn("10.0.0.7", json.dumps(body))
        self.unready("store", "")
        # What is no such answer, or too much of one.
        for text, errors in (
                ("<html>", [("transform", "no answer")]), ("[]", [("transform", "no answer")]),
                ('{"errors": "all"}', [("transform", "not ready")]), ('{"errors": []}', [("transform", "not ready")]),
                (json.dumps({"errors": [{"path": "pool", "message": "x" * 999}] * 20}),
                 [("transform.pool", "x" * 200)] * 8)):
            self.unready("transform", text)
            _, body = self.problem(503, "not_ready", "/readyz")
            self.assertEqual([(fault["path"], fault["message"]) for fault in body["errors"]], errors, text[:50])
        self.unready("transform", "")
        self.assertEqual(self.platform.request("/readyz")[0], 200)

    def test_large_bodies_pass_through(self):
        piece = b"x" * (1 << 20)
        temporary = (self.platform.home / "socket/gateway/temporary").resolve()
        kept = set()

        def pieces():
            for _ in range(200):
                yield piece
                kept.update(path.name for path in temporary.rglob("*") if path.is_file() and path.name != "nginx.pid")

        for headers in ({}, {"Content-Length": str(200 << 20)}):
            status, _, body = self.platform.request("/v1/ingest/a", "POST", pieces(), headers)
            self.assertEqual((status, body["body"]), (200, 200 << 20))
        self.assertEqual(kept, set())
        for pid in self.platform.pids:
            status = Path(f"/proc/{pid}/status")
            if status.exists() and status.read_text().startswith("Name:\tnginx"):
                peak = int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])
                self.assertLess(peak, 40_000)

    def test_bodies_arrive_as_they_are_sent(self):
        """The service answers while the request is still open: nothing waits for its end."""
        with socket.create_connection(("127.0.0.1", self.platform.port)) as connection:
            connection.sendall(b"GET /v1/ingest/a/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                               b"Upgrade: websocket\r\n\r\n")
            reader = connection.makefile("rb")
            self.assertIn(b"101", reader.readline())
            while reader.readline().strip():
                pass
            for number in range(3):
                connection.sendall(b"%d\n" % number)
                self.assertEqual(reader.readline(), b"%d\n" % number)

    def test_a_connection_is_kept(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.platform.port)
        connection.connect()
        before = connection.sock.getsockname()
        for path in ("/v1/query", "/v1/nothing", "/healthz", "/v1/ingest/a"):
            connection.request("GET", path)
            connection.getresponse().read()
            self.assertEqual(connection.sock.getsockname(), before)
        connection.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
