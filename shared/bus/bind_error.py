"""The error for an address that cannot be bound, with advice."""

import zmq

from emostream.shared.errors import BusError


def unbindable(who: str, endpoint: str, error: zmq.ZMQError, setting: str) -> BusError:
    """Return the error of `who`; `setting` is the endpoint's setting if it is not `<who>.bind`."""
    if error.errno == zmq.EADDRINUSE:
        return BusError(
            f"{who} cannot bind {endpoint}: the port is in use. Stop the program that "
            f"uses it (another emostream?), or set {setting or f'{who}.bind'} to another"
        )
    return BusError(f"{who} cannot bind {endpoint}: {error}")
