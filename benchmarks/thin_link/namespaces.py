"""Two network namespaces of Linux, joined by a link of a limited rate."""

import os
import subprocess
from types import TracebackType
from typing import Final, Self

NEAR_ADDRESS: Final = "10.213.7.1"
FAR_ADDRESS: Final = "10.213.7.2"


class ThinLink:
    """A pair of namespaces `near` and `far`; what each sends goes at `rate` (as `tc` has it).

    The link's own queue holds what it carries in `latency_ms`. A context manager, which takes both
    away again. Raises OSError or subprocess.CalledProcessError if that is not allowed.
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
        """Return the command that runs another one in a namespace."""
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
