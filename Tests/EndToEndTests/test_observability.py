"""What the platform tells of itself: metrics that Prometheus takes, expressions that find them, traces over all
services, access logs. One platform and one collector serve all cases."""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request
from pathlib import Path

import yaml
from otlp_collector import Collector

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "Tests/Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(REPOSITORY / ".build/debug"))
from platform_under_test import SERVICES, Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402

FOLDER = REPOSITORY / "deploy/observability"
NDJSON = "application/x-ndjson"
# Series that only a platform with a certificate, or with an issuer of tokens, has.
OF_SETTINGS = {"tls_certificate_expiry_seconds", "millrace_token_key_failures_total"}


def setUpModule():
    global platform, collector
    collector = Collector()
    platform = Platform(port=first_port(__file__), settings={
        "MILLRACE_OTLP_ENDPOINT": collector.url, "MILLRACE_ACCESS_LOG": "true", "OTEL_TRACES_SAMPLER_ARG": "0"}
    ).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()
    collector.close()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def request(method, path, body=None, headers=None, port=None, timeout=60):
    """(status, body) of a request with the administrator's key."""
    connection = platform.connect(port, timeout)
    try:
        connection.request(method, path, body=body, headers={"Authorization": f"Bearer {platform.key}",
                                                             **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Trace:
    """A trace that a client began: what it sends, and what of it was collected."""

    def __init__(self, recorded=True):
        self.id, self.span = secrets.token_hex(16), secrets.token_hex(8)
        self.headers = {"traceparent": f"00-{self.id}-{self.span}-{'01' if recorded else '00'}"}

    def send(self, source, body, query="?wait=stored&timeout=30s"):
        status, answer = request("POST", f"/v1/ingest/{source}{query}", body,
                                 {"Content-Type": NDJSON, **self.headers})
        assert status in (200, 202), (status, answer)
        return json.loads(answer)

    def wait(self, *names):
        """The trace's spans, once those with these names are there."""
        def found(_):
            spans = [span for span in collector.spans if span.trace == self.id]
            return spans if set(names) <= {span.name for span in spans} else None
        return collector.wait(found)


def settle(source):
    """Something of everything is counted: records, a quarantined one, a query, an endpoint's call, a rollup's step."""
    platform.must("PUT", f"/v1/datasets/{source}", json.dumps(
        {"columns": [{"name": "n", "type": "int8"}, {"name": "at", "type": "timestamptz"}]}))
    platform.must("PUT", f"/v1/rollups/{source}", json.dumps(
        {"dataset": source, "time": {"column": "at", "grain": "day"}, "dimensions": [],
         "measures": {"records": "count()"}}))
    status, answer = request("POST", f"/v1/ingest/{source}?wait=stored&timeout=30s",
                             '{"n":1,"at":"2026-01-01T00:00:00Z"}\n{"n":2}\n{"n":\n', {"Content-Type": NDJSON})
    assert (status, json.loads(answer)["quarantined"]) == (200, 1), answer
    wait_for("the rollup", lambda: platform.must("GET", f"/v1/rollups/{source}")["state"] == "ready")
    platform.must("POST", "/v1/query", json.dumps({"sql": f"select count(*) from {source}"}))
    platform.must("PUT", f"/v1/endpoints/{source}", json.dumps({"sql": f"select n from {source}", "cache_ttl": "1s"}))
    platform.must("GET", f"/v1/endpoints/{source}/data")


class MetricsTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        settle("measured")

    def text(self, service):
        status, body = request("GET", "/metrics", port=platform.port_of(service))
        self.assertEqual(status, 200)
        return body.decode()

    def test_promtool_has_no_complaint(self):
        for service in SERVICES:
            with self.subTest(service):
                done = subprocess.run(["promtool", "check", "metrics"], input=self.text(service), text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
                self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_each_service_tells_of_itself(self):
        every = ["http_requests_total", "http_request_duration_seconds_bucket", "http_request_size_bytes_bucket",
                 "http_response_size_bytes_bucket", "millrace_event_loop_lag_seconds_bucket",
                 "millrace_postgres_connections_in_use", "millrace_postgres_wait_seconds_bucket",
                 "process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total",
                 "process_start_time_seconds", "millrace_build_info"]
        own = {
            "ingest": ["millrace_ingest_commit_seconds_bucket", "millrace_source_freshness_seconds"],
            "transform": ["millrace_transform_seconds_bucket", "millrace_queue_wait_seconds_bucket",
                          "millrace_quarantined_total"],
            "store": ["millrace_store_load_seconds_bucket", "millrace_queue_handling_seconds_bucket"],
            "analytics": ["millrace_query_seconds_bucket", "millrace_rollup_step_seconds_bucket",
                          "millrace_rollup_lag_seconds", "millrace_rollup_waiting_batches"],
        }
        for service in SERVICES:
            names = {line.split("{")[0].split(" ")[0] for line in self.text(service).splitlines() if line[0] != "#"}
            self.assertEqual(set(every + own[service]) - names, set(), service)
        text = self.text("transform")
        self.assertRegex(text, r'millrace_quarantined_total\{stage="decode",reason="invalid_json"\} [1-9]')
        self.assertRegex(text, r'http_request_size_bytes_count\{method="GET",route="/metrics"\} [1-9]')

    def test_what_runs_out_is_shown_before_it_does(self):
        text = self.text("ingest")
        self.assertRegex(text, r"(?m)^millrace_landing_bytes [1-9]")
        self.assertRegex(text, r"(?m)^millrace_landing_limit_bytes 21474836480$")
        text = self.text("analytics")
        self.assertRegex(text, r"(?m)^millrace_queries_running 0$")
        self.assertRegex(text, r"(?m)^millrace_queries_waiting 0$")

    def test_a_rollup_counts_the_rows_that_it_adds(self):
        def added():
            text = self.text("analytics")
            return [int(re.search(rf"^millrace_rollup_{name}_total (\d+)$", text, re.M)[1])
                    for name in ("rows", "batches")]

        def is_idle():
            return platform.sql("select count(*) from millrace.rollup_change") == "0" and platform.sql(
                "select count(*) from millrace.rollup_batch") == "0"
        wait_for("the rollups to be up to date", is_idle)
        # What was done is counted after its commit.
        rows, batches = added()
        while (time.sleep(1), again := added())[1] != [rows, batches]:
            rows, batches = again
        body = "".join(f'{{"n":{n},"at":"2026-01-02T00:00:00Z"}}\n' for n in range(7))
        status, answer = request("POST", "/v1/ingest/measured?wait=stored&timeout=30s", body,
                                 {"Content-Type": NDJSON})
        self.assertEqual(status, 200, answer)
        wait_for("the rows to be in the rollup", lambda: is_idle() and added() == [rows + 7, batches + 1])
        found = platform.must("GET", "/v1/rollups/measured/data")["items"]
        self.assertEqual([(item["time"][:10], item["records"]) for item in found],
                         [("2026-01-01", 1), ("2026-01-02", 7)])

    def test_sizes_are_the_bodies(self):
        def of(direction, text):
            series = f'http_{direction}_size_bytes_sum{{method="POST",route="/v1/ingest/{{source}}"}}'
            return float(re.search(re.escape(series) + r" (\S+)", text).group(1))
        before = self.text("ingest")
        status, answer = request("POST", "/v1/ingest/sized", "x" * 5000, {"Content-Type": "text/plain"})
        self.assertEqual(status, 202)
        after = wait_for("the request to be measured", lambda: (
            text := self.text("ingest"), of("request", text) > of("request", before)) and text)
        self.assertEqual(of("request", after) - of("request", before), 5000)
        self.assertEqual(of("response", after) - of("response", before), len(answer))


class ExpressionTests(unittest.TestCase):
    """Every expression of the rules and the dashboard is asked of a Prometheus that scrapes the services."""

    @classmethod
    def setUpClass(cls):
        settle("expressed")
        Trace().send("expressed", '{"n":3}\n')
        cls.folder = tempfile.mkdtemp(prefix="millrace-prometheus-")
        cls.port = free_port()
        shutil.copy(FOLDER / "alerts.yml", cls.folder)
        configuration = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        for entry in configuration["scrape_configs"][0]["static_configs"]:
            port = platform.port_of(entry["labels"]["service"])
            entry["targets"] = [f"127.0.0.1:{port}"]
        (Path(cls.folder) / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        cls.server = subprocess.Popen(
            ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error",
             f"--web.listen-address=127.0.0.1:{cls.port}"], cwd=cls.folder)
        cls.addClassCleanup(cls.stop)
        # Rates need two samples of each.
        wait_for("Prometheus to have scraped all four", lambda: cls.scraped(), 60)

    @classmethod
    def stop(cls):
        cls.server.terminate()
        cls.server.wait(30)
        shutil.rmtree(cls.folder, ignore_errors=True)

    @classmethod
    def ask(cls, path, **parameters):
        url = f"http://127.0.0.1:{cls.port}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    @classmethod
    def scraped(cls):
        try:
            found = cls.ask("query", query='count_over_time(up{job="millrace"}[1m]) >= 3 and up == 1')["result"]
            rules = [rule for group in cls.ask("rules")["groups"] for rule in group["rules"]]
        except (OSError, AssertionError):
            return False  # it begins with 503
        return len(found) == 4 and all(rule["health"] != "unknown" for rule in rules)

    @staticmethod
    def concrete(expression):
        return expression.replace("$__rate_interval", "1m").replace("$service", ".*")

    def selectors(self, expression):
        """The series that an expression is about, each as it selects them."""
        text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", expression)
        found = re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?(?![a-zA-Z0-9_:\s]*[({])", text)
        words = {"and", "or", "unless", "bool", "offset"}
        return {name + labels for name, labels in found
                if name not in words and not re.search(rf"\b{name}\s*\(", text) and "_" in name or name == "up"}

    def check(self, title, expression):
        expression = self.concrete(expression)
        with self.subTest(title, expression=expression):
            self.ask("query", query=expression)
            selectors = self.selectors(expression)
            self.assertTrue(selectors)
            for selector in selectors - OF_SETTINGS:
                self.assertTrue(self.ask("series", **{"match[]": selector}), f"nothing is called {selector}")

    def test_every_alert_is_about_what_there_is(self):
        groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
        for rule in (rule for group in groups for rule in group["rules"]):
            self.check(rule["alert"], rule["expr"])
        # What they say of labels is there too.
        for rule in self.ask("rules")["groups"][0]["rules"]:
            self.assertEqual(rule["health"], "ok", rule)

    def test_every_panel_shows_something(self):
        dashboard = json.loads((FOLDER / "grafana/millrace.json").read_text())
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                self.check(panel["title"], target["expr"])
                # Each label of a legend is one of the series that it stands for.
                labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                for found in self.ask("query", query=self.concrete(target["expr"]))["result"]:
                    self.assertLessEqual(labels, set(found["metric"]), (panel["title"], found["metric"]))
        for annotation in dashboard["annotations"]["list"]:
            self.check(annotation["name"], annotation["expr"])

    def test_a_healthy_platform_sets_off_no_alert(self):
        firing = [alert for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"]
        self.assertEqual([alert["labels"]["alertname"] for alert in firing], [])


class TraceTests(unittest.TestCase):
    def tearDown(self):
        self.assertEqual(collector.faults, [], "each request is what the protocol says")

    def test_one_trace_over_all_services(self):
        trace = Trace()
        answer = trace.send("followed", '{"n":1}\n{"n":2}\n')
        for method, path, body in (("POST", "/v1/query", json.dumps({"sql": "select n from followed"})),
                                   ("GET", "/v1/datasets/followed/lineage?batch={batch}&row=0", None)):
            batch = platform.must("POST", "/v1/query", json.dumps({"sql": "select _batch from followed limit 1"}))
            path = path.replace("{batch}", str(batch["rows"][0][0]))
            status, found = request(method, path, body, {"Content-Type": "application/json", **trace.headers})
            self.assertEqual(status, 200, found)
        item = json.loads(found)["items"][0]
        self.assertEqual(item["trace_id"], trace.id)
        ingest = "POST /v1/ingest/{source}"
        spans = {span.name: span for span in trace.wait(
            ingest, "land", "transform", "load", "POST /v1/query", "GET /v1/datasets/{name}/lineage")}
        services = {name: span.service for name, span in spans.items()}
        self.assertEqual(services[ingest], "millrace-ingest")
        self.assertEqual(services["land"], "millrace-ingest")
        self.assertEqual(services["transform"], "millrace-transform")
        self.assertEqual(services["load"], "millrace-store")
        self.assertEqual(services["POST /v1/query"], "millrace-analytics")
        self.assertEqual(services["GET /v1/datasets/{name}/lineage"], "millrace-store")
        # Each below the one that it follows from, up to the client's own.
        for name, parent in ((ingest, trace.span), ("land", spans[ingest].id), ("transform", spans["land"].id),
                             ("load", spans["transform"].id), ("POST /v1/query", trace.span)):
            self.assertEqual(spans[name].parent, parent, name)
        self.assertLessEqual(spans["land"].start, spans["transform"].start)
        self.assertLessEqual(spans["transform"].start, spans["load"].start)
        for span in spans.values():
            self.assertLessEqual(span.start, span.end)
            self.assertLess(abs(span.end / 1e9 - time.time()), 300)
        batch = str(item["batch"])
        self.assertEqual(spans["land"].attributes["millrace.batch.id"], batch)
        self.assertEqual(json.loads(spans["transform"].attributes["millrace.job.arguments"])["batch"], int(batch))
        self.assertEqual(spans[ingest].attributes["millrace.workspace"], "default")
        self.assertEqual(answer["stored"], 2)

    def test_a_large_request_is_one_trace(self):
        trace = Trace()
        trace.send("followed_large", "".join(f'{{"n":{n},"text":"{"x" * 90}"}}\n' for n in range(60_000)))
        def complete(_):
            found = collector.of(trace.id)
            names = [span.name for span in found]
            return found if "POST /v1/ingest/{source}" in names and names.count("load") == names.count(
                "transform") > 0 else None
        spans = collector.wait(complete)
        root = next(span for span in spans if span.name == "POST /v1/ingest/{source}")
        transforms = {span.id for span in spans if span.name == "transform"}
        self.assertEqual({span.parent for span in spans if span.name == "transform"}, {root.id})
        self.assertLessEqual({span.parent for span in spans if span.name == "load"}, transforms)

    def test_what_a_request_starts_is_in_its_trace(self):
        first = Trace()
        first.send("replayed", '{"n":1}\n{"n":2}\n')
        batch = platform.must("POST", "/v1/query", json.dumps({"sql": "select _batch from replayed limit 1"}))
        asked = Trace()
        status, answer = request(
            "POST", "/v1/pipelines/replayed/replay", json.dumps({"batches": [str(batch["rows"][0][0])]}),
            {"Content-Type": "application/json", **asked.headers})
        self.assertEqual(status, 202, answer)
        run = json.loads(answer)["run"]
        wait_for("the run", lambda: platform.must("GET", f"/v1/runs/{run}")["state"] == "succeeded")
        spans = asked.wait("POST /v1/pipelines/{name}/replay", "run.replay", "replace")
        ids = {span.id for span in spans} | {asked.span}
        self.assertEqual([span for span in spans if span.parent not in ids], [], "each follows from one of the others")
        self.assertEqual({span.service for span in spans}, {"millrace-transform", "millrace-store"})

    def test_a_rollup_goes_on_in_the_trace_that_woke_it(self):
        record = '{"at":"2026-01-01T00:00:00Z","n":1}\n'
        Trace().send("rolled", record)
        platform.must("PUT", "/v1/rollups/rolled", json.dumps({
            "dataset": "rolled", "time": {"column": "at", "grain": "hour"}, "measures": {"hits": "count()"}}))
        wait_for("the rollup", lambda: platform.must("GET", "/v1/rollups/rolled")["state"] == "ready")
        # A step that waits already, of another trace or none, does this one's work too.
        wait_for("its steps", lambda: platform.sql("select count(*) from queue.ready where lane / 2 = (select id from "
                                                   "queue.queue where name = 'analytics')") == "0")
        trace = Trace()
        trace.send("rolled", record)
        spans = {span.name: span for span in trace.wait("load", "rollup")}
        self.assertEqual(spans["rollup"].service, "millrace-analytics")
        self.assertEqual(spans["rollup"].parent, spans["load"].id)

    def test_requests_that_share_a_batch_are_linked(self):
        traces = [Trace() for _ in range(32)]
        threads = [threading.Thread(target=trace.send, args=("shared", '{"n":1}\n')) for trace in traces]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ids = {trace.id for trace in traces}
        lands = collector.wait(lambda spans: (
            found if len(found := [s for s in spans if s.name == "land" and s.trace in ids]) == len(ids) else None))
        batches = {span.attributes["millrace.batch.id"] for span in lands}
        self.assertLess(len(batches), len(ids), "no two requests shared a batch")
        for batch in batches:
            members = [span for span in lands if span.attributes["millrace.batch.id"] == batch]
            first = next(span for span in members if all(
                (span.trace, span.id) in other.links for other in members if other is not span))
            self.assertEqual({trace for trace, _ in first.links},
                             {other.trace for other in members if other is not first})
            self.assertEqual(first.attributes["millrace.batch.requests"], len(members))
            # What becomes of the batch goes on in the first one's trace.
            names = collector.wait(lambda spans, trace=first.trace: (
                found if {"transform", "load"} <= set(
                    found := {span.name: span for span in spans if span.trace == trace}) else None))
            load, transform = names["load"], names["transform"]
            self.assertEqual((load.parent, transform.parent), (transform.id, first.id))

    def test_what_a_client_does_not_record_is_not(self):
        quiet, loud = Trace(recorded=False), Trace()
        quiet.send("quiet", '{"n":1}\n')
        loud.send("quiet", '{"n":2}\n')
        loud.wait("load")
        self.assertEqual(collector.of(quiet.id), [])
        found = platform.sql(f"select count(*) from millrace.batch where trace like '00-{quiet.id}-%-00'")
        self.assertEqual(found, "1", "the ledger has its trace all the same")

    def test_a_collector_that_hangs_holds_up_no_request(self):
        collector.hangs.set()
        try:
            began = time.monotonic()
            for _ in range(50):
                Trace().send("unhurried", '{"n":1}\n', query="")
            self.assertLess(time.monotonic() - began, 20)
        finally:
            collector.hangs.clear()
            collector.goes_on.set()


class AccessLogTests(unittest.TestCase):
    def lines(self, service, request_id):
        text = (platform.home / "log" / service / "current").read_bytes()
        lines = [json.loads(line) for line in text.splitlines() if request_id.encode() in line]
        return [line for line in lines if line["message"] == "request.answered"]

    def logged(self, service, request_id):
        return wait_for("a line in the log", lambda: self.lines(service, request_id), 20)[0]

    def test_a_line_a_request_names_who_and_what_and_nothing_secret(self):
        request_id, trace = secrets.token_hex(8), Trace(recorded=False)
        body = '{"card":"4111-1111-1111-1111"}\n'
        status, answer = request("POST", "/v1/ingest/logged?wait=stored&timeout=30s", body, {
            "Content-Type": NDJSON, "X-Request-Id": request_id, "Idempotency-Key": "key-4242", **trace.headers})
        self.assertEqual(status, 200)
        line = self.logged("ingest", request_id)
        self.assertEqual(
            (line["http.method"], line["http.path"], line["http.route"], line["http.status"]),
            ("POST", "/v1/ingest/logged", "/v1/ingest/{source}", 200))
        self.assertEqual((line["http.received"], line["http.sent"]), (len(body), len(answer)))
        self.assertEqual((line["trace.id"], line["workspace"], line["key.id"]), (trace.id, "default", "1"))
        self.assertEqual(line["client.address"], "127.0.0.1")
        self.assertGreater(line["http.seconds"], 0)
        for service in SERVICES:
            for file in (platform.home / "log" / service).iterdir():
                if file.name == "lock" or not file.is_file():
                    continue
                text = file.read_bytes()
                for secret in (platform.key.encode(), b"4111-1111", b"key-4242", b"timeout=30s"):
                    self.assertNotIn(secret, text, file)

    def test_no_request_makes_a_line_that_is_none(self):
        request_id = secrets.token_hex(8)
        path = '/v1/sources/x%0a{"message":"forged"}","http.status":999'
        with socket.create_connection(("127.0.0.1", platform.port_of("ingest"))) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: {request_id}\r\n"
                "X-Forwarded-For: 1.2.3.4\",\"a\":\"b\r\n"
                "User-Agent: \"},{\r\nConnection: close\r\n\r\n".encode())
            while connection.recv(65536):
                pass
        for line in self.lines("ingest", request_id) or []:
            self.assertNotEqual(line["http.status"], 999)
            self.assertNotIn("a", line)
        # The last one may be half written.
        for raw in (platform.home / "log/ingest/current").read_bytes().split(b"\n")[:-1]:
            self.assertIsInstance(json.loads(raw), dict)


class ReadinessTests(unittest.TestCase):
    def test_each_check_is_told_of(self):
        for service in SERVICES:
            status, body = request("GET", "/readyz", port=platform.port_of(service))
            self.assertEqual(status, 200, body)
            checks = {check["check"]: check["status"] for check in json.loads(body)["checks"]}
            self.assertLessEqual({"database", "pool", "migrations"}, set(checks), service)
            self.assertEqual(set(checks.values()), {"ok"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
