"""Requests for single messages: of which streams, and which of them still wait for theirs."""

import secrets
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from emostream.shared.requests import request

# What is asked for may be lost, or of a stream that is quiet: then another is asked for.
PATIENCE_S: Final = 1.0
PATIENCE_AT_MOST_S: Final = 60.0
# Streams that were not seen for so long are not asked for.
SILENT_AFTER_S: Final = 10.0


class _Asked(NamedTuple):
    topics: str
    at: float


class Asking:
    """The requests of one subscriber to `topics`, of each stream in turn.

    No two wait for the same stream's message. Now and then one is for whatever comes next, perhaps
    of a new stream. Times are s on the steady `clock`. Used by the thread that receives.
    """

    def __init__(self, topics: Collection[str], clock: Callable[[], float]) -> None:
        self._topics = tuple(topics)
        self._clock = clock
        self._name = secrets.token_hex(4)
        self._requests = 0
        self._waiting: dict[str, _Asked] = {}
        self._seen: dict[str, float] = {}
        # Those to be asked for next are first.
        self._turns: dict[str, None] = {}
        self._looked = clock()
        self._patience = PATIENCE_S

    def __len__(self) -> int:
        """Return how many requests wait."""
        return len(self._waiting)

    @property
    def subscriptions(self) -> frozenset[str]:
        """The requests that wait."""
        return frozenset(self._waiting)

    @property
    def streams(self) -> Collection[str]:
        """The topics of the streams that were seen lately."""
        return self._seen.keys()

    def see(self, topic: str) -> None:
        """Note that the stream of this topic sends."""
        self._seen[topic] = self._clock()
        self._turns.setdefault(topic)

    def answered(self, topic: str) -> None:
        """Note that a message came on this topic, which begins with what it was asked for by."""
        name = topic.split("/", 2)[1]
        key = next((key for key in self._waiting if key.split("/", 2)[1] == name), "")
        if key:
            asked = self._waiting.pop(key)
            self._patience = max(PATIENCE_S, 3 * (self._clock() - asked.at))

    def ask(self, most: int, look_again: float) -> None:
        """Ask until `most` requests wait, or one for each stream; give up on those in vain.

        New streams are looked for every `look_again` s.
        """
        now = self._clock()
        for key, asked in list(self._waiting.items()):
            if now - asked.at > self._patience:
                del self._waiting[key]
                self._patience = min(2 * self._patience, PATIENCE_AT_MOST_S)
        while len(self) < most and (topics := self._next(now, look_again)):
            self._requests += 1
            name = f"{self._name}-{self._requests}"
            self._waiting[request(name, topics)] = _Asked(topics, now)

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._waiting.clear()
        self._patience = PATIENCE_S

    def forget_silent(self) -> list[str]:
        """Forget the streams that were not seen lately; return their topics."""
        now = self._clock()
        silent = [topic for topic, at in self._seen.items() if now - at >= SILENT_AFTER_S]
        for topic in silent:
            del self._seen[topic], self._turns[topic]
        return silent

    def _next(self, now: float, look_again: float) -> str:
        """Return what to ask for next; "" if all of it is asked for."""
        asked = {each.topics for each in self._waiting.values()}
        if not asked.intersection(self._topics) and (
            not self._seen or now - self._looked > look_again
        ):
            # Whichever is the next: perhaps a new stream.
            self._looked = now
            return self._topics[self._requests % len(self._topics)]
        topic = next((topic for topic in self._turns if topic not in asked), "")
        if topic:
            del self._turns[topic]
            self._turns[topic] = None
        return topic
