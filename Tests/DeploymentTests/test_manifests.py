"""The compose file, the container file and the Kubernetes manifests: they parse, fit each other and fit the code."""

import os
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
# Services that work on a queue, and how few workers there may be.
WORKERS = {"transform": 0, "store": 1, "analytics": 1}


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
        stages = {path: set(re.findall(r"^FROM \S+ AS (\S+)$", (REPOSITORY / path).read_text(), re.M))
                  for path in ("deploy/Containerfile", "deploy/postgres/Containerfile")}
        for name, service in services.items():
            for needed in service.get("depends_on", {}):
                self.assertIn(needed, services, name)
            if "build" in service:
                self.assertIn(service["build"]["target"], stages[service["build"]["dockerfile"]], name)
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                known = (REPOSITORY / source).exists() if "/" in source else source in self.compose["volumes"]
                self.assertTrue(known, f"{name}: {volume}")
            self.assertNotIn("privileged", service)

    def test_every_container_is_confined_and_waits_for_what_it_needs(self):
        services = self.compose["services"]
        for name, service in services.items():
            self.assertIs(service["read_only"], True, name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertEqual(service["security_opt"], ["no-new-privileges:true"], name)
            # No secret is a variable.
            for setting in service.get("environment", {}):
                # Where an issuer's public keys are is no secret.
                self.assertNotRegex(setting, "(PASSWORD|_KEY|(?<!_KEYS)_URL)$", name)
        conditions = {name: {needed: how["condition"] for needed, how in service.get("depends_on", {}).items()}
                      for name, service in services.items()}
        self.assertEqual(conditions["postgres"], {"secrets": "service_completed_successfully"})
        self.assertEqual(conditions["migrate"], {"postgres": "service_healthy"})
        for name in SERVICES:
            self.assertEqual(conditions[name], {"migrate": "service_completed_successfully"})
        self.assertEqual(conditions["gateway"], dict.fromkeys(SERVICES, "service_healthy"))
        self.assertEqual(services["demo"]["profiles"], ["demo"])

    def test_commands_and_settings_are_those_of_the_services(self):
        read = settings_that_are_read()
        starts = {"postgres": (DEPLOY / "postgres/start").read_text()}
        for name, service in self.compose["services"].items():
            for setting in service.get("environment", {}):
                if setting.startswith(("MILLRACE_", "DATABASE_")):
                    self.assertIn(setting.removesuffix("_FILE"), starts.get(name, read), name)
        self.assertEqual(self.compose["services"]["migrate"]["command"], ["migrate"])
        for name in SERVICES:
            stage = self.containerfile.split(f" AS {name}\n")[1].split("\nFROM")[0]
            self.assertIn(f'ENTRYPOINT ["/usr/local/bin/millrace-{name}"]', stage)
            self.assertIn(f'CMD ["/usr/local/bin/millrace-{name}", "health"]', stage)
            self.assertIn(f"EXPOSE {PORTS[name]}", stage)
            address = self.compose["services"]["gateway"]["environment"][f"GATEWAY_{name.upper()}"]
            self.assertEqual(address, f"{name}:{PORTS[name]}")

    def variables(self, service, **given):
        """What a service's container has in its environment when compose has `given` in its own."""
        def put(match):
            name, default = match.groups()
            return given.get(name) or default
        return {name: re.sub(r"\$\{([A-Z_]+):-([^}]*)\}", put, str(value))
                for name, value in self.compose["services"][service]["environment"].items()}

    def complaints(self, service, **given):
        """The settings that a service's binary finds wrong with what compose gives it: {name: what it says}."""
        # Without the file of the database's URL nothing is started, whatever the others are.
        environment = {"PATH": "/usr/bin:/bin", **self.variables(service, **given)}
        done = subprocess.run([ImagePackageTests.BINARIES / f"millrace-{service}"], env=environment, text=True,
                              stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(done.returncode, 78, done.stderr)
        said = dict(re.findall(rf"^millrace-{service}: ([A-Z_]+) (.*)$", done.stderr, re.M))
        # There is no such file here.
        self.assertIn("DATABASE_URL_FILE", said)
        return {setting: text for setting, text in said.items() if setting != "DATABASE_URL_FILE"}

    def test_what_it_takes_over_goes_to_the_setting_of_the_same_name(self):
        header = "".join(re.findall(r"^#.*\n", (REPOSITORY / "compose.yaml").read_text(), re.M))
        documents = "".join(path.read_text() for path in (REPOSITORY / "README.md", DEPLOY / "docs/observability.md"))
        documents = documents.replace("`OTEL_EXPORTER_OTLP_HEADERS`, `…_FILE`", "`OTEL_EXPORTER_OTLP_HEADERS_FILE`")
        for name, service in self.compose["services"].items():
            for setting, value in service.get("environment", {}).items():
                for taken in re.findall(r"\$\{([A-Z_]+)", str(value)):
                    self.assertEqual(setting, taken, name)
                    self.assertIn(f"`{taken}`", documents, name)
        services = self.compose["services"].values()
        labels = "".join(self.compose["x-labels"].values())
        for taken in set(re.findall(r"\$\{([A-Z_]+)", (REPOSITORY / "compose.yaml").read_text())):
            in_services = any(taken in service.get("environment", {}) for service in services)
            self.assertTrue(in_services or "${" + taken in labels or taken in header, taken)

    def test_what_the_documents_tell_to_set_is_passed_on(self):
        """Each setting that operations and observability speak of, but for what compose itself decides."""
        text = "".join((DEPLOY / f"docs/{name}.md").read_text() for name in ("operations", "observability"))
        told = set(re.findall(r"\b(?:MILLRACE|OTEL)_[A-Z_]*[A-Z]\b", text)) & {
            *re.findall(r"`([A-Z_]+)`", (REPOSITORY / "README.md").read_text()), *re.findall(r"`(OTEL_[A-Z_]+)`", text)}
        decided = {
            # A secret is a file, one way to say it is enough, each service has its name, clients come by the gateway.
            "MILLRACE_ADMIN_KEY", "MILLRACE_POOLER_URL", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_SERVICE_NAME", "MILLRACE_TLS_CERTIFICATE", "MILLRACE_TRUSTED_PROXIES",
            # Of make run; of the container of PostgreSQL; what stop_grace_period is for.
            "MILLRACE_POSTGRES_PROCESS_MEMORY", "MILLRACE_DRAIN",
        }
        self.assertGreater(len(told - decided), 20)
        for name in SERVICES:
            passed = self.compose["services"][name]["environment"]
            for setting in told - decided:
                self.assertTrue(str(passed.get(setting)).startswith("${" + setting + ":-"), f"{name}: {setting}")

    def test_all_that_is_read_about_tokens_and_the_audit_log_is_passed_on(self):
        text = (REPOSITORY / "Shared/Platform/AccessPolicy.swift").read_text()
        read = set(re.findall(r'"(MILLRACE_[A-Z_]+)"', text))
        self.assertEqual(read, set(re.findall(r"^ +/// \| `(MILLRACE_[A-Z_]+)` \|", text, re.M)))
        self.assertGreater(len(read), 8)
        for name in SERVICES:
            passed = {setting: value for setting, value in self.compose["services"][name]["environment"].items()
                      if setting.startswith(("MILLRACE_JWT_", "MILLRACE_AUDIT_"))}
            self.assertEqual(set(passed), read, name)
            for setting, value in passed.items():
                self.assertTrue(value.startswith("${" + setting + ":-"), f"{setting}: {value}")

    def test_each_service_takes_what_it_is_given_and_looks_at_it(self):
        wrong = {
            "MILLRACE_ROLE": "cook", "MILLRACE_LOG_LEVEL": "loud", "MILLRACE_OTLP_ENDPOINT": "nowhere",
            "MILLRACE_JWT_NETWORKS": "10.0.0.1/8", "MILLRACE_JWT_LEEWAY": "soon", "MILLRACE_JWT_WORKSPACE": "No-Name",
            "MILLRACE_AUDIT_LOG": "some", "MILLRACE_ACCESS_LOG": "perhaps", "OTEL_TRACES_SAMPLER_ARG": "2",
            "MILLRACE_POOL_SIZE": "none", "MILLRACE_STATEMENT_TIMEOUT": "long", "MILLRACE_LOOP_WATCH": "often",
        }
        tokens = {"MILLRACE_JWT_ISSUER": "https://login.example", "MILLRACE_JWT_AUDIENCE": "millrace",
                  "MILLRACE_JWT_KEYS_URL": "https://login.example/keys"}
        for name in SERVICES:
            with self.subTest(service=name):
                self.assertEqual(self.complaints(name), {})
                self.assertEqual(set(self.complaints(name, **wrong)), set(wrong))
                for setting, value in tokens.items():
                    self.assertEqual(set(self.complaints(name, **{setting: value})), set(tokens) - {setting})
                self.assertEqual(set(self.complaints(name, **tokens)), {"MILLRACE_JWT_WORKSPACE"})
                inside = tokens | {"MILLRACE_JWT_KEYS_URL": "http://10.1.2.3/keys"}
                for choice in ("MILLRACE_JWT_WORKSPACE", "MILLRACE_JWT_WORKSPACE_CLAIM"):
                    self.assertEqual(self.complaints(name, **tokens, **{choice: "tenant"}), {})
                    self.assertEqual(set(self.complaints(name, **inside, **{choice: "tenant"})),
                                     {"MILLRACE_JWT_KEYS_URL"})
                    self.assertEqual(self.complaints(
                        name, **inside, MILLRACE_JWT_NETWORKS="10.0.0.0/8", **{choice: "tenant"}), {})

    def test_images_that_compose_builds_have_the_labels_of_the_others(self):
        prefix = "org.opencontainers.image."
        built = {"MILLRACE_REVISION": "0123abc", "MILLRACE_CREATED": "2026-01-02T03:04:05+00:00"}
        places = {"MILLRACE_URL": "https://one.example", "MILLRACE_SOURCE": "https://two.example",
                  "MILLRACE_DOCUMENTATION": "https://three.example"}
        known = {prefix + name for name in ("version", "revision", "created", "base.name")}
        for given in ({}, built, built | places):
            environment = {"PATH": os.environ["PATH"], **given}
            done = subprocess.run([DEPLOY / "images/labels", "debian:bookworm-slim"], check=True, text=True,
                                  stdout=subprocess.PIPE, env=environment)
            labels = dict(line.split("=", 1) for line in done.stdout.splitlines())
            # Where the project is to be found is said by whoever knows, or not at all.
            found = {prefix + name.removeprefix("MILLRACE_").lower() for name in places.keys() & given.keys()}
            self.assertEqual(labels.keys(), known | found)
            self.assertFalse([value for value in labels.values() if "millrace.example" in value])
            done = subprocess.run([DEPLOY / "images/labels", "--environment"], check=True, text=True,
                                  stdout=subprocess.PIPE, env=environment)
            variables = dict(line.split("=", 1) for line in done.stdout.splitlines())
            self.assertEqual(variables.keys(), built.keys())
            variables |= given
            for name, service in self.compose["services"].items():
                if "build" not in service:
                    continue
                made = {label: re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: variables.get(found[1], found[2]), value)
                        for label, value in service["build"]["labels"].items()}
                self.assertEqual({label: value for label, value in made.items() if value}, labels, name)
        # A stage says what it is, and both container files whose it is.
        for path in ("Containerfile", "postgres/Containerfile"):
            text = (DEPLOY / path).read_text()
            for label in ("title", "description", "vendor", "licenses"):
                self.assertIn(f"{prefix}{label}=", text, path)

    def test_copied_files_exist(self):
        text = self.containerfile + (DEPLOY / "postgres/Containerfile").read_text()
        sources = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M) + re.findall(r"source=([^,]+),", text)
        self.assertGreater(len(sources), 15)
        for source in " ".join(sources).split():
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


