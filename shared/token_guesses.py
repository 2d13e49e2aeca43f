"""How many wrong tokens came from each client address lately."""

import ipaddress
import time
from collections.abc import Callable
from typing import Final

# So many at once are looked at, and afterwards one a second.
MAX_GUESSES: Final = 10
GUESSES_PER_S: Final = 1.0
# How long the answer to a wrong token is held back.
GUESS_DELAY_S: Final = 1.0
MAX_ADDRESSES: Final = 1024
# What one household or machine has of IPv6.
IPV6_PREFIX: Final = 64


class TokenGuesses:
    """Counts the wrong tokens of each client address; what is older fades (a leaking bucket).

    `clock` gives seconds that never run backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # The count at a time, by address; the one that guessed last comes last.
        self._counts: dict[str, tuple[float, float]] = {}

    def count(self, address: str) -> None:
        """Count a wrong token from the address."""
        key, now = _network(address), self._clock()
        left = self._left(key, now)
        self._counts.pop(key, None)
        self._counts[key] = (left + 1, now)
        if len(self._counts) > MAX_ADDRESSES:
            del self._counts[next(iter(self._counts))]

    def are_too_many(self, address: str) -> bool:
        """Whether the next token from the address must not be looked at yet."""
        return self._left(_network(address), self._clock()) > MAX_GUESSES - 1

    def _left(self, key: str, now: float) -> float:
        count, at = self._counts.get(key, (0.0, now))
        return max(0.0, count - (now - at) * GUESSES_PER_S)


def _network(address: str) -> str:
    """Return the address, of IPv6 the network that it belongs to."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
