"""Detects duplicate answers of two classifiers to the same faces; the first answer counts."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from emostream.shared.messages import AnyHeader, Emotion, Event

# Tracks per stream, far more than exist at a time; the least recent are forgotten first.
MOST_TRACKS: Final = 2000


class _Answer(NamedTuple):
    """The newest answer to one part of a stream."""

    run: str
    seq: int
    t: int
    publisher: str


@dataclass(frozen=True, slots=True)
class _Told:
    """The last event of a track: its label, "" once it left."""

    label: str
    run: str
    seq: int
    t: int
    publisher: str

    def is_after(self, other: "_Told") -> bool:
        """Whether it belongs to a later frame, even if the clock was set back."""
        return self.t > other.t or (self.run == other.run and self.seq > other.seq)


class Duplicates:
    """Finds messages that another publisher already sent. A publisher may repeat its own messages.

    An answer is a duplicate if another publisher already answered that frame or a later one. An
    event is a duplicate if another publisher already reported the same state of the track, or a
    later one.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[str, int], _Answer] = {}
        self._tracks: dict[str, dict[int, _Told]] = {}

    def has(self, header: AnyHeader) -> bool:
        """Whether a message is a duplicate; if not, it is remembered."""
        match header:
            case Emotion() if not header.probe:
                return self._has_answer(header)
            case Event():
                return self._has_event(header)
            case _:
                return False

    def forget(self, stream: str) -> None:
        """Forget the stream."""
        self._tracks.pop(stream, None)
        for key in [key for key in self._answers if key[0] == stream]:
            del self._answers[key]

    def _has_answer(self, header: Emotion) -> bool:
        key = header.stream, header.part
        answer = _Answer(header.run, header.seq, header.t, header.publisher)
        last = self._answers.get(key)
        # If t is later, the capture was restarted with the same run.
        if (
            last is not None
            and (last.publisher != answer.publisher and last.run == answer.run)
            and (last.seq >= answer.seq and last.t >= answer.t)
        ):
            return True
        self._answers[key] = answer
        return False

    def _has_event(self, header: Event) -> bool:
        tracks = self._tracks.setdefault(header.stream, {})
        label = "" if header.kind == "leave" else header.label
        last = tracks.pop(header.track, None)
        told = _Told(label, header.run, header.seq, header.t, header.publisher)
        is_other = last is not None and last.publisher != header.publisher
        if last is not None and is_other and (not told.is_after(last) or label == last.label):
            tracks[header.track] = last
            return True
        tracks[header.track] = told
        if len(tracks) > MOST_TRACKS:
            del tracks[next(iter(tracks))]
        return False
