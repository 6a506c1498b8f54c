"""The alert rules and the dashboard by themselves; what runs is held against them in EndToEndTests."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent))
from testbed import REPOSITORY, SERVICES, five_free_ports

FOLDER = REPOSITORY / "deploy/observability"
DOCUMENT = REPOSITORY / "deploy/docs/observability.md"


def alerts():
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text())
    return [rule for group in rules["groups"] for rule in group["rules"]]


class RulesTests(unittest.TestCase):
    def promtool(self, *arguments):
        done = subprocess.run(["promtool", *arguments], cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_promtool_takes_the_configuration_and_the_rules(self):
        self.assertIn("SUCCESS", self.promtool("check", "config", "prometheus.yml"))
        self.assertIn(f"SUCCESS: {len(alerts())} rules found", self.promtool("check", "rules", "alerts.yml"))

    def test_each_alert_fires_when_it_should(self):
        self.promtool("test", "rules", "alerts_test.yml")
        cases = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
        fired = {case["alertname"] for test in cases for case in test["alert_rule_test"] if case["exp_alerts"]}
        self.assertEqual(fired, {rule["alert"] for rule in alerts()})

    def test_each_alert_says_how_grave_it_is_and_is_explained(self):
        text = DOCUMENT.read_text()
        for rule in alerts():
            self.assertIn(rule["labels"]["severity"], ("critical", "warning"), rule["alert"])
            self.assertTrue(rule["annotations"]["summary"], rule["alert"])
            self.assertIn(f"`{rule['alert']}`", text)
        named = set(re.findall(r"`(Millrace[A-Za-z]+)`", text))
        self.assertEqual(named, {rule["alert"] for rule in alerts()}, "the document names no others")


class LogTests(unittest.TestCase):
    """What the document asks of the logs is answered from the services', PostgreSQL's plain text beside them."""

    def test_each_example_passes_over_what_is_no_json(self):
        line = {"ts": "2026-01-01T00:00:00Z", "service": "store", "key.id": "2", "http.status": 504,
                "http.path": "/v1/a", "http.route": "/v1/a", "http.seconds": 1.5, "request.id": "018f3c",
                "client.address": "203.0.113.7"}
        text = "2026-01-01 00:00:00.000 UTC [1] LOG:  database system is ready\n\n"
        for more in ({"message": "request.answered"},
                     {"message": "audit", "audit.result": "refused", "audit.action": "x"}):
            text += json.dumps(line | more) + "\n"
        blocks = re.findall(r"^```sh\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
        commands = [command for block in blocks for command in re.split(r"^#.*\n", block, flags=re.M)
                    if "jq " in command]
        self.assertGreater(len(commands), 3)
        with tempfile.TemporaryDirectory() as folder:
            for name in ("gateway", "postgres", "store"):
                path = Path(folder, ".millrace/log", name)
                path.mkdir(parents=True)
                (path / "current").write_text(text)
            for command in commands:
                done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, capture_output=True,
                                      text=True, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""), command)
                self.assertGreaterEqual(len(done.stdout.splitlines()), 1, command)


class KubernetesTests(unittest.TestCase):
    """What is scraped by the pods' annotations is what the rules go by."""

    def test_all_but_the_gateway_are_scraped_and_say_their_service(self):
        found = {}
        for path in sorted((REPOSITORY / "deploy/kubernetes/base").glob("*.yaml")):
            for one in yaml.safe_load_all(path.read_text()):
                if one["kind"] == "Deployment":
                    found[one["metadata"]["name"]] = one["spec"]["template"]
        self.assertEqual(len(found), 8)
        for name, template in found.items():
            annotations, labels = template["metadata"].get("annotations", {}), template["metadata"]["labels"]
            if name == "gateway":
                self.assertNotIn("prometheus.io/scrape", annotations)
                continue
            self.assertEqual(annotations["prometheus.io/scrape"], "true", name)
            self.assertEqual(labels["service"], name.removesuffix("-worker"))
            [port] = template["spec"]["containers"][0]["ports"]
            self.assertEqual((port["name"], str(port["containerPort"])), ("http", annotations["prometheus.io/port"]))

    def test_the_scrape_goes_by_labels_that_there_are(self):
        [job] = yaml.safe_load((FOLDER / "kubernetes.yml").read_text())["scrape_configs"]
        self.assertEqual(job["job_name"], "millrace")
        known = {"__meta_kubernetes_pod_annotation_prometheus_io_scrape", "__meta_kubernetes_pod_container_port_name",
                 "__meta_kubernetes_pod_label_service", "__meta_kubernetes_pod_name"}
        self.assertEqual({label for rule in job["relabel_configs"] for label in rule["source_labels"]}, known)
        # Debian's promtool knows no Kubernetes; the rest of the job it does.
        job["static_configs"] = [{"targets": ["127.0.0.1:1"]}]
        self.assertEqual(job.pop("kubernetes_sd_configs"), [{"role": "pod", "namespaces": {"names": ["millrace"]}}])
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.safe_dump({"scrape_configs": [job]}, file)
            file.flush()
            subprocess.run(["promtool", "check", "config", file.name], check=True, stdout=subprocess.DEVNULL)

    def test_no_rule_rests_on_a_jobs_name_alone(self):
        for rule in alerts():
            if "job=" in rule["expr"]:
                self.assertIn("on (job, instance) last_over_time(millrace_build_info", rule["expr"], rule["alert"])


