"""Two Linux network namespaces, connected by a rate-limited link."""

import os
import subprocess
from types import TracebackType
from typing import Final, Self

NEAR_ADDRESS: Final = "10.213.7.1"
FAR_ADDRESS: Final = "10.213.7.2"


class ThinLink:
    """A pair of namespaces `near` and `far`, each sending at `rate` (in the syntax of `tc`).

    The link's own queue holds `latency_ms` of traffic. A context manager that removes both at the
    end. Raises OSError or subprocess.CalledProcessError if that is not permitted.
    """

    def __init__(self, rate: str, latency_ms: float) -> None:
        self._rate = rate
        self._latency = f"{latency_ms:g}ms"
        self.near, self.far = (f"emostream-{os.getpid()}-{side}" for side in ("near", "far"))

    def __enter__(self) -> Self:
        try:
            self._create()
        except BaseException:
            self._delete()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._delete()

    def inside(self, namespace: str, *command: str) -> list[str]:
        """Return the command to run another one in a namespace."""
        return ["ip", "netns", "exec", namespace, *command]

    def _create(self) -> None:
        for namespace in (self.near, self.far):
            _run("ip", "netns", "add", namespace)
        ends = ("link", "add", "link0", "netns", self.near, "type", "veth")
        _run("ip", *ends, "peer", "name", "link0", "netns", self.far)
        for namespace, address in ((self.near, NEAR_ADDRESS), (self.far, FAR_ADDRESS)):
            inside = ("ip", "-n", namespace)
            _run(*inside, "address", "add", f"{address}/24", "dev", "link0")
            for device in ("lo", "link0"):
                _run(*inside, "link", "set", device, "up")
            limit = ("rate", self._rate, "burst", "4kb", "latency", self._latency)
            _run("tc", "-n", namespace, "qdisc", "add", "dev", "link0", "root", "tbf", *limit)

    def _delete(self) -> None:
        for namespace in (self.near, self.far):
            subprocess.run(["ip", "netns", "delete", namespace], stderr=subprocess.DEVNULL)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
