"""The tracks of one part of a stream: what is shown for each, and when it comes and goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgpack
import msgspec
import numpy as np
from numpy.typing import NDArray

from emostream.services.classifier.baseline import Baseline
from emostream.services.classifier.smoothing import NS, ShownLabel, SmoothingRules
from emostream.shared.absence import AbsenceClock
from emostream.shared.messages import EmotionFace, Event, Face, Faces, common_fields


@dataclass(slots=True)
class _Track:
    """A track as shown: last `seen` at that pts, which was `present` on the clock of absence."""

    shown: ShownLabel
    seen: int
    present: int


class PartTracks:
    """The tracks that one part (shard) of one run of a stream carries.

    A part has only its own tracks, so absence is judged by that part's frames alone. What a track
    holds is forgotten when it leaves. Where `neutral` is the index of that label, each track is
    centred on its resting face.
    """

    def __init__(
        self, labels: Sequence[str], rules: SmoothingRules, first: Faces, neutral: int | None = None
    ) -> None:
        self._labels = labels
        self._rules = rules
        self._neutral = neutral
        self._baselines: dict[int, Baseline] = {}
        self._tracks: dict[int, _Track] = {}
        self._leave_after = round(rules.leave_after * NS)
        self._absence = AbsenceClock(self._leave_after)
        self._now = 0
        self._header = first

    @property
    def run(self) -> str:
        """The run that the tracks belong to."""
        return self._header.run

    def update(
        self, header: Faces, probabilities: NDArray[np.floating]
    ) -> tuple[list[Event], list[EmotionFace]]:
        """Take a frame's faces with their probabilities (N, C); return its events and emotions."""
        self._begin_frame(header)
        events: list[Event] = []
        emotions: list[EmotionFace] = []
        for face, given in zip(header.faces, probabilities, strict=True):
            row = self._centred(face.track, given)
            events += self._observe(face.track, row)
            emotions.append(self._emotion(face, row))
        return events + self._leave_absent(), emotions

    def update_unclassified(self, header: Faces) -> list[Event]:
        """Take a frame whose faces could not be classified: who is there stays as they were."""
        self._begin_frame(header)
        for face in header.faces:
            if track := self._tracks.get(face.track):
                track.seen, track.present = header.pts, self._now
        return self._leave_absent()

    def forget_baselines(self) -> None:
        """Let the tracks' resting faces be learnt anew, as another model sees them."""
        self._baselines.clear()

    def leave(self) -> list[Event]:
        """Let all tracks leave; their events carry the header of the last frame."""
        return [self._forget(number) for number in list(self._tracks)]

    def state(self) -> bytes:
        """Return all that it goes on from, exactly: the last frame, the tracks, the baselines."""
        tracks = [(n, t.seen, t.present, t.shown.state()) for n, t in self._tracks.items()]
        baselines = [(number, known.state()) for number, known in self._baselines.items()]
        at = (self._header.seq, self._header.t, self._header.pts)
        state: bytes = msgpack.packb((at, tracks, baselines, self._absence.state()))
        return state

    def restore(self, state: bytes) -> None:
        """Go on from there."""
        (seq, t, pts), tracks, baselines, clock = msgpack.unpackb(state)
        self._absence.restore(clock)
        self._header = msgspec.structs.replace(
            self._header, seq=seq, t=t, pts=pts, probe=False, pid=0, base=0, states={}
        )
        for number, seen, present, shown in tracks:
            known = ShownLabel(self._rules, np.zeros(len(self._labels)), seen)
            known.restore(shown)
            self._tracks[number] = _Track(known, seen, present)
        for number, learnt in baselines:
            assert self._neutral is not None
            self._baselines[number] = Baseline(self._neutral, len(self._labels))
            self._baselines[number].restore(learnt)

    def _begin_frame(self, header: Faces) -> None:
        self._header = header
        self._now = self._absence.advance(header.pts, recorded=header.recorded)

    def _centred(self, number: int, given: NDArray[np.floating]) -> NDArray[np.floating]:
        if self._neutral is None:
            return given
        baseline = self._baselines.setdefault(number, Baseline(self._neutral, len(given)))
        return baseline.centre(given, self._header.pts)

    def _observe(self, number: int, probabilities: NDArray[np.floating]) -> list[Event]:
        pts = self._header.pts
        track = self._tracks.get(number)
        if track is None:
            shown = ShownLabel(self._rules, probabilities, pts)
            self._tracks[number] = _Track(shown, pts, self._now)
            return [self._event("enter", number)]
        track.seen, track.present = pts, self._now
        previous = self._labels[track.shown.label]
        if track.shown.update(probabilities, pts):
            return [self._event("change", number, previous)]
        return []

    def _leave_absent(self) -> list[Event]:
        absent = [
            number
            for number, track in self._tracks.items()
            if self._now - track.present >= self._leave_after
        ]
        return [self._forget(number) for number in absent]

    def _forget(self, number: int) -> Event:
        event = self._event("leave", number)
        del self._tracks[number]
        self._baselines.pop(number, None)
        return event

    def _event(
        self, kind: Literal["enter", "change", "leave"], number: int, previous: str = ""
    ) -> Event:
        track = self._tracks[number]
        return Event(
            **common_fields(self._header),
            kind=kind,
            track=number,
            label=self._labels[track.shown.label],
            previous=previous,
            confidence=track.shown.confidence,
            since=track.seen if kind == "leave" else track.shown.since,
        )

    def _emotion(self, face: Face, probabilities: NDArray[np.floating]) -> EmotionFace:
        shown = self._tracks[face.track].shown
        return EmotionFace(
            track=face.track,
            box=face.box,
            probabilities=dict(zip(self._labels, probabilities.tolist(), strict=True)),
            smoothed=dict(zip(self._labels, shown.smoothed.tolist(), strict=True)),
            label=self._labels[shown.label],
            confidence=shown.confidence,
            score=face.score,
        )