class TenantTests(unittest.TestCase):
    """`MillraceErrors` is critical: it counts no route whose 5xx may be a tenant's own doing."""

    BINARIES = Path(os.environ.get("BENCH_BINARIES", REPOSITORY / ".build/debug"))

    def operations(self):
        """(path, operation) of all services, which need no database to show their documents."""
        first = five_free_ports()
        for number, service in enumerate(SERVICES):
            environment = {"PATH": "/usr/bin:/bin", "MILLRACE_LISTEN_PORT": str(first + number),
                           "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{first + 4}/nothing"}
            process = subprocess.Popen([self.BINARIES / f"millrace-{service}"], env=environment,
                                       stderr=subprocess.DEVNULL)
            try:
                document = self.document(first + number, process)
            finally:
                process.terminate()
                process.wait(60)
            for path, item in document["paths"].items():
                yield from ((path, one) for one in item.values() if isinstance(one, dict))

    def document(self, port, process):
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=10) as answer:
                    return json.load(answer)
            except OSError:
                self.assertIsNone(process.poll(), "it has ended")
                self.assertLess(time.monotonic(), deadline, "no answer")
                time.sleep(0.05)

    def test_what_tenants_bring_about_is_left_out(self):
        [errors] = [rule["expr"] for rule in alerts() if rule["alert"] == "MillraceErrors"]
        left_out = set(re.findall(r'route!~"([^"]+)"', errors))
        theirs, counted = set(), set()
        for path, operation in self.operations():
            answers = operation["responses"]
            if not any(re.fullmatch(pattern, path) for pattern in left_out):
                counted.add(path)
            if "504" in answers or "receipt_failed" in answers.get("500", {}).get("description", ""):
                theirs.add(path)
        self.assertLessEqual({"/v1/query", "/v1/ingest/{source}", "/v1/datasets/{name}/rows"}, theirs)
        self.assertEqual(theirs & counted, set())
        self.assertLessEqual({"/v1/receipts/{id}", "/v1/datasets/{name}", "/v1/keys", "/v1/runs/{id}", "/v1/session",
                              "/v1/sources/{source}", "/v1/jobs/{id}"}, counted)


class DashboardTests(unittest.TestCase):
    def setUp(self):
        self.dashboard = json.loads((FOLDER / "grafana/millrace.json").read_text())

    def test_panels_have_titles_places_and_queries_of_their_own(self):
        places = set()
        ids = [panel["id"] for panel in self.dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        for panel in self.dashboard["panels"]:
            self.assertTrue(panel["title"])
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), places, panel["title"])
                    places.add((x, y))
            if panel["type"] != "row":
                self.assertTrue(panel["targets"], panel["title"])
                self.assertTrue(all(target["expr"] for target in panel["targets"]))

    def test_it_names_no_data_source_of_one_installation(self):
        sources = re.findall(r'"uid": "([^"]*)"', (FOLDER / "grafana/millrace.json").read_text())
        self.assertEqual(set(sources), {"${source}", "millrace"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
