"""The compose file, the container file and the Kubernetes manifests: they parse, fit each other and fit the code."""

import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent))
from testbed import REPOSITORY, SERVICES

DEPLOY = REPOSITORY / "deploy"
PORTS = {"ingest": 8081, "transform": 8082, "store": 8083, "analytics": 8084, "gateway": 8080}


def settings_that_are_read():
    """Every setting that a service's Swift code names."""
    found = set()
    for folder in ("Shared", "Services"):
        for path in (REPOSITORY / folder).rglob("*.swift"):
            found.update(re.findall(r'"(MILLRACE_[A-Z_]+|DATABASE_URL)', path.read_text()))
    return found


class ReadmeTests(unittest.TestCase):
    def test_it_names_every_setting_and_only_files_that_are_there(self):
        text = (REPOSITORY / "README.md").read_text()
        for setting in settings_that_are_read() - {"MILLRACE_LISTEN_PORT"}:
            self.assertIn(f"`{setting}`", text)
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            if "://" not in target:
                self.assertTrue((REPOSITORY / target).exists(), target)

    def test_it_names_every_default_of_the_code(self):
        text = (REPOSITORY / "README.md").read_text()
        rows = set()
        for path in (REPOSITORY / "Services").rglob("*Configuration.swift"):
            rows.update(re.findall(r"^/// \| `(MILLRACE_[A-Z_]+)` \| ([^|]+) \|", path.read_text(), re.M))
        self.assertGreater(len(rows), 10)
        for name, default in rows:
            self.assertIn(f"`{name}` | {default} |", text)


class ComposeTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.compose = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
        cls.containerfile = (DEPLOY / "Containerfile").read_text()

    def test_compose_accepts_it(self):
        for command in (["docker", "compose"], ["docker-compose"]):
            if shutil.which(command[0]) and subprocess.run(
                    [*command, "version"], capture_output=True, check=False).returncode == 0:
                done = subprocess.run([*command, "-f", "compose.yaml", "config", "-q"], cwd=REPOSITORY,
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_it_refers_to_is_there(self):
        services = self.compose["services"]
        self.assertLessEqual({*SERVICES, "gateway", "postgres", "migrate"}, set(services))
        targets = set(re.findall(r"^FROM \S+ AS (\S+)$", self.containerfile, re.M))
        for name, service in services.items():
            for needed in service.get("depends_on", {}):
                self.assertIn(needed, services, name)
            if "build" in service:
                self.assertTrue((REPOSITORY / service["build"]["dockerfile"]).exists(), name)
                self.assertIn(service["build"]["target"], targets, name)
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                known = (REPOSITORY / source).exists() if "/" in source else source in self.compose["volumes"]
                self.assertTrue(known, f"{name}: {volume}")
            self.assertNotIn("privileged", service)

    def test_commands_and_settings_are_those_of_the_services(self):
        read = settings_that_are_read()
        for name, service in self.compose["services"].items():
            for setting in service.get("environment", {}):
                if setting.startswith(("MILLRACE_", "DATABASE_")):
                    self.assertIn(setting.removesuffix("_FILE"), read, name)
        self.assertEqual(self.compose["services"]["migrate"]["command"], ["migrate"])
        for name in SERVICES:
            stage = self.containerfile.split(f" AS {name}\n")[1].split("\nFROM")[0]
            self.assertIn(f'ENTRYPOINT ["/usr/local/bin/millrace-{name}"]', stage)
            self.assertIn(f"EXPOSE {PORTS[name]}", stage)
            address = self.compose["services"]["gateway"]["environment"][f"GATEWAY_{name.upper()}"]
            self.assertEqual(address, f"{name}:{PORTS[name]}")

    def test_copied_files_exist(self):
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", self.containerfile, re.M):
            for source in sources.split():
                self.assertTrue((REPOSITORY / source).exists(), source)

    def test_secrets_are_made_once(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, "services"), Path(folder, "password")]
            for path in paths:
                path.mkdir()
            seen = []
            for _ in range(2):
                subprocess.run([DEPLOY / "secrets", *paths], check=True)
                seen.append({path.name: path.read_text() for where in paths for path in where.iterdir()})
            self.assertEqual(seen[0], seen[1])
            self.assertRegex(seen[0]["admin-key"], r"^mr_[A-Za-z0-9_-]{43}$")
            self.assertIn(f"millrace:{seen[0]['password']}@postgres:5432/millrace", seen[0]["database-url"])

    def test_the_gateways_start_makes_a_sound_configuration(self):
        with tempfile.TemporaryDirectory() as folder:
            environment = {f"GATEWAY_{name.upper()}": f"127.0.0.1:{PORTS[name]}" for name in SERVICES}
            done = subprocess.run(
                [DEPLOY / "gateway/start", "-t"], capture_output=True, text=True, check=False,
                env={"PATH": "/usr/bin:/bin", "TMPDIR": folder, **environment})
            self.assertIn("test is successful", done.stderr)


class KubernetesTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.resources = {}
        for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
            if path.name == "kustomization.yaml":
                continue
            for resource in yaml.safe_load_all(path.read_text()):
                cls.resources[resource["kind"], resource["metadata"]["name"]] = resource

    def pods(self):
        for (kind, name), resource in self.resources.items():
            if kind in ("Deployment", "StatefulSet", "Job"):
                yield name, resource["spec"]["template"]["spec"]

    def test_every_file_is_in_a_kustomization(self):
        for folder in (DEPLOY / "kubernetes/base", *(DEPLOY / "kubernetes/overlays").iterdir()):
            listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
            for path in folder.glob("*.yaml"):
                if path.name != "kustomization.yaml":
                    self.assertIn(path.name, listed)
            for entry in listed:
                self.assertTrue((folder / entry).exists(), entry)

    def test_ports_settings_and_commands_are_those_of_the_services(self):
        read = settings_that_are_read()
        for setting in self.resources["ConfigMap", "millrace-settings"]["data"]:
            self.assertIn(setting.removesuffix("_FILE"), read)
        for name, port in PORTS.items():
            pod = self.resources["Deployment", name]["spec"]["template"]["spec"]
            container = pod["containers"][0]
            self.assertEqual(container["image"], f"millrace-{name}")
            self.assertEqual(container["ports"][0]["containerPort"], port)
            self.assertEqual(self.resources["Service", name]["spec"]["ports"][0]["port"], port)
            self.assertIn(str(port), [entry["value"] for entry in container["env"]])
            for entry in container["env"]:
                if entry["name"].startswith("MILLRACE_"):
                    self.assertRegex(entry["name"], f"^MILLRACE_{name.upper()}_PORT$")
            self.assertIn(("PodDisruptionBudget", name), self.resources)
        migrate = self.resources["Job", "migrate"]["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual((migrate["image"], migrate["args"]), ("millrace-store", ["migrate"]))

    def test_every_pod_is_restricted(self):
        for name, pod in self.pods():
            self.assertTrue(pod["securityContext"]["runAsNonRoot"], name)
            self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"}, name)
            self.assertIs(pod["automountServiceAccountToken"], False, name)
            for container in pod["containers"]:
                context = container["securityContext"]
                self.assertIs(context["allowPrivilegeEscalation"], False, name)
                self.assertIs(context["readOnlyRootFilesystem"], True, name)
                self.assertEqual(context["capabilities"], {"drop": ["ALL"]}, name)
                self.assertLessEqual({"cpu", "memory"}, set(container["resources"]["limits"]), name)

    def test_the_network_is_closed_by_default(self):
        policy = self.resources["NetworkPolicy", "default-deny"]["spec"]
        self.assertEqual(policy, {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})

    @unittest.skipUnless((REPOSITORY / ".build/kubernetes-validate").exists() and shutil.which("kubectl"),
                         "make lint-kubernetes has not been run here")
    def test_the_schemas_accept_them(self):
        done = subprocess.run([DEPLOY / "kubernetes/lint"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
