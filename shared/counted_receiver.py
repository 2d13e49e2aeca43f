"""A receiver with changeable topics that counts messages lost in transit."""

from collections.abc import Collection

from emostream.shared.bus import Receiver
from emostream.shared.gaps import Gaps
from emostream.shared.link_pacing import LinkPacer


class CountedReceiver:
    """A receiver with its gap counter. Not thread-safe."""

    def __init__(self, receiver: Receiver, gaps: Gaps, pacer: LinkPacer | None = None) -> None:
        self._receiver = receiver
        self._pacer = pacer
        self._gaps = gaps
        self._topics: frozenset[str] = frozenset()

    def follow(self, topics: Collection[str]) -> None:
        """From now on, receive exactly these topics, in addition to the initial ones.

        Messages sent on a topic while it was not received count as late.
        """
        wanted = frozenset(topics)
        if wanted != self._topics:
            self._gaps.follow(self._topics, wanted)
            self._receiver.follow(wanted)
            self._topics = wanted

    def spare(self, *, on: bool) -> None:
        """While `on`, receive few of the messages of each stream, if they are paced."""
        if self._pacer:
            self._pacer.is_spared = on
