"""The manifests of docker/k8s as kustomize puts them together, as far as they use it.

kubectl is no package that CI installs, so the tests put them together by themselves; where kubectl
is there, a test compares.
"""

import base64
import copy
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from emostream.shared.shipped_files import ROOT

K8S: Final = ROOT / "docker" / "k8s"
PIPELINES: Final = ("demo", "cameras", "autoscaled")
# What items of a list go by, where Kubernetes merges lists.
KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
}
KNOWN: Final = {
    *("apiVersion", "kind", "namespace", "resources", "components", "patches", "images"),
    *("configMapGenerator", "secretGenerator"),
}
PASSWORDS: Final = "HALL_PASSWORD=open\nDOOR_PASSWORD=sesame\n"

Resource: TypeAlias = dict[str, Any]


def with_keys(folder: Path) -> Path:
    """Return a copy of docker/k8s in the folder, with the keys and passwords that Git ignores."""
    copied = folder / "k8s"
    shutil.copytree(K8S, copied, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (copied / "keys").iterdir():
        # A developer's own keys.
        if path.is_dir():
            shutil.rmtree(path)
    (copied / "keys" / "metrics.token").unlink(missing_ok=True)
    (copied / "cameras" / "passwords.env").write_text(PASSWORDS)
    make_keys(copied)
    return copied


def make_keys(copied: Path) -> None:
    """Make the keys, as docs/kubernetes.md says."""
    subprocess.run([sys.executable, copied / "keys" / "make_keys.py"], check=True)


def documents(path: Path) -> list[Resource]:
    """Return the documents of a YAML file."""
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def render(folder: Path) -> list[Resource]:
    """Return the resources of a folder's kustomization."""
    return _apply(folder, [])


def named(resources: Iterable[Resource], kind: str, name: str) -> Resource:
    """Return the resource of that kind and name."""
    (found,) = (
        each for each in resources if each["kind"] == kind and each["metadata"]["name"] == name
    )
    return found


def merged(base: Any, patch: Any, key: str = "") -> Any:
    """Return `base` changed by a strategic merge patch; `key` is under which they stand."""
    if isinstance(base, dict) and isinstance(patch, dict):
        changed = {name: merged(base.get(name), value, name) for name, value in patch.items()}
        return {**base, **changed}
    if isinstance(base, list) and isinstance(patch, list) and key in KEYS:
        by = KEYS[key]
        theirs = {item[by]: item for item in patch}
        kept = [merged(item, theirs.pop(item[by], {})) for item in base]
        return [*theirs.values(), *kept] if key != "initContainers" else [*kept, *theirs.values()]
    return copy.deepcopy(patch)


def _apply(folder: Path, resources: list[Resource]) -> list[Resource]:
    """Return the resources with what the folder's kustomization adds and changes."""
    (told,) = documents(folder / "kustomization.yaml")
    assert told.keys() <= KNOWN, f"{folder.name}: {told.keys() - KNOWN} is not known here"
    for name in told.get("resources", ()):
        path = folder / name
        resources += render(path) if path.is_dir() else documents(path)
    for name in told.get("components", ()):
        resources = _apply(folder / name, resources)
    for kind, field in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
        for wanted in told.get(field, ()):
            _generate(folder, kind, wanted, resources)
    for patch in told.get("patches", ()):
        for document in documents(folder / patch["path"]):
            resources = _patched(resources, document, patch.get("target"))
    for image in told.get("images", ()):
        for container in all_containers(resources):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    if namespace := told.get("namespace"):
        for resource in resources:
            if resource["kind"] != "Namespace":
                resource["metadata"]["namespace"] = namespace
    return resources


def _generate(folder: Path, kind: str, wanted: dict[str, Any], resources: list[Resource]) -> None:
    data: dict[str, bytes] = {}
    for entry in wanted.get("files", ()):
        name, equals, path = entry.partition("=")
        path = path if equals else name
        data[name if equals else Path(path).name] = (folder / path).read_bytes()
    for path in wanted.get("envs", ()):
        for line in (folder / path).read_text("utf-8").splitlines():
            name, _, value = line.partition("=")
            data[name] = value.encode()
    is_secret = kind == "Secret"
    texts = {
        name: base64.b64encode(value).decode() if is_secret else value.decode()
        for name, value in data.items()
    }
    if wanted.get("behavior") == "merge":
        named(resources, kind, wanted["name"])["data"].update(texts)
        return
    made: Resource = {"apiVersion": "v1", "kind": kind, "metadata": {"name": wanted["name"]}}
    resources.append({**made, "data": texts, **({"type": "Opaque"} if is_secret else {})})


def _patched(
    resources: list[Resource], patch: Resource, target: dict[str, str] | None
) -> list[Resource]:
    """Return the resources with the patch where it belongs; it must belong somewhere."""
    found = 0
    changed = []
    for resource in resources:
        kind, name = resource["kind"], resource["metadata"]["name"]
        if target is None:
            fits = (kind, name) == (patch["kind"], patch["metadata"]["name"])
        else:
            fits = all(
                re.fullmatch(target.get(field, ".*"), value)
                for field, value in (("kind", kind), ("name", name))
            )
        found += fits
        body = {key: value for key, value in patch.items() if key != "metadata"}
        body = body if target is None else {"spec": patch["spec"]}
        changed.append(merged(resource, body) if fits else resource)
    assert found, f"the patch of {patch['kind']} {patch['metadata']['name']} fits nothing"
    return changed


def pod_templates(resources: Iterable[Resource]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the pod's spec of each Deployment and StatefulSet."""
    for resource in resources:
        if resource["kind"] in ("Deployment", "StatefulSet"):
            yield resource["metadata"]["name"], resource["spec"]["template"]["spec"]


def all_containers(resources: Iterable[Resource]) -> Iterator[dict[str, Any]]:
    """Yield all containers, those that run first too."""
    for _, spec in pod_templates(resources):
        yield from (*spec.get("initContainers", ()), *spec["containers"])
