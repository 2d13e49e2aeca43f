"""The display's data on one stream, apart from its pictures."""

import itertools
import statistics
from collections import Counter, deque
from typing import NamedTuple

import msgspec

from emostream.services.display.face_timeline import FaceTimeline
from emostream.services.display.schema import FaceState, StreamSnapshot, StreamState
from emostream.shared.face_numbers import FaceNumbers
from emostream.shared.left_out import REASONS
from emostream.shared.messages import EmotionFace, Frame

RATE_OVER_S = 2.0
ANALYZED_OVER_S = 5.0
# When the active classifier is back, it and the standby both answer for some seconds. One answer
# from it within this time shows that it is back.
STANDBY_OVER_S = 1.0
# A stream is stale if frames arrive for this long without an answer.
STALE_AFTER_S = 2.0


class ShownFrame(NamedTuple):
    """A frame shown at time `at` (s), `latency` ms after its capture; None if unknown."""

    at: float
    latency: float | None


class Answer(NamedTuple):
    """Results that arrived at time `at` (s): one of the `parts` of frame `seq` in a `run`."""

    at: float
    run: str
    seq: int
    part: int = 0
    parts: int = 1
    standby: bool = False


class StreamRecord:
    """The data on a stream that was first heard at `now`, in s on the display's clock."""

    def __init__(self, now: float) -> None:
        # The first message of a stream may be its end.
        self.heard = now
        self.timeline = FaceTimeline()
        self.numbers = FaceNumbers()
        self.shown: deque[ShownFrame] = deque(maxlen=512)
        self.frame: Frame | None = None
        self.faces: tuple[EmotionFace, ...] = ()
        self.faces_seen = 0
        self.left_out = Counter(dict.fromkeys(REASONS, 0))
        self.answered = float("-inf")
        self.answers: deque[Answer] = deque(maxlen=4096)
        self.first_shown = 0.0
        self.ended = False


def state_of(stream: StreamRecord, now: float) -> StreamState:
    """Return the stream's state for the page, apart from its pictures."""
    recent = [shown for shown in stream.shown if now - shown.at <= RATE_OVER_S]
    latencies = [each.latency for each in recent if each.latency is not None]
    last = stream.shown[-1].at if stream.shown else max(stream.answered, stream.heard)
    since_answer = now - max(stream.answered, stream.first_shown)
    return StreamState(
        fps=round(_rate([shown.at for shown in recent]), 1),
        latency_ms=round(statistics.median(latencies), 1) if latencies else 0.0,
        age_ms=round(1000 * (now - last)),
        t=stream.frame.t / 1e6 if stream.frame else 0.0,
        stale=bool(recent) and since_answer > STALE_AFTER_S,
        ended=stream.ended,
        analyzed=round(analyzed(stream, now), 3),
        faces_seen=stream.faces_seen,
        left_out=dict(stream.left_out),
        standby=_is_by_standby(stream),
    )


def snapshot_of(stream: StreamRecord, now: float) -> StreamSnapshot:
    """Return the same, with the newest frame's faces."""
    state = msgspec.structs.asdict(state_of(stream, now))
    faces = [FaceState.of(face) for face in stream.faces]
    if stream.frame is None:
        return StreamSnapshot(**state, faces=faces)
    frame = stream.frame
    return StreamSnapshot(
        **state, faces=faces, width=frame.width, height=frame.height, seq=frame.seq, run=frame.run
    )


def _rate(times: list[float]) -> float:
    """Return the rate per second for these arrival times."""
    if len(times) < 2:
        return 0.0
    return (len(times) - 1) / max(times[-1] - times[0], 1e-3)


def analyzed(stream: StreamRecord, now: float) -> float:
    """Return the share of recently captured frames that were answered, from gaps in `seq`.

    For frames in several parts, it is the mean answered share of the parts: a part without an
    answer counts as not analyzed.
    """
    answers = [each for each in stream.answers if now - each.at <= ANALYZED_OVER_S]
    answers = [each for each in answers if each.run == answers[-1].run]
    seqs = {each.seq for each in answers}
    if len(seqs) < 2:
        return 1.0
    # The first frame does not count, because its interval started earlier.
    got = {(each.seq, each.part) for each in answers if each.seq > min(seqs)}
    return len(got) / (answers[-1].parts * (max(seqs) - min(seqs)))


def _is_by_standby(stream: StreamRecord) -> bool:
    """Return whether the newest answers to a part of the stream were all from a standby."""
    if not stream.answers:
        return False
    since = stream.answers[-1].at - ANALYZED_OVER_S
    newest: dict[int, float] = {}
    active: set[int] = set()
    for answer in itertools.takewhile(lambda each: each.at >= since, reversed(stream.answers)):
        if newest.setdefault(answer.part, answer.at) - answer.at < STANDBY_OVER_S:
            active.update([] if answer.standby else [answer.part])
    return bool(newest.keys() - active)
