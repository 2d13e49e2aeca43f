"""Back-pressure for a slow stage: whether it is behind, and how many messages it has room for."""

from collections.abc import Callable
from typing import Final

from emostream.shared.inbox import LiveInbox
from emostream.shared.requests import MOST_EACH

# A stage is behind if it drops more than the first share of its messages within a second, and keeps
# up again if it gets the second share of what is sent. In between, nothing changes.
DROPPED_SHARE: Final = 1 / 3
LOOK_EVERY_S: Final = 1.0
KEEPS_UP_SHARE: Final = 0.9
KEEPS_UP_FOR_S: Final = 2.0
# If more slow streams exist than requests are allowed, the stage idles: then all messages are
# retried after a time. A publisher that answers nothing does not support requests.
TRY_AFTER_S: Final = 15.0
UNANSWERED_AGAIN_S: Final = 60.0
# Requested messages should wait no longer than this share of `max_age`.
WAIT_SHARE: Final = 0.5
FIRST_WINDOW: Final = 2.0
STEP: Final = 0.5


class ConsumerPace:
    """Detects from `inbox` that a stage is behind, and how many messages to request for it.

    As many as keep it busy without long waits: for each message that arrives while the stage is
    idle half a message more, and for each that arrives while messages wait for long half a message
    less. Times are s on the steady `clock`. Used by the receiving thread.
    """

    def __init__(self, inbox: LiveInbox, max_age: float, clock: Callable[[], float]) -> None:
        self.is_behind = False
        self._inbox = inbox
        self._longest_wait = WAIT_SHARE * max_age
        self._clock = clock
        self._window = FIRST_WINDOW
        self._changed = self._looked = clock()
        self._not_before = self._changed
        self._is_answered = False
        self._before = inbox.counts
        self._got = self._sent = 0

    @property
    def room(self) -> int:
        """How many requests should be unanswered now."""
        return max(0, int(self._window) - len(self._inbox))

    def note_arrival(self, sent: int) -> None:
        """Note a message for the inbox, the only one received of `sent` messages of its stream."""
        self._got += 1
        self._sent += sent
        if self._inbox.is_idle:
            self._window = min(self._window + STEP, MOST_EACH)
        elif self._inbox.waited > self._longest_wait:
            self._window = max(self._window - STEP, 1.0)

    def look(self) -> None:
        """Check at intervals whether the stage is behind."""
        now = self._clock()
        if now - self._looked < (KEEPS_UP_FOR_S if self.is_behind else LOOK_EVERY_S):
            return
        if self.is_behind and self._may_have_all(now):
            self._change(now, is_behind=False)
        elif not self.is_behind and self._drops_much() and now >= self._not_before:
            self._change(now, is_behind=True)
        self._looked, self._before = now, self._inbox.counts
        self._got = self._sent = 0

    def _drops_much(self) -> bool:
        dropped = self._inbox.counts.dropped - self._before.dropped
        return dropped > DROPPED_SHARE * (self._inbox.counts.put - self._before.put)

    def _may_have_all(self, now: float) -> bool:
        if not self._got:
            if not self._is_answered:
                self._not_before = now + UNANSWERED_AGAIN_S
            if len(self._inbox):
                return False
            # If the publisher was replaced by one without requests, the next ones show it.
            self._is_answered = False
            return True
        self._is_answered = True
        if self._window >= MOST_EACH and now - self._changed > TRY_AFTER_S:
            return True
        return self._got >= KEEPS_UP_SHARE * self._sent

    def _change(self, now: float, *, is_behind: bool) -> None:
        # While messages are requested, no drops tell the stage that it is behind.
        self.is_behind = self._inbox.is_short = is_behind
        self._changed, self._window = now, FIRST_WINDOW
