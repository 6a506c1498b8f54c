"""What the pods ask of PostgreSQL in all, held against what it has: connections, and landing's share of the volume."""

import re
import sys
import unittest
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent))
from testbed import REPOSITORY

KUBERNETES = REPOSITORY / "deploy/kubernetes"
sys.path.insert(0, str(KUBERNETES))
import render  # noqa: E402

OPERATIONS = (REPOSITORY / "deploy/docs/operations.md").read_text()
# Of max_connections, kept for superusers by PostgreSQL's default.
RESERVED = 3
# KEDA keeps one a ScaledObject.
SCALERS = 3
UNITS = {"Gi": 1 << 30, "GiB": 1 << 30, "Mi": 1 << 20, "MiB": 1 << 20}


def octets(text):
    number, unit = re.fullmatch(r"(\d+)([A-Za-z]+)", text).groups()
    return int(number) * UNITS[unit]


def default(setting):
    """What the README says of a setting that is not set."""
    return re.search(rf"`{setting}` \| `?([\w.]+)`? \|", (REPOSITORY / "README.md").read_text())[1]


def beyond_the_pool():
    """{process: connections}, as operations.md has them; the slots of analytics stand apart."""
    rows = re.findall(r"^\| ([a-z]+(?:-worker)?) \| (\d+)(?: and `MILLRACE_QUERY_TOTAL_SLOTS`)? \| [a-z]", OPERATIONS, re.M)
    return {name: int(number) for name, number in rows}


class Overlay:
    def __init__(self, name):
        self.found = {(one["kind"], one["metadata"]["name"]): one
                      for one in render.render(KUBERNETES / "overlays" / name)}
        self.settings = self.found["ConfigMap", "millrace-settings"]["data"]

    def setting(self, name):
        return self.settings.get(name) or default(name)

    def pods(self):
        """{process: how many there may be at most}, those that connect to PostgreSQL."""
        found = {}
        for (kind, name), one in self.found.items():
            if kind == "Deployment" and name != "gateway":
                scaled = self.found.get(("ScaledObject", name))
                found[name] = scaled["spec"]["maxReplicaCount"] if scaled else one["spec"].get("replicas", 1)
        return found

    def surge(self, name):
        strategy = self.found["Deployment", name]["spec"]["strategy"]["rollingUpdate"]
        assert strategy["maxUnavailable"] == 0
        return strategy["maxSurge"]

    def connections(self, process):
        own = int(self.setting("MILLRACE_POOL_SIZE")) + beyond_the_pool()[process]
        return own + (int(self.setting("MILLRACE_QUERY_TOTAL_SLOTS")) if process == "analytics" else 0)

    def total(self):
        """At most: all pods, with the two of the leaders and the one of migrate."""
        return sum(count * self.connections(name) for name, count in self.pods().items()) + 3

    def rollout(self):
        """What comes on top while all Deployments are replaced."""
        return sum(self.surge(name) * self.connections(name) for name in self.pods())


class CapacityTests(unittest.TestCase):
    def test_the_document_knows_every_process_and_its_parts(self):
        self.assertEqual(set(beyond_the_pool()), set(Overlay("production").pods()))
        exports = (REPOSITORY / "Services/Store/Routes/ExportRoute.swift").read_text()
        [limit] = re.findall(r"static let limit = (\d+)", exports)
        self.assertEqual(beyond_the_pool()["store"], 1 + int(limit), "wake-ups and exports")

    def test_connections_suffice(self):
        [example] = [one for one in yaml.safe_load_all((KUBERNETES / "examples/cloudnative-pg.yaml").read_text())
                     if one["kind"] == "Cluster"]
        conf = (REPOSITORY / "deploy/postgres/millrace.conf").read_text()
        allowed = {"production": int(example["spec"]["postgresql"]["parameters"]["max_connections"]),
                   "dev": int(re.search(r"^max_connections = (\d+)", conf, re.M)[1])}
        for name, most in allowed.items():
            overlay = Overlay(name)
            scalers = SCALERS if any(kind == "ScaledObject" for kind, _ in overlay.found) else 0
            total, rollout = overlay.total(), overlay.rollout()
            with self.subTest(name, total=total, rollout=rollout):
                self.assertLessEqual(total + rollout + scalers + RESERVED, most)
                # The document has the same sum.
                self.assertIn(f"| {name} | {total} | {rollout} | {scalers + RESERVED} | {most} |", OPERATIONS)

    def test_one_of_each_fits_into_what_is_delivered(self):
        beyond, pool = beyond_the_pool(), int(default("MILLRACE_POOL_SIZE"))
        # Both roles in one process share the pool and the wake-ups.
        both = {name: beyond[name] + beyond[f"{name}-worker"] - 1 for name in ("transform", "store", "analytics")}
        total = pool + beyond["ingest"] + sum(pool + more for more in both.values())
        total += int(default("MILLRACE_QUERY_TOTAL_SLOTS")) + 2
        self.assertIn(f"at most {total}:", OPERATIONS)
        self.assertLessEqual(total + 1 + RESERVED, 120)

    def test_landing_leaves_room_on_the_volumes(self):
        dev = Overlay("dev")
        [claim] = dev.found["StatefulSet", "postgres"]["spec"]["volumeClaimTemplates"]
        [example] = [one for one in yaml.safe_load_all((KUBERNETES / "examples/cloudnative-pg.yaml").read_text())
                     if one["kind"] == "Cluster"]
        for overlay, size in ((dev, claim["spec"]["resources"]["requests"]["storage"]),
                              (Overlay("production"), example["spec"]["storage"]["size"])):
            self.assertLessEqual(octets(overlay.setting("MILLRACE_LANDING_MAX_BYTES")) * 2, octets(size))


if __name__ == "__main__":
    unittest.main(verbosity=2)
