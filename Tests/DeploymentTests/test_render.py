"""What renders the overlays where there is no kubectl: it makes what that makes, and refuses what it does not know."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
KUBERNETES = REPOSITORY / "deploy/kubernetes"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: { name: one }
spec:
  template:
    spec:
      initContainers: [{ name: first, image: "registry.example:5000/tool" }]
      containers: [{ name: one, image: "tool:1.0", args: [a] }]
"""


def named(text):
    return {(resource["kind"], resource["metadata"]["name"]): resource for resource in yaml.safe_load_all(text)}


class RenderTests(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def write(self, kustomization, place=".", **files):
        folder = self.folder / place
        folder.mkdir(exist_ok=True)
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        for name, text in files.items():
            (folder / f"{name}.yaml").write_text(text)

    def run_it(self, folder=None):
        return subprocess.run([sys.executable, "-B", KUBERNETES / "render.py", folder or self.folder],
                              capture_output=True, text=True, check=False)

    def rendered(self, folder=None):
        done = self.run_it(folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return named(done.stdout)

    def test_the_overlays_are_what_kubectl_makes_of_them(self):
        overlays = [*(KUBERNETES / "overlays").iterdir()]
        self.assertEqual(len(overlays), 2)
        for overlay in overlays:
            found = self.rendered(overlay)
            self.assertGreater(len(found), 40)
            self.compare(overlay, found)

    def compare(self, folder, found):
        """With kubectl, where there is one that knows components (1.21)."""
        if shutil.which("kubectl") is None:
            return
        done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
        if "Component" not in done.stderr:
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(found, named(done.stdout))

    def test_each_field_does_what_it_says(self):
        self.write({"kind": "Kustomization", "namespace": "here", "resources": ["one.yaml"],
                    "images": [{"name": "tool", "newTag": "2.0"}]}, "base", one=DEPLOYMENT)
        self.write({"kind": "Component", "apiVersion": "kustomize.config.k8s.io/v1alpha1",
                    "resources": ["more.yaml"], "replicas": [{"name": "one", "count": 3}]}, "component",
                   more="{ apiVersion: v1, kind: Service, metadata: { name: more }, spec: { ports: [{ port: 1 }] } }")
        self.write({
            "kind": "Kustomization", "namespace": "here", "resources": ["base"], "components": ["component"],
            "secretGenerator": [{"name": "secret", "literals": ["a=b=c", f"long={'x' * 100}"]}],
            "generatorOptions": {"disableNameSuffixHash": True},
            "images": [{"name": "registry.example:5000/tool", "newName": "other/tool", "newTag": "3"}],
            "patches": [{"target": {"kind": "Deployment", "name": "one"}, "patch": yaml.safe_dump([
                {"op": "add", "path": "/metadata/annotations", "value": {"a~b": "c"}},
                {"op": "replace", "path": "/metadata/annotations/a~0b", "value": "d"},
                {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "b"},
                {"op": "add", "path": "/spec/template/spec/containers/0/args/0", "value": "z"}])}]})
        found = self.rendered()
        self.compare(self.folder, found)
        self.assertEqual(len(found), 3)
        self.assertEqual({resource["metadata"]["namespace"] for resource in found.values()}, {"here"})
        deployment = found["Deployment", "one"]
        self.assertEqual(deployment["spec"]["replicas"], 3)
        self.assertEqual(deployment["metadata"]["annotations"], {"a~b": "d"})
        pod = deployment["spec"]["template"]["spec"]
        self.assertEqual(pod["initContainers"][0]["image"], "other/tool:3")
        self.assertEqual(pod["containers"][0]["image"], "tool:2.0")
        self.assertEqual(pod["containers"][0]["args"], ["z", "a", "b"])
        self.assertEqual(found["Secret", "secret"]["data"]["a"], "Yj1j")

    def test_what_it_does_not_know_it_refuses(self):
        whole = {"resources": ["one.yaml"]}
        for more, reason in (
                ({"commonLabels": {"a": "b"}}, "commonLabels is not known"),
                ({"images": [{"name": "tool", "digest": "sha256:0"}]}, "digest is not known"),
                ({"replicas": [{"name": "two", "count": 1}]}, "nothing named two"),
                ({"secretGenerator": [{"name": "s", "literals": ["a=b"]}]}, "disableNameSuffixHash"),
                ({"secretGenerator": [{"name": "s", "files": ["a"]}]}, "files is not known"),
                ({"patches": [{"path": "patch.yaml"}]}, "path is not known"),
                ({"patches": [{"target": {"kind": "Deployment", "name": "two"}, "patch": "[]"}]}, "there is no"),
                ({"patches": [{"target": {"kind": "Deployment", "name": "one"},
                               "patch": '[{"op": "remove", "path": "/spec"}]'}]}, "operation remove"),
                ({"patches": [{"target": {"kind": "Deployment", "name": "one"},
                               "patch": '[{"op": "add", "path": "/a/b", "value": 1}]'}]}, "leads nowhere"),
                ({"resources": ["one.yaml", "one.yaml"]}, "there twice"),
                ({"resources": ["two.yaml"]}, "two.yaml"), ({"components": ["."]}, "no component")):
            with self.subTest(reason):
                self.write({"kind": "Kustomization", **whole, **more}, one=DEPLOYMENT)
                done = self.run_it()
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(reason, done.stderr)
                self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
