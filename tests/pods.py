"""A pod as Kubernetes would start it: its volumes as folders, and its containers' command lines."""

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.manifests import Resource, named

# What the image starts where a container names no command; a test compares it with the Dockerfile.
ENTRYPOINT: Final = ("emostream",)
GROUP_MAY_READ: Final = 0o440


class Pod:
    """A pod of a workload, whose volumes are folders below `root`.

    Paths at which they are mounted are replaced by these folders, in command lines, in the
    environment and in what a ConfigMap holds.
    """

    def __init__(
        self, name: str, workload: Resource, resources: Iterable[Resource], root: Path
    ) -> None:
        self.name = name
        self.spec: dict[str, Any] = workload["spec"]["template"]["spec"]
        self._resources = list(resources)
        self.root = root
        claims = workload["spec"].get("volumeClaimTemplates", ())
        names = [each["name"] for each in self.spec["volumes"]]
        names += [each["metadata"]["name"] for each in claims]
        self._folders = {each: root / each for each in names}
        mounts = [
            mount
            for kind in ("initContainers", "containers")
            for container in self.spec[kind]
            for mount in container["volumeMounts"]
        ]
        self._paths = {mount["mountPath"]: self._folders[mount["name"]] for mount in mounts}
        longest = sorted(map(re.escape, self._paths), key=len, reverse=True)
        self._mounted = re.compile(rf"(?<![\w./-])({'|'.join(longest)})(?![\w-])")
        for folder in self._folders.values():
            folder.mkdir(parents=True)
        for volume in self.spec["volumes"]:
            self._fill(volume)

    def _fill(self, volume: dict[str, Any]) -> None:
        folder = self._folders[volume["name"]]
        if "configMap" in volume:
            data = named(self._resources, "ConfigMap", volume["configMap"]["name"])["data"]
            for name, text in data.items():
                (folder / name).write_text(self.here(text))
        for source in volume.get("projected", {}).get("sources", ()):
            secret = named(self._resources, "Secret", source["secret"]["name"])
            for name, text in secret["data"].items():
                (folder / name).write_bytes(base64.b64decode(text))
                # A group of the pod's may read it, so emostream would refuse it as it is.
                (folder / name).chmod(GROUP_MAY_READ)

    def here(self, text: str) -> str:
        """Return a text with the folders instead of the paths at which they are mounted."""
        return self._mounted.sub(lambda match: str(self._paths[match[1]]), text)

    def words(self, container: dict[str, Any], *more: str) -> list[str]:
        """Return the command line of a container, with further words for emostream at its end."""
        words = [*container.get("command", ENTRYPOINT), *container.get("args", ())]
        script = more and words[:2] == ["sh", "-euc"]
        words = [*words[:-1], " ".join((words[-1], *more))] if script else [*words, *more]
        return [self.here(word) for word in words]

    def environment(self, container: dict[str, Any]) -> dict[str, str]:
        """Return the environment of a container; programs are those of this environment."""
        found = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.root),
        }
        for source in container.get("envFrom", ()):
            data = named(self._resources, "Secret", source["secretRef"]["name"])["data"]
            found |= {name: base64.b64decode(value).decode() for name, value in data.items()}
        for variable in container.get("env", ()):
            if "valueFrom" in variable:
                assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
            found[variable["name"]] = self.here(variable.get("value", self.name))
        return found

    def run(
        self, container: dict[str, Any], *more: str, prefix: Sequence[str] = ()
    ) -> "subprocess.CompletedProcess[str]":
        """Run a container's command line until it ends."""
        return subprocess.run(
            [*prefix, *self.words(container, *more)],
            env=self.environment(container),
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def prepare(self, prefix: Sequence[str] = ()) -> None:
        """Run the containers that come first."""
        for container in self.spec["initContainers"]:
            done = self.run(container, prefix=prefix)
            assert done.returncode == 0, done.stdout + done.stderr


def pods(resources: Sequence[Resource], root: Path) -> list[Pod]:
    """Return all pods that the workloads make, laid out in folders below `root`."""
    found = []
    for workload in resources:
        if workload["kind"] == "Deployment":
            assert workload["spec"]["replicas"] == 1
            names = [workload["metadata"]["name"]]
        elif workload["kind"] == "StatefulSet":
            replicas = range(workload["spec"]["replicas"])
            names = [f"{workload['metadata']['name']}-{number}" for number in replicas]
        else:
            continue
        found += [Pod(name, workload, resources, root / name) for name in names]
    return found
