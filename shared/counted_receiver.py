"""A receiver that counts what was lost on the way, of topics that may change while it runs."""

from collections.abc import Collection

from emostream.shared.bus import Receiver
from emostream.shared.gaps import Gaps
from emostream.shared.link_pacing import LinkPacer


class CountedReceiver:
    """A receiver and the gaps in what it receives. Used by one thread."""

    def __init__(self, receiver: Receiver, gaps: Gaps, pacer: LinkPacer | None = None) -> None:
        self._receiver = receiver
        self._pacer = pacer
        self._gaps = gaps
        self._topics: frozenset[str] = frozenset()

    def follow(self, topics: Collection[str]) -> None:
        """Receive exactly these topics from now on, in addition to those that it began with.

        What was sent on a topic while it was not received counts as late.
        """
        wanted = frozenset(topics)
        if wanted != self._topics:
            self._gaps.follow(self._topics, wanted)
            self._receiver.follow(wanted)
            self._topics = wanted

    def spare(self, *, on: bool) -> None:
        """Receive few of the messages of each stream while that is `on`, where they are paced."""
        if self._pacer:
            self._pacer.is_spared = on
