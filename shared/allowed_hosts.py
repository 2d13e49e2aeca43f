"""The Host headers that an HTTP server accepts, as a protection against DNS rebinding."""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit


class AllowedHosts:
    """Checks that a Host header names this machine in a way that no foreign website can forge.

    A website can make its own name resolve to this machine (DNS rebinding) and then read what is
    served here. IP addresses, localhost, this machine's own name, and the `names` in the
    configuration are safe. With `local_names`, names without a dot (as in container networks) and
    requests without a Host header are accepted too.
    """

    def __init__(self, names: Iterable[str] = (), *, local_names: bool = False) -> None:
        own = ("localhost", socket.gethostname())
        self._names = {name.lower().rstrip(".") for name in (*own, *names)}
        self._local_names = local_names

    def __contains__(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name in self._names or (self._local_names and "." not in name and ":" not in name):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
