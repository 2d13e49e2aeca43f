"""Whether a consumer is behind, and how much it has room for, as its inbox tells."""

from collections.abc import Callable
from typing import Final

from emostream.shared.inbox import LiveInbox
from emostream.shared.requests import MOST_EACH

# It is behind when more than this share of what came in so many s was dropped, and keeps up again
# when it gets this share of what is sent. Between the two nothing changes.
DROPPED_SHARE: Final = 1 / 3
LOOK_EVERY_S: Final = 1.0
KEEPS_UP_SHARE: Final = 0.9
KEEPS_UP_FOR_S: Final = 2.0
# Where more streams send slowly than may be asked at once, the consumer waits for them in vain:
# then all is tried after a time. A publisher that answers nothing knows no requests.
TRY_AFTER_S: Final = 15.0
UNANSWERED_AGAIN_S: Final = 60.0
# What it asks for should wait for no longer than this share of the longest age.
WAIT_SHARE: Final = 0.5
FIRST_WINDOW: Final = 2.0
STEP: Final = 0.5


class ConsumerPace:
    """Finds out whether a consumer is behind, and then how many messages to have on the way to it.

    As many as keep it busy, and no more than it works on soon: half a message more for each that
    comes while it has nothing to do, and half a message less for each that comes while they wait
    for long. Times are s on the steady `clock`. Used by the thread that receives.
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
        """How many messages should be on the way to the inbox now."""
        return max(0, int(self._window) - len(self._inbox))

    def note_arrival(self, sent: int) -> None:
        """Note that a message is about to be put into the inbox, one of `sent` of its stream."""
        self._got += 1
        self._sent += sent
        if self._inbox.is_idle:
            self._window = min(self._window + STEP, MOST_EACH)
        elif self._inbox.waited > self._longest_wait:
            self._window = max(self._window - STEP, 1.0)

    def look(self) -> None:
        """Find out, now and then, whether it is behind."""
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
            return len(self._inbox) == 0
        self._is_answered = True
        if self._window >= MOST_EACH and now - self._changed > TRY_AFTER_S:
            return True
        return self._got >= KEEPS_UP_SHARE * self._sent

    def _change(self, now: float, *, is_behind: bool) -> None:
        # Where it asks, nothing is dropped that would show the stage that it is behind.
        self.is_behind = self._inbox.is_short = is_behind
        self._changed, self._window = now, FIRST_WINDOW
