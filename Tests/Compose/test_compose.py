"""compose.yaml for real: images built without a registry, brought up by Debian's docker-compose and by Compose v2, a
job and a load through the gateway while every container is restarted and killed, brought down, and nothing left. See
test-compose.
"""

import json
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
from compose_platform import HEALTHY, REPOSITORY, SERVICES, ComposePlatform  # noqa: E402
from client import Client  # noqa: E402
from platform_under_test import wait_for  # noqa: E402
from daemon import Daemon, Traces  # noqa: E402
from oracle import compare, quarantined_groups, stored_groups  # noqa: E402

PORT = int(os.environ.get("COMPOSE_PORT", "18990"))
SEED = int(os.environ.get("COMPOSE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
CLIENTS = 4
# Debian's is 1.29; the other is what implements the Compose specification, which `docker compose` is.
COMPOSE_1 = "/usr/bin/docker-compose"
COMPOSE_2 = os.environ["COMPOSE_2"]


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
                    self.platform.daemon.docker("restart", "--time", "40", self.platform.container(service))
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


def setUpModule():
    global daemon
    # A test that is told to stop takes everything with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    daemon = Daemon().__enter__()
    try:
        subprocess.run([REPOSITORY / "deploy/images/build"], check=True, env={**daemon.environment, "OFFLINE": "1"})
    except BaseException:
        tearDownModule()
        raise


def tearDownModule():
    daemon.__exit__()
    left = Traces.left_since(daemon.before)
    assert not left, left
    assert not daemon.data.exists()


class Platforms:
    """What holds by whichever program compose.yaml is brought up."""

    program = None

    @classmethod
    def setUpClass(cls):
        cls.daemon = daemon
        cls.platform = ComposePlatform(daemon, PORT, cls.program)
        try:
            cls.platform.__enter__()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.platform.__exit__()
        assert not daemon.left(), daemon.left()

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
            config = self.platform.inspect(service, "HostConfig")
            self.assertTrue(config["ReadonlyRootfs"], service)
            self.assertEqual(config["CapDrop"], ["ALL"], service)
            self.assertIn("no-new-privileges:true", config["SecurityOpt"], service)
            who = self.daemon.docker("exec", self.platform.container(service), "id", "-u").stdout.strip()
            self.assertEqual(who, "10002" if service == "postgres" else "10001", service)
            # Nothing secret is a variable, where `docker inspect` and every child process would show it.
            variables = " ".join(self.platform.inspect(service, "Config.Env"))
            self.assertNotIn(self.platform.key, variables)
            self.assertNotIn("postgresql://", variables)

    def test_2_the_sample_runs_on_request(self):
        self.platform.compose("--profile", "demo", "up", "-d", "--no-build")
        status = self.daemon.docker("wait", self.platform.container("demo")).stdout.strip()
        said = self.daemon.docker("logs", self.platform.container("demo")).stdout
        self.assertEqual(status, "0", said)
        self.assertRegex(said, r"elements\.csv with 3 wrong rows added .*: 121 received, 118 stored, 0 filtered, 3 q")
        self.assertRegex(said, r"/var/log/dpkg\.log .* to source dpkg: [1-9]\d* received, [1-9]\d* stored")

    def test_3_a_job_through_the_gateway(self):
        """A file becomes a table; a job that is started by its name takes the noise out of it, malformed rows and
        outliers, and converts types and units; statistics by group are those of what was no noise."""
        generator = random.Random(SEED)
        rows = [(n, f"s{n % 7}", generator.gauss(20, 3)) for n in range(3000)]
        lines = ["id,station,fahrenheit"] + [f"{n},{station},{celsius * 1.8 + 32:.6f}" for n, station, celsius in rows]
        for n in range(40):
            lines.insert(1 + n * 70, f"{n},s1,cold" if n % 2 else f"{10_000 + n},s2,90000")
        self.platform.must("PUT", "/v1/datasets/raw_readings", json.dumps(
            {"columns": [{"name": name, "type": "text"} for name in lines[0].split(",")]}))
        receipt = self.platform.must("POST", "/v1/ingest/raw_readings?wait=stored&timeout=60s",
                                     "\n".join(lines) + "\n", "text/csv")
        self.assertEqual((receipt["received"], receipt["stored"]), (3040, 3040), receipt)
        self.platform.must("PUT", "/v1/pipelines/readings", """{
            "source": {"dataset": "raw_readings"},
            "steps": [
                {"cast": {"id": "int8", "fahrenheit": "float8"}},
                {"outliers": {"column": "fahrenheit", "method": "iqr", "threshold": 10, "action": "quarantine"}},
                {"derive": {"celsius": "(fahrenheit - 32) / 1.8"}},
                {"drop": ["fahrenheit"]}],
            "target": {"dataset": "readings", "mode": "replace"}, "on_error": "quarantine"}""")
        run = self.platform.must("POST", "/v1/pipelines/readings/run")["run"]
        wait_for("the job's end", lambda: self.platform.must("GET", f"/v1/runs/{run}")["state"] not in (
            "queued", "running"))
        found = self.platform.must("GET", f"/v1/runs/{run}")
        records = found["records"]
        self.assertEqual((found["state"], records["read"], records["stored"], records["quarantined"]),
                         ("succeeded", 3040, 3000, 40), found)
        answer = self.platform.must("POST", "/v1/query", """{"sql": "select station, count(*), avg(celsius),
            stddev_samp(celsius) from readings group by station order by station"}""".replace("\n", " "))
        self.assertEqual(len(answer["rows"]), 7)
        for station, count, mean, deviation in answer["rows"]:
            values = [celsius for _, name, celsius in rows if name == station]
            self.assertEqual(count, len(values))
            self.assertAlmostEqual(mean, statistics.mean(values), places=4)
            self.assertAlmostEqual(deviation, statistics.stdev(values), places=4)


class SpecificationTests(Platforms, unittest.TestCase):
    """By Compose v2, as `docker compose`."""

    program = COMPOSE_2

    def test_0_it_is_compose_2(self):
        self.assertRegex(self.platform.compose("version", "--short"), r"^v?[2-9]\d*\.")


class DebianTests(Platforms, unittest.TestCase):
    """By docker-compose 1.29."""

    program = COMPOSE_1

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
