"""Which Host headers an HTTP server answers, so that no foreign name can stand for this machine."""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit


class AllowedHosts:
    """Says whether a Host header names this machine in a way that no foreign page can forge.

    A page in a browser may have its own name resolve to this machine (DNS rebinding), and then
    reads what is served here. An address cannot be made to mean another machine; nor can localhost,
    this machine's own name, and the `names` that the configuration allows. With `local_names`,
    names without a dot are allowed too, as containers have them, and requests without a Host.
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
