"""A service that speaks TLS, beside a platform that does not: what PyPI's sslyze says of it, streams by wss://, and a
certificate that is renewed while it runs."""

import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402
from sslyze import (  # noqa: E402
    CertificateInfoExtraArgument, ScanCommandsExtraArguments, Scanner, ServerNetworkLocation, ServerScanRequest)
from sslyze.mozilla_tls_profile.tls_config_checker import (  # noqa: E402
    MozillaTlsConfiguration, ServerNotCompliantWithTlsConfiguration, TlsConfigurationEnum,
    check_server_against_tls_configuration)
from websockets.sync.client import connect  # noqa: E402

SERVICE = Path(os.environ["BENCH_BINARIES"]) / "millrace-ingest"


def request_certificate(*arguments):
    subprocess.run(
        ["openssl", "req", "-new", "-x509", "-nodes", "-sha256", *arguments], check=True, stderr=subprocess.DEVNULL)


def make_authority(folder):
    request_certificate(
        "-days", "365", "-newkey", "rsa:2048", "-subj", "/CN=Millrace test", "-addext", "keyUsage=critical,keyCertSign",
        "-keyout", folder / "ca-key", "-out", folder / "ca")


def make_pair(folder, kind):
    """A certificate for localhost and its key, renewed as they should be: first made, then put in place."""
    options = {"rsa": ["-newkey", "rsa:2048"], "ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]}
    request_certificate(
        "-days", "90", *options[kind], "-CA", folder / "ca", "-CAkey", folder / "ca-key", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE", "-keyout",
        folder / "new-key", "-out", folder / "new-certificate")
    for name in ("key", "certificate"):
        os.chmod(folder / f"new-{name}", 0o644)
        os.replace(folder / f"new-{name}", folder / name)


class TLSService:
    """The ingest service on a port of its own, with the settings of the platform's."""

    def __init__(self, platform, port, folder):
        self.port = port
        self.authority = folder / "ca"
        done = subprocess.run(
            ["s6-svstat", "-o", "pid", platform.home / "run/service/ingest"], stdout=subprocess.PIPE, check=True)
        sibling = Path("/proc") / done.stdout.decode().strip()
        settings = dict(entry.split("=", 1) for entry in (sibling / "environ").read_text().split("\0") if entry)
        settings |= {"MILLRACE_INGEST_PORT": str(port), "MILLRACE_TLS_CERTIFICATE": str(folder / "certificate"),
                     "MILLRACE_TLS_KEY": str(folder / "key")}
        user = sibling.stat().st_uid if os.geteuid() == 0 else None
        self.settings = settings
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen([SERVICE], env=settings, user=user, stderr=self.log)

    def context(self):
        return ssl.create_default_context(cafile=self.authority)

    def certificate(self):
        """What a new connection is shown, in PEM."""
        return ssl.get_server_certificate(("localhost", self.port), ca_certs=self.authority)

    def health(self):
        """What a container's health check finds."""
        return subprocess.run([SERVICE, "health"], env=self.settings, stderr=subprocess.PIPE, text=True, check=False)

    def get(self, path):
        with urllib.request.urlopen(f"https://localhost:{self.port}{path}", context=self.context()) as answer:
            return answer.status, answer.read().decode()

    def wait_until(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, self.end()
            try:
                if condition():
                    return
            except OSError:
                pass
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.1)

    def end(self):
        """Stops it; its log."""
        self.process.terminate()
        self.process.wait(60)
        self.log.seek(0)
        with self.log:
            return self.log.read()


def setUpModule():
    global platform, folder
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()
    folder = Path(tempfile.mkdtemp(prefix="millrace-tls-"))
    os.chmod(folder, 0o755)
    make_authority(folder)


def tearDownModule():
    shutil.rmtree(folder)
    platform.__exit__()


class TLSTests(unittest.TestCase):
    def start(self, kind):
        make_pair(folder, kind)
        service = TLSService(platform, platform.port + 10, folder)
        self.addCleanup(lambda: service.log.closed or service.end())
        service.wait_until(lambda: service.get("/readyz")[0] == 200)
        return service

    def scan(self, service):
        location = ServerNetworkLocation(hostname="localhost", port=service.port, ip_address="127.0.0.1")
        scanner = Scanner(per_server_concurrent_connections_limit=2)
        trust = ScanCommandsExtraArguments(certificate_info=CertificateInfoExtraArgument(custom_ca_file=folder / "ca"))
        scanner.queue_scans([ServerScanRequest(server_location=location, scan_commands_extra_arguments=trust)])
        [result] = scanner.get_results()
        return result

    def test_it_is_what_mozilla_calls_intermediate(self):
        for kind in ("rsa", "ecdsa"):
            service = self.start(kind)
            result = self.scan(service)
            intermediate = MozillaTlsConfiguration.get(TlsConfigurationEnum.MOZILLA_INTERMEDIATE)
            check_server_against_tls_configuration(result, intermediate)
            # The scan has found something to judge: by what the stricter configuration says, 1.2 is there.
            with self.assertRaisesRegex(ServerNotCompliantWithTlsConfiguration, "TLSv1.2"):
                check_server_against_tls_configuration(
                    result, MozillaTlsConfiguration.get(TlsConfigurationEnum.MOZILLA_MODERN))
            scan = result.scan_result
            accepted = {suite.cipher_suite.name for version in ("tls_1_2", "tls_1_3") for suite in
                        getattr(scan, f"{version}_cipher_suites").result.accepted_cipher_suites}
            self.assertEqual(len(accepted), 9 if kind == "rsa" else 6, accepted)
            self.assertFalse(scan.session_renegotiation.result.is_vulnerable_to_client_renegotiation_dos)
            self.assertFalse(scan.tls_1_3_early_data.result.supports_early_data)
            self.assertEqual({curve.name for curve in scan.elliptic_curves.result.supported_curves},
                             {"X25519", "secp256r1", "secp384r1"})
            service.end()

    def test_streams_and_bodies_go_over_tls(self):
        service = self.start("ecdsa")
        key = {"Authorization": f"Bearer {platform.key}"}
        with connect(f"wss://localhost:{service.port}/v1/ingest/private/stream?stream=s", ssl=service.context(),
                     additional_headers=key) as socket:
            self.assertEqual(json.loads(socket.recv()), {"ack": 0})
            for seq in range(1, 201):
                socket.send(json.dumps({"seq": seq, "records": [{"n": seq, "text": "x" * (seq * 37 % 4000)}]}))
            ack = 0
            while ack < 200:
                ack = json.loads(socket.recv())["ack"]
        body = "".join(f'{{"n":{n},"text":"{"y" * 80}"}}\n' for n in range(201, 60_201)).encode()
        request = urllib.request.Request(
            f"https://localhost:{service.port}/v1/ingest/private?wait=stored&timeout=60s", body,
            {**key, "Content-Type": "application/x-ndjson"})
        with urllib.request.urlopen(request, context=service.context()) as answer:
            self.assertEqual(json.loads(answer.read())["stored"], 60_000)
        platform.wait_finished("private")
        self.assertEqual(platform.sql("select count(*), sum(n) from ws_default.private"),
                         f"60200|{sum(range(60_201))}")

    def test_a_renewed_certificate_is_taken_up(self):
        service = self.start("rsa")
        old = service.certificate()
        make_pair(folder, "ecdsa")
        service.wait_until(lambda: service.certificate() != old, seconds=30)
        self.assertIn("tls_certificate_expiry_seconds", service.get("/metrics")[1])
        checked = service.health()
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        self.assertIn("tls.certificate_renewed", service.end())
        self.assertEqual(service.health().returncode, 1)

    def test_settings_that_cannot_be_are_all_named(self):
        done = subprocess.run(
            [SERVICE], stderr=subprocess.PIPE, text=True, timeout=60,
            env={"DATABASE_URL": "postgresql://localhost/none", "MILLRACE_TLS_CERTIFICATE": str(folder),
                 "MILLRACE_POOL_SIZE": "0"})
        self.assertEqual(done.returncode, 78, done.stderr)
        for text in ("MILLRACE_TLS_KEY is required where MILLRACE_TLS_CERTIFICATE is set", "MILLRACE_POOL_SIZE must"):
            self.assertIn(text, done.stderr)


if __name__ == "__main__":
    unittest.main()
