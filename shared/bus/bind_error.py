"""The error that says why an address cannot be bound, and what to do about it."""

import zmq

from emostream.shared.errors import BusError


def unbindable(who: str, endpoint: str, error: zmq.ZMQError, setting: str) -> BusError:
    """Return the error of `who`; `setting` names the endpoint where it is not its own `bind`."""
    if error.errno == zmq.EADDRINUSE:
        return BusError(
            f"{who} cannot bind {endpoint}: the port is in use. Stop the program that "
            f"uses it (another emostream?), or set {setting or f'{who}.bind'} to another"
        )
    return BusError(f"{who} cannot bind {endpoint}: {error}")
