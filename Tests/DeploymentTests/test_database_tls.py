"""How the manifests' examples have the database verified, by a PostgreSQL that speaks TLS and a service of no home."""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent))
from testbed import REPOSITORY, five_free_ports

BIN = Path("/usr/lib/postgresql/15/bin")
STORE = Path(os.environ.get("BENCH_BINARIES", REPOSITORY / ".build/debug")) / "millrace-store"


class VerificationTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        user = pwd.getpwnam("millrace") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        cls.folder = Path(tempfile.mkdtemp(prefix="millrace-tls-", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        os.chown(cls.folder, user.pw_uid, user.pw_gid)
        cls.user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        cls.port = five_free_ports()
        cls.run_it("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "own.crt",
                   "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        cls.run_it(BIN / "initdb", "-D", "data", "-U", "millrace", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8")
        cls.run_it(BIN / "pg_ctl", "-D", "data", "-w", "-l", "log", "start", "-o",
                   f"-c listen_addresses=localhost -c port={cls.port} -c unix_socket_directories={cls.folder} "
                   f"-c ssl=on -c ssl_cert_file={cls.folder}/own.crt -c ssl_key_file={cls.folder}/key.pem")
        cls.addClassCleanup(cls.run_it, BIN / "pg_ctl", "-D", "data", "-m", "immediate", "stop")
        cls.run_it(BIN / "createdb", "-h", cls.folder, "-p", str(cls.port), "-U", "millrace", "millrace")
        cls.url = yaml.safe_load((REPOSITORY / "deploy/kubernetes/examples/secret.yaml").read_text())[
            "stringData"]["database-url"].replace("postgres.example:5432", f"localhost:{cls.port}")

    @classmethod
    def run_it(cls, *command):
        done = subprocess.run(command, cwd=cls.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, **cls.user)
        assert done.returncode == 0, done.stdout

    def migrate(self, url):
        """(status, what it said), in a container's environment: with no home to look into."""
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "DATABASE_URL": url,
                       "MILLRACE_MIGRATE_PATIENCE": "1s"}
        done = subprocess.run([STORE, "migrate"], cwd="/", env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
        return done.returncode, done.stdout

    def test_the_examples_authorities_are_asked(self):
        """Those of the system do not know this server's certificate, and say so; that they are missing is no answer."""
        status, said = self.migrate(self.url)
        self.assertNotEqual(status, 0)
        self.assertIn("certificate verify failed", said)
        self.assertNotIn("root certificate file", said)
        _, said = self.migrate(re.sub("&sslrootcert=.*", "", self.url))
        self.assertIn("root certificate file", said)

    def test_an_authority_of_ones_own_by_its_file(self):
        url = self.url.replace("/etc/ssl/certs/ca-certificates.crt", f"{self.folder}/own.crt")
        status, said = self.migrate(url)
        self.assertNotIn("certificate", said)
        self.assertEqual(status, 0, said)
        # Whoever it is that answers to another name is not the database.
        status, said = self.migrate(url.replace("localhost", "127.0.0.1"))
        self.assertNotEqual(status, 0)
        self.assertIn("certificate", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
