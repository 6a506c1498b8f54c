"""What listeners of rollups are told on the whole platform: from what a listener is told alone, through kills of every
process and reconnections to any of several, it knows the rollup as it is, and no id is missing or comes twice."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from event_client import Events, Gone  # noqa: E402
from platform_under_test import Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402

NDJSON = "application/x-ndjson"
SEED = int(os.environ.get("MILLRACE_TEST_SEED") or random.randrange(1 << 32))
PORT = first_port(__file__)
COLUMNS = [{"name": "id", "type": "int8"}, {"name": "ts", "type": "timestamptz"}, {"name": "who", "type": "text"},
           {"name": "n", "type": "int8"}]


def setUpModule():
    global platform
    print(f"MILLRACE_TEST_SEED={SEED}", flush=True)
    platform = Platform(port=PORT).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


def pids(service):
    return [pid for pid, line in platform.processes().items() if line.split(" ")[0].endswith(f"millrace-{service}")]


class OtherProcess:
    """Another analytics process on the same database, which only answers."""

    port = PORT + 20

    def __enter__(self):
        own = Path(f"/proc/{pids('analytics')[0]}/environ").read_bytes().decode().split("\0")
        environment = dict(line.split("=", 1) for line in own if "=" in line)
        environment |= {"MILLRACE_ANALYTICS_PORT": str(self.port), "MILLRACE_ROLE": "api"}
        self.process = subprocess.Popen(
            [Path(os.environ["BENCH_BINARIES"]).resolve() / "millrace-analytics"], env=environment,
            cwd=os.readlink(f"/proc/{pids('analytics')[0]}/cwd"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

        def is_ready():
            try:
                return platform.call("GET", "/readyz", connection=platform.connect(self.port))[0] == 200
            except OSError:
                return False
        try:
            wait_for("the other process", is_ready, 30)
        except AssertionError:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Listener(threading.Thread):
    """Knows a rollup by what it is told, as the documentation says; comes back wherever its stream breaks off."""

    def __init__(self, name, ports, seed):
        super().__init__(daemon=True)
        self.path = f"/v1/rollups/{name}"
        self.ports = ports
        self.random = random.Random(seed)
        self.rows, self.ids, self.resets, self.connections = {}, [], [], 0
        self.stops = False
        self.fault = None
        self.stream = None

    def run(self):
        try:
            while not self.stops:
                try:
                    self.listen()
                except (OSError, Gone):
                    pass
        except BaseException as fault:  # noqa: BLE001
            self.fault = fault

    def listen(self):
        last = self.ids[-1] if self.ids else None
        self.stream = Events(self.random.choice(self.ports), platform.key, self.path + "/live", last=last)
        try:
            if self.stream.status in (502, 503):
                return
            assert self.stream.status == 200, self.stream.head
            self.connections += 1
            while not self.stops:
                event = self.stream.take()
                self.apply(*event)
        finally:
            self.stream.close()

    def apply(self, id, kind, data):
        if kind == "reset":
            self.resets.append(data["reason"])
            found = wait_for("the data", self.data)
            self.rows = {self.key(row): row for row in found["items"]}
        else:
            rollup, number = id.split(".")
            before = self.ids[-1].split(".")
            assert [rollup, int(number)] == [before[0], int(before[1]) + 1], (before, id)
            for time in data["replaced"]:
                self.rows = {key: row for key, row in self.rows.items() if key[0] != time}
            self.rows |= {self.key(row): row for row in data["items"]}
        self.ids.append(id)

    def data(self):
        try:
            status, found = platform.call("GET", self.path + "/data?limit=10000")
        except (OSError, ValueError):
            return None
        return found if status == 200 else None

    @staticmethod
    def key(row):
        return row["time"], row["who"]

    def breaks_off(self):
        stream = self.stream
        if stream:
            try:
                stream.socket.shutdown(2)
            except OSError:
                pass


class Live(unittest.TestCase):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:40]
        self.random = random.Random(f"{SEED} {self.name}")

    def prepare(self, mode="append", dimensions=("who",)):
        keyed = {"primary_key": ["id"]} if mode != "append" else {}
        platform.must("PUT", f"/v1/datasets/{self.name}", json.dumps({"columns": COLUMNS, **keyed}))
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(
            {"source": self.name, "steps": [], "target": {"dataset": self.name, "mode": mode}}))
        platform.must("PUT", f"/v1/rollups/{self.name}", json.dumps(
            {"dataset": self.name, "time": {"column": "ts", "grain": "minute"}, "dimensions": list(dimensions),
             "measures": {"hits": "count()", "total": "sum(n)"}}))
        # The first rows make the table, from which the rollup is filled anew.
        self.send(1, wait=True)
        self.settled()

    def settled(self):
        platform.wait_finished(self.name)
        wait_for("the rollup", lambda: platform.must("GET", f"/v1/rollups/{self.name}")["state"] == "ready" and
                 platform.sql("select count(*) from millrace.rollup_change c join millrace.rollup r on "
                              f"r.id = c.rollup_id where r.name = '{self.name}'") == "0")

    def send(self, count=20, keys=100, minutes=30, wait=False):
        body = "".join(json.dumps({
            "id": self.random.randrange(keys), "ts": f"2026-01-01T00:{self.random.randrange(minutes):02}:00Z",
            "who": self.random.choice("abc"), "n": self.random.randrange(1000)}) + "\n" for _ in range(count))
        platform.must("POST", f"/v1/ingest/{self.name}{'?wait=stored&timeout=60s' if wait else ''}", body,
                      content_type=NDJSON)

    def last(self):
        return platform.sql(f"select id || '.' || last_event from millrace.rollup where name = '{self.name}'")

    def through_kills(self, mode):
        self.prepare(mode)
        with OtherProcess() as other:
            listeners = [Listener(self.name, [platform.port, platform.port_of("analytics"), other.port],
                                  f"{SEED} {number}") for number in range(4)]
            for listener in listeners:
                listener.start()
            wait_for("the listeners", lambda: all(listener.ids for listener in listeners))
            killed = 0
            for number in range(24):
                # What is stored together is one event.
                self.send(wait=number % 3 == 2)
                if number % 3 == 0:
                    os.kill(pids("store" if number % 2 else "analytics")[0], signal.SIGKILL)
                    killed += 1
                    platform.wait_until_ready()
                elif number % 3 == 1:
                    self.random.choice(listeners).breaks_off()
            self.settled()
            wait_for("the listeners have seen all", lambda: any(one.fault for one in listeners) or all(
                listener.ids[-1] == self.last() for listener in listeners))
            data = platform.must("GET", f"/v1/rollups/{self.name}/data?limit=10000")["items"]
            for listener in listeners:
                listener.stops = True
                listener.breaks_off()
                self.assertIsNone(listener.fault, SEED)
                self.assertEqual(sorted(listener.rows.values(), key=Listener.key), sorted(data, key=Listener.key), SEED)
                self.assertEqual(listener.resets, ["started"], "the log is longer than what any of them missed")
                self.assertEqual(len(listener.ids), len(set(listener.ids)))
                self.assertGreater(len(listener.ids), 3)
            self.assertGreater(sum(listener.connections for listener in listeners), len(listeners) + killed)
            self.assertGreater(len(data), 50)

    def test_appends_through_kills(self):
        self.through_kills("append")

    def test_upserts_through_kills(self):
        self.through_kills("upsert")

    def test_slow_readers_are_let_go_and_others_are_not(self):
        self.prepare()
        port = platform.port_of("analytics")
        slow = Events(port, platform.key, f"/v1/rollups/{self.name}/live", buffer=4096)
        self.assertEqual(slow.take()[1], "reset")
        fast = Listener(self.name, [port], SEED)
        fast.start()
        wait_for("the fast one", lambda: fast.ids)
        memory = self.memory()
        # 2,000 groups with long names: each event has a megabyte, of which the slow one takes nothing.
        for number in range(12):
            body = "".join(json.dumps({"id": n, "ts": "2026-01-01T00:00:00Z", "who": f"{n:04} " + "x" * 400, "n": n})
                           + "\n" for n in range(2000))
            platform.must("POST", f"/v1/ingest/{self.name}?wait=stored&timeout=60s", body, content_type=NDJSON)
            self.settled()
            wait_for("the fast one", lambda: fast.fault or fast.ids[-1] == self.last())
        self.assertIsNone(fast.fault)
        self.assertLess(self.memory() - memory, 100 << 20, "what the slow one has not taken is kept for it")
        taken = []
        with self.assertRaises(Gone) as ended:
            while True:
                taken.append(slow.take())
        self.assertTrue(ended.exception.whole)
        self.assertEqual(self.metric("millrace_rollup_listeners_shed_total"), 1)
        self.assertLess(len(taken), 12)
        numbers = [int(id.split(".")[1]) for id, _, _ in taken]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
        # It comes back and misses nothing.
        back = Events(port, platform.key, f"/v1/rollups/{self.name}/live", last=taken[-1][0])
        self.assertEqual(int(back.take()[0].split(".")[1]), numbers[-1] + 1)
        back.close()
        fast.stops = True
        fast.breaks_off()

    def metric(self, name):
        connection = platform.connect(platform.port_of("analytics"))
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().split("\n")
        connection.close()
        return next((float(line.split(" ")[1]) for line in lines if line.startswith(name + " ")), 0)

    def memory(self):
        status = Path(f"/proc/{pids('analytics')[0]}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def test_refusals_and_a_rollup_that_goes(self):
        self.prepare()
        for path, key, status in ((f"/v1/rollups/{self.name}/live", "mr_" + "x" * 43, 401),
                                  ("/v1/rollups/nothing/live", platform.key, 404),
                                  (f"/v1/rollups/{self.name}/live?more=1", platform.key, 400)):
            stream = Events(platform.port, key, path)
            self.assertEqual(stream.status, status)
            stream.close()
        stream = Events(platform.port, platform.key, f"/v1/rollups/{self.name}/live")
        self.assertIn("text/event-stream", stream.head)
        self.assertEqual(stream.take()[1:], ("reset", {"reason": "started"}))
        # The rollup goes, and its streams with it.
        self.assertEqual(platform.call("DELETE", f"/v1/rollups/{self.name}")[0], 204)
        with self.assertRaises(Gone) as ended:
            stream.take()
        self.assertTrue(ended.exception.whole)
        stream.close()

    def test_more_than_is_told_is_a_reset(self):
        self.prepare()
        stream = Events(platform.port, platform.key, f"/v1/rollups/{self.name}/live")
        stream.take()
        body = "".join(json.dumps({"id": n, "ts": "2026-01-01T00:00:00Z", "who": f"g{n}", "n": n}) + "\n"
                       for n in range(6000))
        platform.must("POST", f"/v1/ingest/{self.name}?wait=stored&timeout=60s", body, content_type=NDJSON)
        self.assertEqual(stream.take()[1:], ("reset", {"reason": "changed"}))
        platform.must("POST", f"/v1/ingest/{self.name}?wait=stored&timeout=60s", json.dumps(
            {"id": 1, "ts": "2026-01-01T00:00:00Z", "who": "g1", "n": 5}), content_type=NDJSON)
        id, kind, data = stream.take()
        self.assertEqual((kind, data["items"][0]["hits"], data["items"][0]["total"]), ("message", 2, 6))
        stream.close()


if __name__ == "__main__":
    unittest.main()
