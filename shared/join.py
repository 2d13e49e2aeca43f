"""Joins frames with their results, by stream, run and sequence number."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from emostream.shared.messages import AnyHeader, Emotion, EmotionFace, Frame, Message

# After this many consecutive frames below the last one handed out, the stream continues there: the
# last one was the outlier.
RESUMED_AFTER: Final = 3


@dataclass(frozen=True, slots=True)
class Joined:
    """A frame with the results that arrived in time; `whole` if no part is missing."""

    frame: Message
    results: tuple[Emotion, ...]
    whole: bool

    @property
    def faces(self) -> tuple[EmotionFace, ...]:
        """The faces of all parts."""
        return tuple(face for result in self.results for face in result.faces)

    @property
    def completeness(self) -> str:
        """Which of the frame's results arrived in time: `whole`, `partial` or `none`."""
        if self.whole:
            return "whole"
        return "partial" if self.results else "none"


@dataclass(slots=True)
class _Waiting:
    frame: Message | None
    deadline: float
    results: dict[int, Emotion] = field(default_factory=dict)


def _joined(entry: _Waiting, whole: bool) -> Joined:
    assert entry.frame is not None
    results = tuple(entry.results[part] for part in sorted(entry.results))
    return Joined(entry.frame, results, whole)


class StreamJoin:
    """Joins one stream's frames with their results and hands them out in order.

    A frame is handed out when all its parts have arrived, when the missing parts cannot arrive any
    more (a later frame's same part has arrived), or `wait` seconds after its arrival, whichever is
    first. Results without a frame are ignored, however high their `seq`. Times are seconds on any
    steady clock, passed in.
    """

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._run = ""
        self._waiting: dict[int, _Waiting] = {}
        self._left: deque[Joined] = deque()
        self._newest: dict[int, int] = {}
        self._parts = 1
        self._given = -1
        self._refused = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, message: Message, now: float) -> None:
        """Take a `frame/` or `emotion/` message that arrived at `now`."""
        header = message.header
        if header.run != self._run and isinstance(header, Frame):
            self._restart(header.run)
        # Results of an earlier run may arrive after the first frame of the next.
        if header.run != self._run or not header.is_data:
            return
        if header.seq <= self._given and not self._resumes(header):
            return
        entry = self._waiting.setdefault(header.seq, _Waiting(None, now + self._wait))
        if isinstance(header, Emotion):
            entry.results[header.part] = header
            self._parts = header.parts
        else:
            entry.frame = message
            entry.deadline = now + self._wait
            self._refused = 0
        if entry.frame is not None:
            for part in entry.results:
                self._newest[part] = max(header.seq, self._newest.get(part, -1))

    def ready(self, now: float) -> Iterator[Joined]:
        """Yield the frames that are ready, oldest first."""
        while self._left:
            yield self._left.popleft()
        while self._waiting:
            seq = min(self._waiting)
            entry = self._waiting[seq]
            whole = len(entry.results) == self._parts
            if entry.frame is None:
                # Results may arrive before their frame; without it there is nothing to draw on.
                if now < entry.deadline:
                    return
            elif not (whole or self._is_past(seq) or now >= entry.deadline):
                return
            del self._waiting[seq]
            if entry.frame is not None:
                self._given = seq
                yield _joined(entry, whole)

    def _resumes(self, header: AnyHeader) -> bool:
        """Whether the stream continues from this frame although a later one was handed out."""
        self._refused += isinstance(header, Frame)
        if self._refused < RESUMED_AFTER or not isinstance(header, Frame):
            return False
        self._restart(header.run)
        return True

    def _is_past(self, seq: int) -> bool:
        results = self._waiting[seq].results
        return all(
            self._newest.get(part, -1) > seq for part in range(self._parts) if part not in results
        )

    def _restart(self, run: str) -> None:
        self._left.extend(
            _joined(entry, len(entry.results) == self._parts)
            for _, entry in sorted(self._waiting.items())
            if entry.frame is not None
        )
        self._run = run
        self._waiting.clear()
        self._newest.clear()
        self._given = -1
        self._refused = 0
