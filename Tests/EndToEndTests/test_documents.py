"""Runs what the README and the documents in deploy/docs show, and holds it to what they say comes of it; and looks that
what they name is there: files, make targets, promises, settings, test suites."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "Tests/Benchmarks"))
sys.path.insert(0, str(REPOSITORY / "Tests/Promises"))
os.environ.setdefault("BENCH_BINARIES", str(REPOSITORY / ".build/debug"))
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402
from promises import PROMISES  # noqa: E402

DOCUMENTS = REPOSITORY / "deploy/docs"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
ANY = "…"


def fits(expected, found):
    """Whether an answer is as it is shown: objects may have more fields, and `…` stands for anything."""
    if expected == ANY:
        return True
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            name in found and fits(value, found[name]) for name, value in expected.items())
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(fits, expected, found))
    return found == expected


class Examples(unittest.TestCase):
    def test_every_command_gives_what_is_shown(self):
        blocks = FENCE.findall((DOCUMENTS / "examples.md").read_text())
        script, shown = [], {}
        for language, text in blocks:
            if language == "sh":
                script.append(text)
            elif language == "python":
                script.append(f"export M KEY\n{sys.executable} - <<'END OF PYTHON'\n{text}END OF PYTHON\n")
            else:
                self.assertIn(language, ("json", "text"))
                self.assertNotIn(len(script), shown, f"two answers to one block: {text}")
                shown[len(script)] = (language, text)
        self.assertGreater(len(shown), 12)
        with Platform(port=first_port(__file__)) as platform:
            platform.wait_until_ready()
            outputs = self.run_all(script, platform)
        for number, (language, text) in shown.items():
            output = outputs[number - 1].replace("\r\n", "\n").strip()
            with self.subTest(script[number - 1]):
                if language == "text":
                    self.assertEqual(output, text.strip())
                else:
                    found = json.loads(output.splitlines()[-1])
                    self.assertTrue(fits(json.loads(text), found), f"{output}\nis not\n{text}")

    def run_all(self, script, platform):
        """What each block prints; they run in one shell, and each command has to succeed."""
        text = "set -euo pipefail\n" + "".join(f"{block}\nprintf '\\n@@@\\n'\n" for block in script)
        environment = {"PATH": os.environ["PATH"], "M": f"http://127.0.0.1:{platform.port}", "KEY": platform.key}
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(["bash", "-c", text], cwd=folder, env=environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=240, check=False)
        self.assertEqual(done.returncode, 0, f"{done.stdout[-3000:]}\n{done.stderr}")
        return done.stdout.split("\n@@@\n")


class Walk(unittest.TestCase):
    """The README from its first request to its last, in its order, on a fresh platform."""

    # Notes the status of each request. A stream that goes on is left after a moment; a rollup that is being prepared,
    # which takes less time than reading on, is asked again.
    CURL = """curl() {
        local seconds=60 status=409
        [[ " $* " != *" -N "* ]] || seconds=3
        for _ in {1..200}; do
            status=$(command curl --silent --show-error --max-time $seconds --output answer \\
                --write-out '%{http_code}' "$@")
            [[ $status == 409 && $* == */v1/rollups/* ]] || break
            sleep 0.05
        done
        cat answer
        echo
        echo "@@@$status" >&2
    }
    """

    def test_each_request_is_answered_as_it_says(self):
        text = (REPOSITORY / "README.md").read_text()
        walk = text[text.index("## A first walk"):text.index("## How a record flows")]
        blocks = [(language, block) for language, block in FENCE.findall(walk)
                  if language in ("sh", "python") and "make run" not in block]
        with Platform(port=first_port(__file__)) as platform, tempfile.TemporaryDirectory() as folder:
            platform.wait_until_ready()
            Path(folder, ".millrace").mkdir()
            Path(folder, ".millrace/admin-key").write_text(platform.key)
            script = self.CURL
            for language, block in blocks:
                block = block.replace("127.0.0.1:8080", f"127.0.0.1:{platform.port}")
                script += block if language == "sh" else f"{sys.executable} - <<'END OF PYTHON'\n{block}END OF PYTHON\n"
                script += "[ $? = 0 ] || echo @@@failed >&2\n" if language == "python" else ""
            done = subprocess.run(["bash", "-c", script], cwd=folder, env={"PATH": os.environ["PATH"]}, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, check=False)
        requests = [request for language, block in blocks if language == "sh"
                    for request in re.findall(r"^curl .*?(?=^curl |\Z)", block, re.M | re.S)]
        self.assertGreater(len(requests), 60)
        self.assertNotIn("@@@failed", done.stderr)
        statuses = re.findall(r"@@@(\d+)$", done.stderr, re.M)
        self.assertEqual(len(statuses), len(requests), done.stderr)
        for request, status in zip(requests, statuses):
            # A comment that begins with a refusal says what comes, one further on what may.
            expected = re.findall(r"  # (4\d\d)", request)
            possible = ["200", "201", "202", "204", *re.findall(r"  # .*\b(4\d\d)\b", request)]
            with self.subTest(request):
                self.assertIn(status, expected or possible)


class Names(unittest.TestCase):
    def test_what_the_documents_name_is_there(self):
        targets = set(re.findall(r"^([a-z%-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
        readme = (REPOSITORY / "README.md").read_text()
        sources = [path for path in (REPOSITORY / "Tests").rglob("*") if path.suffix in (".swift", ".py")]
        names = {path.name for path in sources} | {path.stem for path in sources}
        names |= {path.name for path in (REPOSITORY / "Tests").iterdir()}
        for document in DOCUMENTS.glob("*.md"):
            text = document.read_text()
            for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
                if "://" not in target:
                    self.assertTrue((document.parent / target).exists(), f"{document.name}: {target}")
            for target in re.findall(r"`make ([a-z-]+)", text):
                known = target in targets or target.startswith("bench-")
                self.assertTrue(known, f"{document.name}: make {target}")
            for listed in re.findall(r"`promises ([a-z_ ]+)`", text):
                self.assertLessEqual(set(listed.split()), set(PROMISES), document.name)
            for setting in re.findall(r"`(MILLRACE_[A-Z_]+)", text):
                self.assertIn(setting, readme, document.name)
            for name in re.findall(r"`((?:[A-Za-z]+\.)?[A-Z][A-Za-z]+Tests?(?:\.[A-Za-z]+)?|test_[a-z_]+\.py)`", text):
                self.assertIn(name.split(".")[0] if not name.endswith(".py") else name, names, document.name)

    def test_every_promise_says_what_tests_it(self):
        text = (DOCUMENTS / "promises.md").read_text()
        listed = {name for names in re.findall(r"`promises ([a-z_ ]+)`", text) for name in names.split()}
        self.assertEqual(listed, set(PROMISES))


if __name__ == "__main__":
    unittest.main(verbosity=2)
