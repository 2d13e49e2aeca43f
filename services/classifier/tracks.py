"""The tracks of one part of a stream: their labels, and when they enter and leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgpack
import msgspec
import numpy as np
from numpy.typing import NDArray

from emostream.services.classifier.baseline import Baseline
from emostream.services.classifier.baseline import State as BaselineState
from emostream.services.classifier.inclusion import InclusionCriteria
from emostream.services.classifier.smoothing import NS, ShownLabel, SmoothingRules, State
from emostream.shared.absence import AbsenceClock
from emostream.shared.fields import Nanoseconds, Number, Pts
from emostream.shared.messages import EmotionFace, Event, Face, Faces, Header, common_fields

# The format of `PartTracks.state`: last frame, tracks, baselines, absence clock.
_TracksState: TypeAlias = tuple[
    tuple[Number, Nanoseconds, Pts],
    list[tuple[Number, Pts, Nanoseconds, Number, Nanoseconds, State | None]],
    list[tuple[Number, BaselineState]],
    tuple[Nanoseconds, Pts | None, Nanoseconds],
]
_STATE: Final = msgspec.msgpack.Decoder(_TracksState)


@dataclass(slots=True)
class _Track:
    """A track, last `seen` at a pts that was `present` on the absence clock.

    `good_frames` had sufficient quality (counted until it enters), the last one at `judged` on that
    clock; `shown` is None before the first.
    """

    seen: int
    present: int
    shown: ShownLabel | None = None
    good_frames: int = 0
    judged: int = 0


class PartTracks:
    """The tracks in one part (shard) of one run of a stream.

    A part has only its own tracks, so absence depends only on that part's frames. A track's state
    is forgotten when it leaves. If `neutral` is the index of that label, each track is centered on
    its resting face. A face that the `criteria` leave out (by default none) keeps its track
    present, but does not change it otherwise.
    """

    def __init__(
        self,
        labels: Sequence[str],
        rules: SmoothingRules,
        first: Header,
        neutral: int | None = None,
        criteria: InclusionCriteria | None = None,
    ) -> None:
        self._labels = labels
        self._rules = rules
        self._criteria = criteria or InclusionCriteria()
        self._neutral = neutral
        self._baselines: dict[int, Baseline] = {}
        self._tracks: dict[int, _Track] = {}
        self._leave_after = round(rules.leave_after * NS)
        self._absence = AbsenceClock(self._leave_after)
        self._now = 0
        self._header = first

    @property
    def run(self) -> str:
        """The run of the tracks."""
        return self._header.run

    def update(
        self, header: Faces, probabilities: NDArray[np.floating]
    ) -> tuple[list[Event], list[EmotionFace]]:
        """Take a frame's faces with their probabilities (N, C); return its events and emotions."""
        self._begin_frame(header)
        events: list[Event] = []
        emotions: list[EmotionFace] = []
        for face, given in zip(header.faces, probabilities, strict=True):
            track = self._seen(face.track)
            if self._criteria.is_good(face.quality):
                given = self._centered(face.track, given)
                events += self._observe(face.track, track, given)
            elif baseline := self._baselines.get(face.track):
                given = baseline.apply(given)
            emotions.append(self._emotion(face, track, given))
        return events + self._leave_absent(), emotions

    def update_unclassified(self, header: Faces) -> list[Event]:
        """Take a frame whose faces could not be classified; all tracks stay unchanged."""
        self._begin_frame(header)
        for face in header.faces:
            if track := self._tracks.get(face.track):
                track.seen, track.present = header.pts, self._now
        return self._leave_absent()

    def forget_baselines(self) -> None:
        """Start to learn the tracks' resting faces again, for another model."""
        self._baselines.clear()

    def leave(self) -> list[Event]:
        """End all tracks; their events carry the header of the last frame."""
        return self._forget(list(self._tracks))

    def state(self) -> bytes:
        """Return the complete state: last frame, tracks, baselines and absence clock."""
        tracks = [
            (n, t.seen, t.present, t.good_frames, t.judged, t.shown and t.shown.state())
            for n, t in self._tracks.items()
        ]
        baselines = [(number, known.state()) for number, known in self._baselines.items()]
        at = (self._header.seq, self._header.t, self._header.pts)
        state: bytes = msgpack.packb((at, tracks, baselines, self._absence.state()))
        return state

    def restore(self, state: bytes) -> None:
        """Continue from a state; ValueError if it is not a track state with these labels."""
        (seq, t, pts), tracks, baselines, clock = _decoded(state, len(self._labels))
        self._absence.restore(clock)
        self._header = msgspec.structs.replace(
            self._header, seq=seq, t=t, pts=pts, probe=False, pid=0, base=0, states={}
        )
        for number, seen, present, good_frames, judged, shown in tracks:
            known = None
            if shown:
                known = ShownLabel(self._rules, np.zeros(len(self._labels)), seen)
                known.restore(shown)
            self._tracks[number] = _Track(seen, present, known, good_frames, judged)
        for number, learned in baselines if self._neutral is not None else ():
            assert self._neutral is not None
            self._baselines[number] = Baseline(self._neutral, len(self._labels))
            self._baselines[number].restore(learned)

    def _begin_frame(self, header: Faces) -> None:
        self._header = header
        self._now = self._absence.advance(header.pts, recorded=header.recorded)

    def _centered(self, number: int, given: NDArray[np.floating]) -> NDArray[np.floating]:
        if self._neutral is None:
            return given
        baseline = self._baselines.setdefault(number, Baseline(self._neutral, len(given)))
        return baseline.center(given, self._header.pts)

    def _seen(self, number: int) -> _Track:
        """Return the track as seen now, created if it is new."""
        track = self._tracks.setdefault(number, _Track(self._header.pts, self._now))
        track.seen, track.present = self._header.pts, self._now
        return track

    def _observe(
        self, number: int, track: _Track, probabilities: NDArray[np.floating]
    ) -> list[Event]:
        """Take a good frame of the track."""
        pts = self._header.pts
        previous, changed = "", False
        if track.shown is None:
            track.shown = ShownLabel(self._rules, probabilities, pts)
        else:
            if self._now - track.judged >= self._leave_after:
                track.shown.interrupt()
            previous = self._labels[track.shown.label]
            changed = track.shown.update(probabilities, pts)
        track.judged = self._now
        if not self._has_entered(track):
            track.good_frames += 1
            return [self._event("enter", number, track.shown)] if self._has_entered(track) else []
        return [self._event("change", number, track.shown, previous)] if changed else []

    def _has_entered(self, track: _Track) -> bool:
        return track.good_frames >= self._criteria.enter_frames

    def _leave_absent(self) -> list[Event]:
        return self._forget(
            [
                number
                for number, track in self._tracks.items()
                if self._now - track.present >= self._leave_after
            ]
        )

    def _forget(self, numbers: Sequence[int]) -> list[Event]:
        """Forget tracks; return the events of those that had entered."""
        events = []
        for number in numbers:
            track = self._tracks[number]
            if track.shown is not None and self._has_entered(track):
                events.append(self._event("leave", number, track.shown))
            del self._tracks[number]
            self._baselines.pop(number, None)
        return events

    def _event(
        self,
        kind: Literal["enter", "change", "leave"],
        number: int,
        shown: ShownLabel,
        previous: str = "",
    ) -> Event:
        return Event(
            **common_fields(self._header),
            kind=kind,
            track=number,
            label=self._labels[shown.label],
            previous=previous,
            confidence=shown.confidence,
            since=self._tracks[number].seen if kind == "leave" else shown.since,
        )

    def _emotion(
        self, face: Face, track: _Track, probabilities: NDArray[np.floating]
    ) -> EmotionFace:
        left_out = self._criteria.reason(face.quality, track.good_frames)
        shown = track.shown
        smoothed = probabilities if shown is None else shown.smoothed
        return EmotionFace(
            track=face.track,
            box=face.box,
            probabilities=dict(zip(self._labels, probabilities.tolist(), strict=True)),
            smoothed=dict(zip(self._labels, smoothed.tolist(), strict=True)),
            label=self._labels[shown.label] if shown and not left_out else "",
            confidence=shown.confidence if shown and not left_out else 0.0,
            score=face.score,
            quality=face.quality,
            left_out=left_out,
        )


def _decoded(state: bytes, labels: int) -> _TracksState:
    """Return the parts of a state; ValueError if it is not one with this many labels."""
    try:
        found: _TracksState = _STATE.decode(state)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a track state: {error}") from error
    shown = [known for *_, known in found[1] if known]
    wrong = any(
        len(evidence) != labels or len(smoothed) != labels or not 0 <= label < labels
        for evidence, smoothed, _, label, *_ in shown
    )
    if wrong or any(len(discounts) != labels for _, (discounts, _) in found[2]):
        raise ValueError("a track state with other labels")
    if any(max(present, judged) > found[3][0] for _, _, present, _, judged, _ in found[1]):
        raise ValueError("a track state from the future, whose tracks would never leave")
    return found
