"""Limits the rate of wrong tokens from each client address."""

import ipaddress
import time
from collections.abc import Callable
from typing import Final

# This many at once are checked, and afterward one per second.
MAX_GUESSES: Final = 10
GUESSES_PER_S: Final = 1.0
# How long the answer to a wrong token is delayed.
GUESS_DELAY_S: Final = 1.0
MAX_ADDRESSES: Final = 1024
# The IPv6 prefix of one household or machine.
IPV6_PREFIX: Final = 64


class TokenGuesses:
    """Counts wrong tokens by client address, with a leaky bucket.

    `clock` gives seconds that never run backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # The count and its time by address, most recent last.
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
        """Whether the next token from the address must not be checked yet."""
        return self._left(_network(address), self._clock()) > MAX_GUESSES - 1

    def _left(self, key: str, now: float) -> float:
        count, at = self._counts.get(key, (0.0, now))
        return max(0.0, count - (now - at) * GUESSES_PER_S)


def _network(address: str) -> str:
    """Return the address, or for IPv6 its network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
