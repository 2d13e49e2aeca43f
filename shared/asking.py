"""Requests for single messages: from which streams, and which are still unanswered."""

import secrets
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from emostream.shared.requests import request

# A requested message may be lost, or its stream may be quiet: then another one is requested.
# By stream: three times what its last answer took, within these bounds.
PATIENCE_S: Final = 1.0
PATIENCE_AT_LEAST_S: Final = 0.3
PATIENCE_AT_MOST_S: Final = 60.0
# Streams without messages for this long are not requested.
SILENT_AFTER_S: Final = 10.0
# The next message is hardly ever from a slow new stream if there are fast ones. Therefore a stage
# that is behind also receives all messages, for a short time in each interval.
LISTEN_S: Final = 0.25
LISTEN_EVERY_S: Final = 5.0


class _Asked(NamedTuple):
    topics: str
    at: float


class Asking:
    """The requests of one subscriber to `topics`, from each stream in turn.

    A stream has at most one unanswered request. At intervals, one is for any next message, perhaps
    from a new stream. Times are s on the steady `clock`. Used by the receiving thread.
    """

    def __init__(self, topics: Collection[str], clock: Callable[[], float]) -> None:
        self._topics = tuple(topics)
        self._clock = clock
        self._name = secrets.token_hex(4)
        self._requests = 0
        self._waiting: dict[str, _Asked] = {}
        self._seen: dict[str, float] = {}
        # In the order of their turns.
        self._turns: dict[str, None] = {}
        self._looked = self._listen_at = clock()
        self._patience: dict[str, float] = {}

    def __len__(self) -> int:
        """Return how many requests are unanswered."""
        return len(self._waiting)

    @property
    def subscriptions(self) -> frozenset[str]:
        """The unanswered requests."""
        return frozenset(self._waiting)

    @property
    def streams(self) -> Collection[str]:
        """The topics of the streams that sent something recently."""
        return self._seen.keys()

    def see(self, topic: str) -> None:
        """Note a message of the stream of this topic."""
        self._seen[topic] = self._clock()
        self._turns.setdefault(topic)

    def answered(self, topic: str) -> None:
        """Note the answer to a request: its full topic."""
        name = topic.split("/", 2)[1]
        key = next((key for key in self._waiting if key.split("/", 2)[1] == name), "")
        if key:
            asked = self._waiting.pop(key)
            took = self._clock() - asked.at
            patience = min(max(PATIENCE_AT_LEAST_S, 3 * took), PATIENCE_AT_MOST_S)
            self._patience[asked.topics] = patience

    def ask(self, most: int, look_again: float) -> None:
        """Send requests until `most` are unanswered, or one per stream; give up on old ones.

        New streams are looked for every `look_again` s.
        """
        now = self._clock()
        for key, asked in list(self._waiting.items()):
            others = max(self._patience.values(), default=PATIENCE_S)
            patience = self._patience.get(asked.topics, max(PATIENCE_S, others))
            if now - asked.at > patience:
                del self._waiting[key]
                self._patience[asked.topics] = min(2 * patience, PATIENCE_AT_MOST_S)
        while len(self) < most and (topics := self._next(now, look_again)):
            self._requests += 1
            name = f"{self._name}-{self._requests}"
            self._waiting[request(name, topics)] = _Asked(topics, now)

    def listens(self) -> bool:
        """Whether it is time to receive all messages, to find new streams."""
        now = self._clock()
        if not self._listen_at - LISTEN_EVERY_S <= now < self._listen_at + LISTEN_S:
            self._listen_at = now + LISTEN_EVERY_S
        return now >= self._listen_at

    def stop(self) -> None:
        """Forget all requests."""
        self._waiting.clear()
        self._patience.clear()

    def forget_silent(self) -> list[str]:
        """Forget the streams that sent nothing recently; return their topics."""
        now = self._clock()
        silent = [topic for topic, at in self._seen.items() if now - at >= SILENT_AFTER_S]
        for topic in silent:
            del self._seen[topic], self._turns[topic]
            self._patience.pop(topic, None)
        return silent

    def _next(self, now: float, look_again: float) -> str:
        """Return the topics to request next, or "" if all are requested."""
        asked = {each.topics for each in self._waiting.values()}
        if not asked.intersection(self._topics) and (
            not self._seen or now - self._looked > look_again
        ):
            # Any next message, perhaps from a new stream.
            self._looked = now
            return self._topics[self._requests % len(self._topics)]
        topic = next((topic for topic in self._turns if topic not in asked), "")
        if topic:
            del self._turns[topic]
            self._turns[topic] = None
        return topic
