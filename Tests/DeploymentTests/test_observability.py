"""The alert rules and the dashboard by themselves; what runs is held against them in EndToEndTests."""

import json
import re
import subprocess
import unittest
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
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
