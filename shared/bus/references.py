"""A publisher's references to payloads in its shared memory, and who subscribes to them."""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgpack
import msgspec

from emostream.shared.addresses import is_local
from emostream.shared.config import Security
from emostream.shared.local_topics import LOCAL
from emostream.shared.memory_reference import Offer
from emostream.shared.messages import Buffer
from emostream.shared.security import is_encrypted
from emostream.shared.subscription_limit import end_connection
from emostream.shared.wanted_topics import WantedTopics

if TYPE_CHECKING:
    from emostream.shared.frame_memory import FrameMemory

# References are read at once, so twice as many slots as the publisher queues are more than enough,
# by this number. At 25 fps, a single stream's frame is overwritten after 0.2 s, one of many
# streams' after 0.08 s.
TOO_MANY: Final = 3
FORGET_ENDED_EVERY_S: Final = 0.5
log = logging.getLogger("emostream")


class References:
    """Puts payloads into shared memory, if somebody subscribes to references to them."""

    def __init__(self, memory: "FrameMemory") -> None:
        self._memory: FrameMemory | None = memory
        self._wanted = WantedTopics()
        self._forget_at = 0.0

    def offer(self, endpoint: str) -> Offer | None:
        """Return what to offer to subscribers of `endpoint`; None if the memory cannot be used."""
        return Offer(self._memory.memory, endpoint) if self._memory else None

    def add(self, topic: str, descriptor: int) -> None:
        """Record a connection's subscription."""
        if topic.startswith(LOCAL):
            too_greedy = self._wanted.add(topic, descriptor)
            if too_greedy is not None:
                end_connection(too_greedy)

    def remove(self, topic: str, descriptor: int) -> None:
        """Remove a connection's subscription."""
        self._wanted.remove(topic, descriptor)

    def are_wanted(self, topic: str) -> bool:
        """Whether somebody subscribes to references on this topic."""
        now = time.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + FORGET_ENDED_EVERY_S
            self._wanted.forget_ended()
        return any(map(topic.startswith, self._wanted.needed()))

    def replaced(self, parts: Sequence[Buffer]) -> list[Buffer] | None:
        """Return [header, reference] for [header, payload]; None if there is no memory for it."""
        if len(parts) < 2:
            return list(parts)
        try:
            reference = self._memory.write(parts[1]) if self._memory else None
        except OSError as error:
            log.warning("frames no longer pass through shared memory: %s", error)
            self.close()
            return None
        return [parts[0], msgpack.packb(msgspec.to_builtins(reference))] if reference else None

    def close(self) -> None:
        """Free the memory."""
        if self._memory:
            self._memory.close()
            self._memory = None


def references_at(security: Security, endpoint: str, hwm: int, largest: int) -> References | None:
    """Return the references of a publisher at `endpoint`, whose queues hold `hwm` messages.

    None if they cannot be used: the endpoint is encrypted or can be reached from other hosts, the
    queues have no limit (0), or the system has no such memory.
    """
    if not hwm or not is_local(endpoint) or is_encrypted(security, endpoint):
        return None
    # Stages without frames do without NumPy.
    from emostream.shared.frame_memory import FrameMemory

    try:
        return References(FrameMemory(max(2, 2 * hwm - TOO_MANY), largest))
    except OSError as error:
        log.debug("frames do not pass through shared memory: %s", error)
        return None
