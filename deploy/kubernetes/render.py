"""Renders a kustomization as `kubectl kustomize` does, where there is no kubectl: `render.py FOLDER` prints documents.

It knows of kustomize what the manifests here use, and refuses anything else rather than leave it out: resources,
components, a namespace, secrets of literals under their own names, replicas, images, and JSON patches by kind and name.
Tests/DeploymentTests/test_render.py holds it to what kubectl makes of the same where that is installed.
"""

import base64
import copy
import sys
from pathlib import Path

import yaml

FIELDS = {"apiVersion", "kind", "namespace", "resources", "components", "secretGenerator", "generatorOptions",
          "replicas", "images", "patches"}
CONTAINERS = ("initContainers", "containers")


class Refused(Exception):
    """What is wrong, or not known here."""


def demand(condition, where, message):
    if not condition:
        raise Refused(f"{where}: {message}")


def only(mapping, known, where):
    demand(isinstance(mapping, dict), where, "is no mapping")
    unknown = set(mapping) - set(known)
    demand(not unknown, where, f"{', '.join(sorted(unknown))} is not known here")
    return mapping


def identity(resource):
    return resource["apiVersion"], resource["kind"], resource["metadata"]["name"]


def render(folder, resources=()):
    """The resources of a folder's kustomization after those that were there, as lists of new mappings."""
    path = Path(folder) / "kustomization.yaml"
    own = only(yaml.safe_load(path.read_text()), FIELDS, path)
    kind = own.get("kind", "Kustomization")
    demand(kind in ("Kustomization", "Component"), path, f"kind {kind}")
    # A component changes what is there; whoever is a base is finished before others see it.
    found = list(resources) if kind == "Component" else []
    for entry in own.get("resources", []):
        place = path.parent / entry
        found += render(place) if place.is_dir() else documents(place)
    for entry in own.get("components", []):
        component = path.parent / entry
        demand(yaml.safe_load((component / "kustomization.yaml").read_text())["kind"] == "Component", path,
               f"{entry} is no component")
        found = render(component, found)
    found += [secret(entry, own, path) for entry in own.get("secretGenerator", [])]
    names = [identity(resource) for resource in found]
    demand(len(names) == len(set(names)), path, "a resource is there twice")
    for change in (patched, placed, scaled, tagged):
        change(found, own, path)
    return found


def documents(path):
    found = [document for document in yaml.safe_load_all(path.read_text()) if document is not None]
    for document in found:
        demand({"apiVersion", "kind", "metadata"} <= set(document), path, "a document is no resource")
    return found


def secret(entry, own, path):
    only(entry, {"name", "literals"}, f"{path}: secretGenerator")
    demand(own.get("generatorOptions") == {"disableNameSuffixHash": True}, path,
           "secrets get a suffix, unless generatorOptions say disableNameSuffixHash: true and nothing else")
    pairs = [literal.split("=", 1) for literal in entry["literals"]]
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": entry["name"]}, "type": "Opaque",
            "data": {name: encoded(value) for name, value in pairs}}


def encoded(value):
    """Beyond 70 characters in lines of 70."""
    text = base64.b64encode(value.encode()).decode()
    return text if len(text) <= 70 else "".join(f"{text[at:at + 70]}\n" for at in range(0, len(text), 70))


def placed(resources, own, path):
    """Namespaces: every resource here is of one, or is one."""
    if (namespace := own.get("namespace")) is None:
        return
    for resource in resources:
        metadata = resource["metadata"]
        if resource["kind"] == "Namespace":
            demand(metadata["name"] == namespace, path, f"namespace {metadata['name']} would be renamed")
            continue
        demand(not resource["kind"].startswith("Cluster") or resource["apiVersion"].startswith("postgresql."), path,
               f"{resource['kind']} is of no namespace")
        metadata["namespace"] = namespace


def scaled(resources, own, path):
    for entry in own.get("replicas", []):
        only(entry, {"name", "count"}, f"{path}: replicas")
        those = [resource for resource in resources if resource["kind"] in ("Deployment", "StatefulSet")
                 and resource["metadata"]["name"] == entry["name"]]
        demand(those, path, f"nothing named {entry['name']} has replicas")
        for resource in those:
            resource["spec"]["replicas"] = entry["count"]


def tagged(resources, own, path):
    for entry in own.get("images", []):
        only(entry, {"name", "newName", "newTag"}, f"{path}: images")
        for resource in resources:
            pod = resource.get("spec", {}).get("template", {}).get("spec", {})
            for container in (container for kind in CONTAINERS for container in pod.get(kind, [])):
                demand("@" not in container["image"], path, f"{container['image']} has a digest")
                name, colon, tag = container["image"].rpartition(":")
                if not colon or "/" in tag:
                    name, tag = container["image"], ""
                if name == entry["name"]:
                    tag = entry.get("newTag", tag)
                    container["image"] = entry.get("newName", name) + (f":{tag}" if tag else "")


def patched(resources, own, path):
    """JSON patches (RFC 6902) that add or replace."""
    for entry in own.get("patches", []):
        only(entry, {"target", "patch"}, f"{path}: patches")
        target = only(entry["target"], {"kind", "name"}, f"{path}: target")
        those = [resource for resource in resources if (resource["kind"], resource["metadata"]["name"])
                 == (target["kind"], target["name"])]
        demand(those, path, f"there is no {target['kind']} {target['name']}")
        operations = yaml.safe_load(entry["patch"])
        demand(isinstance(operations, list), path, "the patch is no JSON patch")
        for resource in those:
            for operation in operations:
                apply(only(operation, {"op", "path", "value"}, f"{path}: patch"), resource, path)


def apply(operation, resource, where):
    demand(operation["op"] in ("add", "replace"), where, f"operation {operation['op']}")
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    place = resource
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place.get(part)
        demand(place is not None, where, f"{operation['path']} leads nowhere")
    value = copy.deepcopy(operation["value"])
    demand(operation["op"] == "add" or isinstance(place, list) or last in place, where,
           f"{operation['path']} is not there to be replaced")
    if not isinstance(place, list):
        place[last] = value
    elif operation["op"] == "replace":
        place[int(last)] = value
    else:
        place.insert(len(place) if last == "-" else int(last), value)


def main():
    try:
        yaml.safe_dump_all(render(sys.argv[1]), sys.stdout, sort_keys=False)
    except (Refused, OSError) as error:
        sys.exit(f"render: {error}")


if __name__ == "__main__":
    main()
