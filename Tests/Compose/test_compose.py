"""compose.yaml for real: images built without a registry, brought up by Debian's docker-compose, a job and a load
through the gateway while every container is restarted and killed, brought down, and nothing left. See test-compose.
"""

import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[1] / "Oracle")]
from compose_platform import HEALTHY, PROJECT, REPOSITORY, SERVICES, ComposePlatform  # noqa: E402
from client import Client  # noqa: E402
from daemon import Daemon, Traces  # noqa: E402
from oracle import compare, quarantined_groups, stored_groups  # noqa: E402

PORT = int(os.environ.get("COMPOSE_PORT", "18990"))
SEED = int(os.environ.get("COMPOSE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
CLIENTS = 4


class Restarter(threading.Thread):
    """Each container twice, one after the other in an order by chance: `docker restart`, and SIGKILL to its process,
    after which Docker starts it again. Goes on when the container is healthy again."""

    def __init__(self, platform, generator):
        super().__init__(daemon=True)
        self.platform = platform
        self.plan = [(service, way) for service in HEALTHY for way in ("restarted", "killed")]
        generator.shuffle(self.plan)
        self.done = []
        self.fault = None

    @property
    def progress(self):
        return len(self.done) / len(self.plan)

    def run(self):
        try:
            for service, way in self.plan:
                before = self.platform.state(service)
                if way == "restarted":
                    self.platform.daemon.docker("restart", "--time", "40", f"{PROJECT}_{service}_1")
                else:
                    os.kill(before["Pid"], signal.SIGKILL)
                self.wait_started_again(service, before)
                self.platform.wait_healthy(service)
                self.done.append((service, way))
        except Exception as error:  # noqa: BLE001 — told by the thread that waits for this one
            self.fault = error

    def wait_started_again(self, service, before):
        deadline = time.monotonic() + 60
        while self.platform.state(service)["StartedAt"] == before["StartedAt"]:
            assert time.monotonic() < deadline, f"{service} did not start again"
            time.sleep(0.05)


class ComposeTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # A test that is told to stop takes everything with it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        cls.daemon = Daemon().__enter__()
        try:
            subprocess.run([REPOSITORY / "deploy/images/build"], check=True,
                           env={**cls.daemon.environment, "OFFLINE": "1"})
            cls.platform = ComposePlatform(cls.daemon, PORT)
            cls.platform.__enter__()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            if hasattr(cls, "platform"):
                cls.platform.__exit__()
                assert not cls.daemon.left(), cls.daemon.left()
        finally:
            cls.daemon.__exit__()
        left = Traces.left_since(cls.daemon.before)
        assert not left, left
        assert not cls.daemon.data.exists()

    def test_1_everything_starts_in_order_and_confined(self):
        started = {name: self.platform.state(name)["StartedAt"] for name in HEALTHY}
        migrated = self.platform.state("migrate")
        self.assertEqual((migrated["ExitCode"], self.platform.state("secrets")["ExitCode"]), (0, 0))
        self.assertLess(self.platform.state("secrets")["FinishedAt"], started["postgres"])
        self.assertLess(started["postgres"], migrated["StartedAt"])
        for service in SERVICES:
            self.assertLess(migrated["FinishedAt"], started[service], service)
            self.assertLess(started[service], started["gateway"], service)
        for service in HEALTHY:
            self.platform.wait_healthy(service)
            config = self.platform.host_config(service)
            self.assertTrue(config["ReadonlyRootfs"], service)
            self.assertEqual(config["CapDrop"], ["ALL"], service)
            self.assertIn("no-new-privileges:true", config["SecurityOpt"], service)
            who = self.daemon.docker("exec", f"{PROJECT}_{service}_1", "id", "-u").stdout.strip()
            self.assertEqual(who, "10002" if service == "postgres" else "10001", service)
            # Nothing secret is a variable, where `docker inspect` and every child process would show it.
            variables = self.daemon.docker("inspect", "-f", "{{json .Config.Env}}", f"{PROJECT}_{service}_1").stdout
            self.assertNotIn(self.platform.key, variables)
            self.assertNotIn("postgresql://", variables)

    def test_2_the_sample_runs_on_request(self):
        self.platform.compose("--profile", "demo", "up", "-d", "--no-build")
        status = self.daemon.docker("wait", f"{PROJECT}_demo_1").stdout.strip()
        said = self.daemon.docker("logs", f"{PROJECT}_demo_1").stdout
        self.assertEqual(status, "0", said)
        self.assertRegex(said, r"elements\.csv with 3 wrong rows added .*: 121 received, 118 stored, 0 filtered, 3 q")
        self.assertRegex(said, r"/var/log/dpkg\.log .* to source dpkg: [1-9]\d* received, [1-9]\d* stored")

    def test_3_a_job_through_the_gateway(self):
        """A file with noise: malformed rows and outliers away, types and units converted, statistics by group."""
        generator = random.Random(SEED)
        rows = [(n, f"s{n % 7}", generator.gauss(20, 3)) for n in range(3000)]
        lines = ["id,station,fahrenheit"] + [f"{n},{station},{celsius * 1.8 + 32:.6f}" for n, station, celsius in rows]
        for n in range(40):
            lines.insert(1 + n * 70, f"{n},s1,cold" if n % 2 else f"{10_000 + n},s2,90000")
        self.platform.must("PUT", "/v1/pipelines/readings", """{
            "source": "readings_csv",
            "steps": [
                {"cast": {"id": "int8", "fahrenheit": "float8"}},
                {"expect": {"plausible": "fahrenheit between -100 and 200"}},
                {"derive": {"celsius": "(fahrenheit - 32) / 1.8"}},
                {"drop": ["fahrenheit"]}],
            "target": {"dataset": "readings", "mode": "append"}, "on_error": "quarantine"}""")
        receipt = self.platform.must("POST", "/v1/ingest/readings_csv?wait=stored&timeout=60s", "\n".join(lines) + "\n",
                                     "text/csv")
        self.assertEqual((receipt["received"], receipt["stored"], receipt["quarantined"]), (3040, 3000, 40), receipt)
        answer = self.platform.must("POST", "/v1/query", """{"sql": "select station, count(*), avg(celsius),
            stddev_samp(celsius) from readings group by station order by station"}""".replace("\n", " "))
        self.assertEqual(len(answer["rows"]), 7)
        for station, count, mean, deviation in answer["rows"]:
            values = [celsius for _, name, celsius in rows if name == station]
            self.assertEqual(count, len(values))
            self.assertAlmostEqual(mean, statistics.mean(values), places=4)
            self.assertAlmostEqual(deviation, statistics.stdev(values), places=4)

    def test_4_restarts_lose_nothing(self):
        restarter = Restarter(self.platform, random.Random(SEED))
        clients = [Client(self.platform, number, 10_000, SEED, restarter) for number in range(CLIENTS)]
        for thread in (restarter, *clients):
            thread.start()
        for thread in (restarter, *clients):
            thread.join(600)
            self.assertFalse(thread.is_alive(), f"seed {SEED}: after 600 s; done: {restarter.done}")
        self.assertIsNone(restarter.fault, f"seed {SEED}")
        for client in clients:
            client.connection.close()
        self.assertEqual(len(restarter.done), 2 * len(HEALTHY))
        self.platform.wait_until_ready()
        self.platform.wait_finished("oracle", 300)
        attempts = {}
        for client in clients:
            attempts.update(client.recorded())
        faults = [fault for client in clients for fault in client.faults]
        faults += compare(attempts, stored_groups(self.platform), quarantined_groups(self.platform))
        self.assertEqual(faults, [], f"seed {SEED}")
        acknowledged = sum(client.acknowledged for client in clients)
        self.assertGreaterEqual(acknowledged, 10_000 * CLIENTS)
        print(f"seed {SEED}: {acknowledged} records acknowledged in {len(attempts)} attempts, none lost or doubled, "
              f"while {', '.join(f'{service} was {way}' for service, way in restarter.done)}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