class ImagePackageTests(unittest.TestCase):
    """The packages of an image are those whose libraries the binaries ask for, no more and no fewer."""

    BINARIES = Path(os.environ.get("BENCH_BINARIES", REPOSITORY / ".build/debug"))

    def sections(self):
        found, name = {}, None
        for line in (DEPLOY / "packages.txt").read_text().splitlines():
            line = line.split("#")[0].strip()
            if line.startswith("["):
                name = line.strip("[]")
                found[name] = set()
            elif line:
                found[name].add(line)
        return found

    def needed(self, service):
        """The packages that own what a binary names itself, the toolchain's libraries and the C library left out."""
        binary = self.BINARIES / f"millrace-{service}"
        dynamic = subprocess.run(["readelf", "-d", binary], stdout=subprocess.PIPE, text=True, check=True).stdout
        places = subprocess.run(["ldd", binary], stdout=subprocess.PIPE, text=True, check=True).stdout
        found = set()
        for library in re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic):
            place = re.search(rf"{re.escape(library)} => (\S+)", places)
            if place is None or not place[1].startswith(("/lib/", "/usr/lib/")):
                continue
            owner = subprocess.run(["dpkg-query", "-S", place[1], Path(place[1]).resolve()], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, check=False).stdout
            self.assertTrue(owner, f"{place[1]} is no package's")
            found.add(owner.split(":")[0])
        return found - {"libc6", "libgcc-s1"}

    def test_they_are_what_the_binaries_need(self):
        sections = self.sections()
        needed = {service: self.needed(service) for service in SERVICES}
        common = sections["image"] - {"ca-certificates", "tzdata"}
        console = {"libjs-chart.js", "libjs-codemirror"}
        for service in SERVICES:
            own = sections.get(f"{service}-image", set()) - console
            self.assertEqual(common & own, set(), service)
            self.assertEqual(needed[service], common | own, service)
        self.assertLessEqual(console, sections["analytics-image"])

    def test_each_image_installs_its_own_sections_and_no_others(self):
        text = (DEPLOY / "Containerfile").read_text()
        stages = {name: (below, body) for below, name, body in re.findall(
            r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM|\Z)", text, re.M | re.S)}
        for service in SERVICES:
            installed, stage = [], service
            while stage in stages:
                below, body = stages[stage]
                installed += [name for names in re.findall(r"/build/local/install ([a-z -]+?) &&", body)
                              for name in names.split()]
                stage = below
            own = {f"{service}-image"} & set(self.sections())
            self.assertEqual(sorted(installed), sorted({"image", *own}), service)
            # What installs is not left in the image, nor is its user the installer.
            body = stages[service][1]
            self.assertIn("rm -r /build", body, service)
            self.assertRegex(body.split("ENTRYPOINT")[0].split("rm -r /build")[1], "USER 10001:10001", service)


class KubernetesTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.resources = {}
        for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
            if path.name == "kustomization.yaml" or path.parent.name == "examples":
                continue
            for resource in yaml.safe_load_all(path.read_text()):
                cls.resources[resource["kind"], resource["metadata"]["name"]] = resource

    def pods(self):
        for (kind, name), resource in self.resources.items():
            if kind in ("Deployment", "StatefulSet", "Job"):
                yield name, resource["spec"]["template"]["spec"]

    def test_every_file_is_in_a_kustomization(self):
        root = DEPLOY / "kubernetes"
        self.assertEqual({path.name for path in (root / "overlays").iterdir()}, {"dev", "production"})
        for folder in (root / "base", *(root / "overlays").iterdir(), *(root / "components").iterdir()):
            kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
            listed = kustomization.get("resources", []) + kustomization.get("components", [])
            for path in folder.glob("*.yaml"):
                if path.name != "kustomization.yaml":
                    self.assertIn(path.name, listed)
            for entry in listed:
                self.assertTrue((folder / entry).exists(), entry)

    def test_ports_settings_and_commands_are_those_of_the_services(self):
        read = settings_that_are_read()
        for setting in self.resources["ConfigMap", "millrace-settings"]["data"]:
            self.assertIn(setting.removesuffix("_FILE"), read)
        workers = {f"{name}-worker": PORTS[name] for name in WORKERS}
        for name, port in {**PORTS, **workers}.items():
            pod = self.resources["Deployment", name]["spec"]["template"]["spec"]
            container = pod["containers"][0]
            service = name.removesuffix("-worker")
            self.assertEqual(container["image"], f"millrace-{service}")
            self.assertEqual(container["ports"][0]["containerPort"], port)
            if name in PORTS:
                self.assertEqual(self.resources["Service", name]["spec"]["ports"][0]["port"], port)
            variables = {entry["name"]: entry["value"] for entry in container["env"]}
            self.assertIn(str(port), variables.values())
            role = "worker" if name in workers else "api" if f"{name}-worker" in workers else None
            self.assertEqual(variables.get("MILLRACE_ROLE"), role, name)
            own = {f"MILLRACE_{service.upper()}_PORT", "MILLRACE_ROLE"}
            self.assertLessEqual({setting for setting in variables if setting.startswith("MILLRACE_")}, own, name)
            self.assertIn(("PodDisruptionBudget", name), self.resources)
            spread = {constraint["topologyKey"] for constraint in pod["topologySpreadConstraints"]}
            self.assertEqual(spread, {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}, name)
        migrate = self.resources["Job", "migrate"]["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual((migrate["image"], migrate["args"]), ("millrace-store", ["migrate"]))

    def test_readiness_is_the_database_once_and_being_alive_after_that(self):
        """While PostgreSQL is away requests must reach a service, which answers 503 with Retry-After."""
        patience = self.resources["Job", "migrate"]["spec"]["activeDeadlineSeconds"]
        for name in (*PORTS, *(f"{worker}-worker" for worker in WORKERS)):
            container = self.resources["Deployment", name]["spec"]["template"]["spec"]["containers"][0]
            start = container["startupProbe"]
            self.assertEqual(start["httpGet"]["path"], "/healthz" if name == "gateway" else "/readyz", name)
            for probe in ("readinessProbe", "livenessProbe"):
                self.assertEqual(container[probe]["httpGet"]["path"], "/healthz", name)
            if name != "gateway":
                # A migration may wait for a lock for as long as its Job lives; /readyz takes two seconds at most.
                self.assertGreaterEqual(start["periodSeconds"] * start["failureThreshold"], patience, name)
                self.assertGreater(start["timeoutSeconds"], 2, name)

    def test_the_database_is_verified_by_what_is_mounted(self):
        secret = yaml.safe_load((DEPLOY / "kubernetes/examples/secret.yaml").read_text())["stringData"]
        url = secret["database-url"]
        self.assertIn("sslmode=verify-full", url)
        self.assertFalse(secret["admin-key"].startswith("mr_"), "who leaves the example as it is has a key that all know")
        # libpq 15 has no sslrootcert=system, and the images' user no home that it would look into.
        [authorities] = re.findall("sslrootcert=([^&]+)", url)
        self.assertEqual(authorities, "/etc/ssl/certs/ca-certificates.crt")
        self.assertIn("ca-certificates", ImagePackageTests().sections()["image"])
        folder = "/run/millrace/"
        for name, pod in self.pods():
            [mount] = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]
                       if mount["name"] == "secret"] or [None]
            if name in ("gateway", "postgres"):
                self.assertIsNone(mount, name)
                continue
            self.assertEqual(f"{mount}/", folder, name)
            [volume] = [volume for volume in pod["volumes"] if volume["name"] == "secret"]
            if name == "migrate":
                self.assertNotIn("items", volume["secret"])
                continue
            found = {}
            for source in volume["projected"]["sources"]:
                self.assertEqual(source["secret"]["name"], "millrace")
                for item in source["secret"]["items"]:
                    self.assertEqual(item["key"], item["path"])
                    found[item["key"]] = source["secret"].get("optional", False)
            self.assertEqual(found, {"database-url": False, "database-ca.crt": True, "pooler-url": True}, name)
        example = (DEPLOY / "kubernetes/examples/secret.yaml").read_text()
        for name in ("database-ca.crt", "pooler-url"):
            self.assertIn(f"  # {name}: ", example)
        settings = self.resources["ConfigMap", "millrace-settings"]["data"]
        self.assertEqual(settings["DATABASE_URL_FILE"], f"{folder}database-url")

    def rendered(self, *components):
        """Production with further components: {(kind, name): resource}."""
        production = yaml.safe_load((DEPLOY / "kubernetes/overlays/production/kustomization.yaml").read_text())
        with tempfile.TemporaryDirectory() as folder:
            up = os.path.relpath(DEPLOY / "kubernetes", Path(folder).resolve())
            for field in ("resources", "components"):
                production[field] = [entry.replace("../..", up) for entry in production[field]]
            production["components"] += [f"{up}/components/{name}" for name in components]
            Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(production))
            done = subprocess.run([sys.executable, "-B", DEPLOY / "kubernetes/render.py", folder], check=True,
                                  stdout=subprocess.PIPE, text=True)
        return {(found["kind"], found["metadata"]["name"]): found for found in yaml.safe_load_all(done.stdout)}

    def test_the_poolers_port_and_url_come_with_its_component(self):
        for components, ports, url in (((), [5432], None), (("pooler",), [5432, 6432], "/run/millrace/pooler-url")):
            found = self.rendered(*components)
            [rule] = found["NetworkPolicy", "database"]["spec"]["egress"]
            self.assertEqual([port["port"] for port in rule["ports"]], ports)
            settings = found["ConfigMap", "millrace-settings"]["data"]
            self.assertEqual(settings.get("MILLRACE_POOLER_URL_FILE"), url)

    def test_the_example_databases_network_lets_in_whom_it_must(self):
        documents = list(yaml.safe_load_all((DEPLOY / "kubernetes/examples/cloudnative-pg.yaml").read_text()))
        policies = {one["metadata"]["name"]: one["spec"] for one in documents if one["kind"] == "NetworkPolicy"}
        self.assertEqual(policies["default-deny"], {"podSelector": {}, "policyTypes": ["Ingress"]})
        self.assertEqual({one["metadata"].get("namespace") for one in documents if one["kind"] != "Namespace"},
                         {"millrace-database"})
        clients, instances, _ = policies["database"]["ingress"]
        own = self.resources["NetworkPolicy", "database"]["spec"]
        allowed = set(own["podSelector"]["matchExpressions"][0]["values"])
        [millrace, keda, prepare] = clients["from"]
        self.assertEqual(millrace["namespaceSelector"]["matchLabels"], {"kubernetes.io/metadata.name": "millrace"})
        self.assertEqual(set(millrace["podSelector"]["matchExpressions"][0]["values"]), allowed)
        self.assertEqual(keda["namespaceSelector"]["matchLabels"], {"kubernetes.io/metadata.name": "keda"})
        [job] = [one for one in documents if one["kind"] == "Job"]
        labels = job["spec"]["template"]["metadata"]["labels"]
        self.assertLessEqual(prepare["podSelector"]["matchLabels"].items(), labels.items())
        self.assertIn({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "cnpg-system"}}},
                      instances["from"])
        self.assertEqual({port["port"] for port in instances["ports"]}, {5432, 8000})

    def test_every_way_to_apply_again_removes_the_migration_first(self):
        for path in ("deploy/docs/operations.md", "deploy/kubernetes/base/migrate.yaml"):
            for line in (REPOSITORY / path).read_text().splitlines():
                if "kubectl apply -k" in line:
                    self.assertIn("kubectl delete job migrate -n millrace --ignore-not-found && ", line, path)

    def test_every_pod_is_restricted(self):
        for name, pod in self.pods():
            self.assertTrue(pod["securityContext"]["runAsNonRoot"], name)
            self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"}, name)
            self.assertIs(pod["automountServiceAccountToken"], False, name)
            account = self.resources["ServiceAccount", pod["serviceAccountName"]]
            self.assertEqual(account["metadata"]["name"], name)
            self.assertIs(account["automountServiceAccountToken"], False, name)
            for container in pod["containers"]:
                context = container["securityContext"]
                self.assertIs(context["allowPrivilegeEscalation"], False, name)
                self.assertIs(context["readOnlyRootFilesystem"], True, name)
                self.assertEqual(context["capabilities"], {"drop": ["ALL"]}, name)
                for bound in ("requests", "limits"):
                    self.assertLessEqual({"cpu", "memory"}, set(container["resources"][bound]), name)

    def test_the_namespace_admits_only_restricted_pods(self):
        labels = self.resources["Namespace", "millrace"]["metadata"]["labels"]
        for what in ("enforce", "warn", "audit"):
            self.assertEqual(labels[f"pod-security.kubernetes.io/{what}"], "restricted", what)

    def test_the_network_is_closed_by_default(self):
        policy = self.resources["NetworkPolicy", "default-deny"]["spec"]
        self.assertEqual(policy, {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})

    def test_every_pod_may_reach_the_database_and_nobody_else_may(self):
        policy = self.resources["NetworkPolicy", "database"]["spec"]
        allowed = set(policy["podSelector"]["matchExpressions"][0]["values"])
        pods = {name for name, _ in self.pods()}
        self.assertEqual(allowed, pods - {"gateway", "postgres"})
        [rule] = self.resources["NetworkPolicy", "postgres"]["spec"]["ingress"]
        self.assertEqual(set(rule["from"][0]["podSelector"]["matchExpressions"][0]["values"]), allowed)

    def test_the_ingress_has_the_route_table_of_the_gateway(self):
        template = (DEPLOY / "gateway/nginx.conf.template").read_text()
        expected = {"/": "gateway"}
        located = r"location ~ \^/v1/\(\?:([a-z|]+)\)\S* \{\s+proxy_pass http://(\w+);"
        for segments, service in re.findall(located, template):
            expected.update({f"/v1/{segment}": service for segment in segments.split("|")})
        self.assertGreater(len(expected), 15)
        [rule] = self.resources["Ingress", "millrace"]["spec"]["rules"]
        paths = rule["http"]["paths"]
        self.assertEqual({path["path"]: path["backend"]["service"]["name"] for path in paths}, expected)
        self.assertEqual({path["pathType"] for path in paths}, {"Prefix"})

    def test_each_queue_that_a_service_works_on_has_workers_of_its_own(self):
        found = set()
        for path in (REPOSITORY / "Services").rglob("*Service.swift"):
            found.update(re.findall(r'Worker\(\s*queue: "(\w+)"', path.read_text()))
        self.assertEqual(found, set(WORKERS))
        for kind in ("Deployment", "ScaledObject", "HorizontalPodAutoscaler", "PodDisruptionBudget"):
            self.assertEqual({name for of, name in self.resources if of == kind and name.endswith("-worker")},
                             {f"{name}-worker" for name in WORKERS}, kind)
        # Nobody asks a worker, everybody may scrape it and a collector hear of it.
        self.assertEqual({name for kind, name in self.resources if kind == "Service" and "worker" in name}, set())
        issuer = yaml.safe_load((DEPLOY / "kubernetes/examples/token-issuer.yaml").read_text())
        policies = {name: self.resources["NetworkPolicy", name] for name in ("metrics", "traces", "database")}
        # Workers fetch an issuer's keys too: one that cannot sets off an alert.
        for name, policy in (policies | {"token-issuer": issuer}).items():
            selector = policy["spec"]["podSelector"]["matchExpressions"][0]
            others = {"migrate"} if name == "database" else set()
            self.assertEqual(set(selector["values"]), {*SERVICES, *(f"{name}-worker" for name in WORKERS), *others},
                             name)

    def test_workers_are_scaled_by_one_of_two(self):
        for worker, least in ((f"{name}-worker", least) for name, least in WORKERS.items()):
            scaled = self.resources["ScaledObject", worker]["spec"]
            self.assertEqual(scaled["scaleTargetRef"], {"name": worker})
            self.assertEqual(scaled["minReplicaCount"], least)
            [trigger] = scaled["triggers"]
            self.assertEqual(trigger["type"], "postgresql")
            self.assertIn(f"'{worker.removesuffix('-worker')}'", trigger["metadata"]["query"])
            reference = trigger["authenticationRef"]["name"]
            self.assertIn(("TriggerAuthentication", reference), self.resources)
            fallback = self.resources["HorizontalPodAutoscaler", worker]["spec"]
            self.assertEqual(fallback["scaleTargetRef"]["name"], worker)
            self.assertEqual(fallback["metrics"][0]["resource"]["name"], "cpu")
            self.assertEqual(fallback["minReplicas"], 1)
            self.assertEqual(fallback["maxReplicas"], scaled["maxReplicaCount"])
            # Each apply would set the number back.
            self.assertNotIn("replicas", self.resources["Deployment", worker]["spec"])
        production = DEPLOY / "kubernetes/overlays/production/kustomization.yaml"
        self.assertEqual(len(yaml.safe_load(production.read_text())["components"]), 1)

    def test_each_rule_that_is_skipped_says_why(self):
        skips = 0
        for key, resource in self.resources.items():
            for name, value in resource["metadata"].get("annotations", {}).items():
                if name.startswith("checkov.io/skip"):
                    self.assertRegex(value, r"^CKV2?_K8S_\d+=[^=]{20,}$", key)
                    skips += 1
        self.assertGreater(skips, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
