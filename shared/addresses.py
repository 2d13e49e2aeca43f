"""The addresses that processes bind: who can reach them, and their ports for each instance."""

import ipaddress
import re
from typing import Final

from emostream.shared.errors import ConfigError

PORT_STEP: Final = 100
LAST_PORT: Final = 65_535
# A server that listens on all addresses is contacted on loopback.
LOOPBACK: Final = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}
# For an unprotected address that other hosts can reach.
ADVICE: Final = 'bind to 127.0.0.1, or write [security] mode = "disabled" if the network is trusted'
TCP: Final = re.compile(r"tcp://(?P<host>.+):(?P<port>\d+|\*)")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host. Names other than localhost count as remote."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def local_host(host: str) -> str:
    """Return the host to connect to from this machine for a socket bound to `host`."""
    return LOOPBACK.get(host, host.strip("[]"))


def is_local(endpoint: str) -> bool:
    """Whether only this machine can reach a bus endpoint: `ipc://`, or TCP on loopback."""
    match = TCP.fullmatch(endpoint)
    return not match or is_loopback(match["host"])


def has_name(endpoint: str) -> bool:
    """Whether a bus endpoint has a host name, which needs a DNS lookup."""
    match = TCP.fullmatch(endpoint)
    try:
        return bool(match and not ipaddress.ip_address(match["host"].strip("[]")))
    except ValueError:
        return True


def shifted(endpoint: str, instance: int) -> str:
    """Return the endpoint with 100 x `instance` added to its port, if it has one."""
    match = TCP.fullmatch(endpoint)
    if not match or match["port"] == "*":
        return endpoint
    return f"tcp://{match['host']}:{shifted_port(int(match['port']), instance)}"


def shifted_port(port: int, instance: int) -> int:
    """Return the port with 100 x `instance` added; 0 (any free port) stays 0.

    Raises ConfigError if the result is not a valid port: ZeroMQ would use its lowest 16 bits.
    """
    moved = port + PORT_STEP * instance if port else 0
    if not 0 <= moved <= LAST_PORT:
        raise ConfigError(f"{moved} is not a valid port: the highest is {LAST_PORT}")
    return moved
