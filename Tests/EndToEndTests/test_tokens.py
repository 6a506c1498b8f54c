"""Tokens (JWT) of an issuer beside keys: what counts, what does not, and an issuer that is away. Keys and signatures
are made by OpenSSL's command line; the issuer is a server of this test's own."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import SERVICES, Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402

ISSUER = "https://login.example/realms/data"


def base64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def openssl(*arguments, given=None):
    return subprocess.run(["openssl", *arguments], input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=True).stdout


class SigningKey:
    """A private key in a file, and what of it an issuer publishes."""

    def __init__(self, folder, kid, kind="RSA"):
        self.kid, self.algorithm = kid, "RS256" if kind == "RSA" else "ES256"
        self.path = str(Path(folder) / f"{kid}.pem")
        if kind == "RSA":
            openssl("genrsa", "-out", self.path, "2048")
            modulus = openssl("rsa", "-in", self.path, "-modulus", "-noout").decode().strip().split("=")[1]
            self.public = {"kty": "RSA", "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"}
        else:
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path)
            point = openssl("ec", "-in", self.path, "-pubout", "-outform", "DER")[-64:]
            self.public = {"kty": "EC", "crv": "P-256", "x": base64url(point[:32]), "y": base64url(point[32:])}
        self.public |= {"kid": kid, "use": "sig"}

    def sign(self, message):
        signature = openssl("dgst", "-sha256", "-sign", self.path, given=message)
        if self.algorithm == "RS256":
            return signature
        numbers, at = [], 2
        for _ in range(2):
            length = signature[at + 1]
            numbers.append(signature[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0"))
            at += 2 + length
        return b"".join(numbers)

    def token(self, header=(), **claims):
        """A token that counts but for what is changed; None leaves a claim out."""
        now = int(time.time())
        said = {"iss": ISSUER, "aud": ["millrace", "other"], "sub": "ada", "iat": now, "exp": now + 300,
                "scope": "openid datasets:read sources:read/al*", "tenant": "default"} | claims
        said = {name: value for name, value in said.items() if value is not None}
        return self.raw({"alg": self.algorithm, "kid": self.kid, "typ": "JWT"} | dict(header), json.dumps(said))

    def raw(self, header, claims):
        header = header if isinstance(header, str) else json.dumps(header)
        message = f"{base64url(header.encode())}.{base64url(claims.encode())}"
        return f"{message}.{base64url(self.sign(message.encode()))}"


class Issuer(http.server.ThreadingHTTPServer):
    """Publishes keys; counts how often it is asked; can be silent, or gone."""

    daemon_threads = True

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Answering)
        self.keys, self.asked, self.is_silent = [], 0, threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        if self.server.is_silent.is_set():
            time.sleep(60)
        body = json.dumps({"keys": self.server.keys}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/jwk-set+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def setUpModule():
    global platform, issuer, first, second, curve, folder
    folder = tempfile.TemporaryDirectory()
    first, second = SigningKey(folder.name, "first"), SigningKey(folder.name, "second")
    curve = SigningKey(folder.name, "curve", "EC")
    issuer = Issuer()
    issuer.keys = [first.public, curve.public, {"kty": "oct", "kid": "secret", "k": base64url(b"0" * 32)}]
    platform = Platform(port=first_port(__file__), settings={
        "MILLRACE_JWT_ISSUER": ISSUER, "MILLRACE_JWT_AUDIENCE": "millrace", "MILLRACE_JWT_NETWORKS": "127.0.0.0/8",
        "MILLRACE_JWT_KEYS_URL": f"http://127.0.0.1:{issuer.server_port}/keys", "MILLRACE_JWT_LEEWAY": "10s",
        "MILLRACE_JWT_WORKSPACE_CLAIM": "tenant",
    }).__enter__()
    try:
        platform.wait_until_ready()
        for name in ("alpha", "beta"):
            platform.must("PUT", f"/v1/sources/{name}", "{}")
        platform.must("PUT", "/v1/workspaces/other", "{}")
    except BaseException:
        tearDownModule()
        raise


def tearDownModule():
    platform.__exit__()
    issuer.shutdown()
    folder.cleanup()


def ask(token, path="/v1/datasets", method="GET", body=None, service="store"):
    connection = platform.connect(platform.port_of(service))
    try:
        headers = {"Authorization": f"Bearer {token}"} | ({"Content-Type": "application/json"} if body else {})
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        connection.close()


class Tokens(unittest.TestCase):
    def test_1_a_token_does_what_its_scopes_say_in_its_workspace(self):
        for key in (first, curve):
            token = key.token()
            paths = {"ingest": "/v1/sources/alpha", "store": "/v1/datasets"}
            for service, path in paths.items():
                self.assertEqual(ask(token, path, service=service)[0], 200, (key.kid, service))
            self.assertEqual(ask(token, "/v1/sources/beta", service="ingest")[0], 403)
            self.assertEqual(ask(token, "/v1/pipelines", service="transform")[1]["scope"], "pipelines:read")
        self.assertEqual([one["name"] for one in ask(first.token(), "/v1/sources", service="ingest")[1]["items"]],
                         ["alpha"])
        self.assertEqual(ask(first.token(tenant="other", scope=["sources:read"]), "/v1/sources", service="ingest"),
                         (200, {"items": [], "next_cursor": None}))
        self.assertEqual(ask(first.token(tenant="nowhere"))[0], 401)
        self.assertEqual(ask(first.token(scope="openid profile"))[0], 403)
        # Whoever has a token has no key, so nothing outlives the token.
        made = ask(first.token(scope="admin"), "/v1/keys", "POST", '{"name": "x", "scopes": ["query"]}')
        self.assertEqual((made[0], made[1]["code"]), (403, "forbidden"))

    def test_2_what_is_signed_otherwise_does_not_count(self):
        good = first.token()
        header, claims, signature = good.split(".")
        public = openssl("rsa", "-in", first.path, "-pubout")
        hashed = f"{base64url(json.dumps({'alg': 'HS256', 'kid': 'first'}).encode())}.{claims}"
        shared = f"{base64url(json.dumps({'alg': 'HS256', 'kid': 'secret'}).encode())}.{claims}"
        stranger = SigningKey(folder.name, "stranger")
        stranger.kid = "first"
        said = json.loads(base64.urlsafe_b64decode(claims + "=="))
        twice = json.dumps(said)[:-1] + ', "scope": "admin"}'
        wrong = {
            "none": f"{base64url(json.dumps({'alg': 'none'}).encode())}.{claims}.",
            "none with a signature": f"{base64url(json.dumps({'alg': 'none'}).encode())}.{claims}.{signature}",
            "signed with the public key": f"{hashed}." + base64url(
                hmac.new(public, hashed.encode(), hashlib.sha256).digest()),
            "signed with a published secret": f"{shared}." + base64url(
                hmac.new(b"0" * 32, shared.encode(), hashlib.sha256).digest()),
            "another algorithm for the key": first.token(header={"alg": "ES256"}),
            "another one of the family": first.token(header={"alg": "RS512"}),
            "the other key's id": first.token(header={"kid": "curve"}),
            "a stranger's key": stranger.token(),
            "a key of its own": stranger.token(header={"jwk": stranger.public, "jku": "http://127.0.0.1/keys"}),
            "critical": first.token(header={"crit": ["exp"]}),
            "other claims": f"{header}.{base64url(json.dumps(said | {'scope': 'admin'}).encode())}.{signature}",
            "no signature": f"{header}.{claims}.", "two parts": f"{header}.{claims}",
            "a claim twice": first.raw({"alg": "RS256", "kid": "first"}, twice),
            "an algorithm twice": first.raw('{"alg": "none", "alg": "RS256", "kid": "first"}', json.dumps(said)),
            "too long": first.token(filler="x" * 9000),
            "padded": good + "=",
        }
        for name, token in wrong.items():
            with self.subTest(token=name):
                status, answer = ask(token)
                self.assertEqual((status, answer["code"]), (401, "unauthorized"))
                self.assertNotIn(token[-20:], json.dumps(answer))
        self.assertEqual(ask(good)[0], 200)

    def test_3_issuer_audience_and_times(self):
        now = int(time.time())
        wrong = {
            "issuer": {"iss": ISSUER + "/"}, "no issuer": {"iss": None}, "audience": {"aud": "other"},
            "no audience": {"aud": None}, "expired": {"exp": now - 12}, "no expiry": {"exp": None},
            "expiry as text": {"exp": str(now + 300)}, "early": {"nbf": now + 14}, "nobody": {"sub": None},
            "no workspace": {"tenant": None}, "workspace as number": {"tenant": 1},
        }
        for name, claims in wrong.items():
            with self.subTest(token=name):
                self.assertEqual(ask(first.token(**claims))[0], 401)
        for claims in ({"exp": -5}, {"nbf": 5}):
            (name, seconds), = claims.items()
            self.assertEqual(ask(first.token(**{name: int(time.time()) + seconds}))[0], 200, claims)
        self.assertEqual(ask(first.token(aud="millrace"))[0], 200)
        # What was taken once ends with its time, though it is remembered.
        brief = first.token(exp=int(time.time()) - 5)
        self.assertEqual(ask(brief)[0], 200)
        wait_for("the token's end", lambda: ask(brief)[0] == 401, 9)

    def test_3_what_is_open_ends_with_its_token(self):
        token = first.token(scope="ingest:write", exp=int(time.time()) - 6)
        url = f"ws://127.0.0.1:{platform.port}/v1/ingest/quiet/stream?stream=s"
        with connect(url, additional_headers={"Authorization": f"Bearer {token}"}) as socket:
            self.assertEqual(socket.recv(timeout=20), '{"ack":0}')
            self.assertEqual(json.loads(socket.recv(timeout=15))["code"], "unauthorized")
            with self.assertRaises(ConnectionClosed) as closed:
                socket.recv(timeout=15)
            self.assertEqual(closed.exception.rcvd.code, 1008)

    def test_4_a_key_that_is_new_is_fetched_and_strangers_cost_one_fetch(self):
        """Waits for the half minute in which nobody may have the keys fetched again, which begins with the process."""
        token = second.token()
        before = issuer.asked
        for number in range(100):
            self.assertEqual(ask(first.token(header={"kid": f"unknown-{number}"}))[0], 401)
        self.assertLessEqual(issuer.asked - before, 2)
        issuer.keys.append(second.public)
        wait_for("the new key", lambda: ask(token)[0] == 200, 60)
        self.assertLessEqual(issuer.asked - before, 4)

    def test_5_an_issuer_that_is_away_locks_nobody_out_and_holds_nobody_up(self):
        """Waits for the half minute in which the issuer is not asked again, as it was not long ago."""
        issuer.is_silent.set()
        try:
            answers = []
            later = first.token(header={"kid": "later"})
            waiting = threading.Thread(target=lambda: answers.append(wait_for(
                "the issuer is asked", lambda: (answer := ask(later))[0] != 401 and answer, 60)))
            waiting.start()
            number = 0
            while waiting.is_alive() or number < 20:
                start = time.monotonic()
                self.assertEqual(ask(first.token(sub=f"user-{number}"))[0], 200)
                self.assertEqual(platform.call("GET", "/v1/datasets")[0], 200)
                self.assertLess(time.monotonic() - start, 4.5)
                number += 1
            # The issuer may have such a key by now: that is not for the token to answer for.
            self.assertEqual([(status, answer["code"]) for status, answer in answers], [(503, "issuer_unavailable")])
        finally:
            issuer.is_silent.clear()
        for service in SERVICES:
            status, answer = ask(platform.key, "/readyz", service=service)
            self.assertEqual(status, 200, answer)

    def test_6_the_log_says_who_and_never_the_token(self):
        token = first.token(scope="datasets:write", sub="grace@example")
        self.assertEqual(ask(token, "/v1/datasets/made_by_token", "PUT", '{"columns": []}')[0], 201)

        def line():
            found = [json.loads(one) for path in (platform.home / "log").rglob("current")
                     for one in path.read_text(errors="replace").splitlines() if '"audit"' in one]
            return [one for one in found if one.get("http.path") == "/v1/datasets/made_by_token"]

        said = wait_for("the line", line)[0]
        self.assertEqual(
            (said["audit.subject"], said["audit.by"], said["audit.action"], said["audit.result"], said["workspace"]),
            ("grace@example", "token", "putDataset", "done", "default"))
        for path in (platform.home / "log").rglob("*"):
            if path.is_file():
                self.assertNotIn(token.split(".")[2][:40], path.read_text(errors="replace"))


if __name__ == "__main__":
    unittest.main()
