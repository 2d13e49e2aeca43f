"""Pods that run on this machine as on a cluster: each with an address, its mounts and its user."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.manifests import Resource
from tests.pods import Pod

ADDRESS: Final = "10.213.8.{}"
# The node's own address, from which it asks the pods how they are.
NODE: Final = 1
# Where `ip netns exec` takes a namespace's own files from.
NAMES: Final = Path("/etc/netns")
# Python's folder, where another one above it is closed to other users: there that is left out.
OPENED: Final = (
    'mkdir -p "$0/python" && mount --bind {python} "$0/python" &&'
    " mount -t tmpfs -o mode=755 tmpfs {closed} && mkdir -p {python} &&"
    ' mount --bind "$0/python" {python} && '
)
# Only what is mounted may be written, by a user without any rights.
CONTAINED: Final = (
    'mount --bind "$0" "$0" && mount -o remount,bind,ro / &&'
    " exec setpriv --reuid={user} --regid={user} --clear-groups --no-new-privs --bounding-set=-all"
    ' --inh-caps=-all "$@"'
)
ASK: Final = (
    "import sys, urllib.request as r, urllib.error as e\n"
    "try: print(r.urlopen(sys.argv[1], timeout=5).status)\n"
    "except e.HTTPError as error: print(error.code)\n"
    "except OSError: print(0)"
)


class Cluster:
    """Runs pods until the context ends, each in a network namespace; their logs are in `folder`.

    Services are entries of /etc/hosts. Needs root. Raises OSError or CalledProcessError where this
    system does not allow it.
    """

    def __init__(self, pods: Sequence[Pod], resources: Iterable[Resource], folder: Path) -> None:
        self.pods = {pod.name: pod for pod in pods}
        self.addresses = {
            name: ADDRESS.format(number) for number, name in enumerate(self.pods, NODE + 1)
        }
        self._resources = list(resources)
        self._folder = folder
        self._node = f"emostream-{os.getpid()}"
        self._user = pods[0].spec["securityContext"]["runAsUser"]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._connect(stack)
            for name, pod in self.pods.items():
                self._own(pod)
                pod.prepare(self._prefix(pod))
                self.start(name)
                stack.callback(self.kill, name)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def start(self, name: str) -> None:
        """Start a pod's container."""
        pod = self.pods[name]
        (container,) = pod.spec["containers"]
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*self._prefix(pod), *pod.words(container)],
                env=pod.environment(container),
                cwd=pod.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        """Kill a pod's container."""
        self.processes[name].kill()
        self.processes[name].wait()

    def log(self, name: str) -> Path:
        """Return the file of a pod's log."""
        return self._folder / f"{name}.log"

    def status(self, name: str, kind: str) -> int:
        """Return the status that the node gets for a probe ("readiness"); 0 for no answer."""
        (container,) = self.pods[name].spec["containers"]
        asked = container[f"{kind}Probe"]["httpGet"]
        port = next(each for each in container["ports"] if each["name"] == asked["port"])
        url = f"http://{self.addresses[name]}:{port['containerPort']}{asked['path']}"
        words = ["ip", "netns", "exec", self._node, "python3", "-c", ASK, url]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return int(done.stdout)

    def _prefix(self, pod: Pod) -> list[str]:
        contained = _opened() + CONTAINED.format(user=self._user)
        namespace = self._namespace(pod.name)
        return ["ip", "netns", "exec", namespace, "sh", "-c", contained, str(pod.root)]

    def _namespace(self, pod: str) -> str:
        return f"{self._node}-{pod}"

    def _own(self, pod: Pod) -> None:
        """Give the pod's volumes to its group, as `fsGroup` says."""
        group = pod.spec["securityContext"]["fsGroup"]
        for folder, _, files in os.walk(pod.root):
            os.chown(folder, 0, group)
            Path(folder).chmod(0o2777)
            for name in files:
                os.chown(Path(folder, name), 0, group)

    def _connect(self, stack: contextlib.ExitStack) -> None:
        """Give each pod an address on a bridge of the node."""
        self._namespace_of(self._node, stack)
        inside = ("ip", "-n", self._node)
        _run(*inside, "link", "add", "bridge", "type", "bridge")
        _run(*inside, "address", "add", f"{ADDRESS.format(NODE)}/24", "dev", "bridge")
        _run(*inside, "link", "set", "bridge", "up")
        for number, (name, address) in enumerate(self.addresses.items()):
            pod = self._namespace(name)
            self._namespace_of(pod, stack)
            end = f"pod{number}"
            peer = ("peer", "name", end, "netns", self._node)
            _run("ip", "link", "add", "eth0", "netns", pod, "type", "veth", *peer)
            _run("ip", "-n", pod, "address", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _run("ip", "-n", pod, "link", "set", device, "up")
            _run(*inside, "link", "set", end, "master", "bridge", "up")
            names = NAMES / pod
            names.mkdir(parents=True)
            stack.callback(shutil.rmtree, names)
            (names / "hosts").write_text("".join(self._hosts()))

    def _namespace_of(self, name: str, stack: contextlib.ExitStack) -> None:
        _run("ip", "netns", "add", name)
        stack.callback(_run, "ip", "netns", "delete", name)

    def _hosts(self) -> Iterator[str]:
        """Yield the lines by which Services and pods of StatefulSets are found."""
        yield "127.0.0.1 localhost\n"
        workloads = {
            each["metadata"]["name"]: each["spec"]["replicas"]
            for each in self._resources
            if each["kind"] == "StatefulSet"
        }
        for pod, address in self.addresses.items():
            workload = pod.rpartition("-")[0]
            if workload not in workloads:
                yield f"{address} {pod}\n"
                continue
            yield f"{address} {pod}.{workload}\n"
            # The name of the Service is that of its one pod.
            if workloads[workload] == 1:
                yield f"{address} {workload}\n"


def _opened() -> str:
    """Return what makes Python reachable for every user, "" where it is."""
    python = Path(sys.base_prefix)
    closed = (each for each in reversed(python.parents) if not each.stat().st_mode & 0o001)
    first = next(closed, None)
    return OPENED.format(python=python, closed=first) if first else ""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
