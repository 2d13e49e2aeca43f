"""The summary of each face in a recording: its time on screen and its emotions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from emostream.services.cli.results.tables.columns import Column, Kind, Row
from emostream.services.recorder.archive.rows import ObservationRow


class _Mean:
    """The mean of the known values."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def add(self, value: float | None) -> None:
        """Add a value."""
        if value is not None:
            self._sum += value
            self._count += 1

    @property
    def value(self) -> float | None:
        """The mean, None without values."""
        return self._sum / self._count if self._count else None


class _TrackSummary:
    def __init__(self, first: ObservationRow) -> None:
        self.run = first.run
        self.first = self.last = first.pts
        self.frames = self.left_out = self.duration = 0
        self.score = _Mean()
        self.means = [_Mean() for _ in first.smoothed]
        self._shown_frames: dict[str, int] = {}
        self._shown_time: dict[str, int] = {}

    def add(self, face: ObservationRow, duration: int) -> None:
        """Add a frame in which the track was seen."""
        self.last = face.pts
        self.frames += 1
        self.duration += duration
        self.score.add(face.score)
        if face.left_out:
            self.left_out += 1
            return
        for mean, value in zip(self.means, face.smoothed, strict=True):
            mean.add(value)
        self._shown_frames[face.label] = self._shown_frames.get(face.label, 0) + 1
        self._shown_time[face.label] = self._shown_time.get(face.label, 0) + duration

    @property
    def shown(self) -> Mapping[str, float]:
        """Each displayed label's share of the time, or of the frames if they have no duration."""
        shares: Mapping[str, float] = self._shown_time
        if not (whole := sum(shares.values())):
            shares = self._shown_frames
            whole = sum(shares.values())
        return {label: share / whole for label, share in shares.items()}


class Tracks:
    """Summarizes the faces in one stream's frames by track number.

    A track whose faces were all left out is not included. For other tracks, such faces count toward
    the time on screen, but not toward labels.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._tracks: dict[int, _TrackSummary] = {}

    def __len__(self) -> int:
        return len(self._entered())

    def add(self, faces: Iterable[ObservationRow], duration: int) -> None:
        """Add the faces of a frame of that duration, in ns."""
        for face in faces:
            if face.track not in self._tracks:
                self._tracks[face.track] = _TrackSummary(face)
            self._tracks[face.track].add(face, duration)

    def columns(self, *, live: bool) -> list[Column]:
        """Return the columns of the rows; other displayed words come after the labels."""
        run = [Column("run", Kind.TEXT)] if live else []
        return [
            Column("stream", Kind.TEXT),
            *run,
            Column("track", Kind.COUNT),
            *(Column(name, Kind.SECONDS) for name in ("first_s", "last_s", "time_on_screen_s")),
            *(Column(name, Kind.COUNT) for name in ("frames", "left_out_frames", "changes")),
            Column("mean_detection_score", Kind.SHARE),
            *(Column(f"mean_{label}", Kind.SHARE) for label in self._labels),
            *(Column(f"shown_{label}", Kind.SHARE) for label in self._shown_labels()),
        ]

    def rows(self, stream: str, changes: Mapping[int, int], *, live: bool) -> Iterator[Row]:
        """Yield one row per track; `changes` are the changes of label by track."""
        labels = self._shown_labels()
        for number, track in self._entered():
            shown = track.shown
            yield (
                stream,
                *([track.run] if live else []),
                number,
                *(track.first, track.last, track.duration),
                *(track.frames, track.left_out, changes.get(number, 0)),
                track.score.value,
                *(mean.value for mean in track.means),
                *(shown.get(label, 0.0) for label in labels),
            )

    def _entered(self) -> list[tuple[int, _TrackSummary]]:
        """The tracks with at least one face that counts, by number."""
        entered = ((number, one) for number, one in self._tracks.items() if one.shown)
        return sorted(entered, key=lambda item: item[0])

    def _shown_labels(self) -> list[str]:
        """The model's labels, and other words that a classifier displayed instead."""
        others = {label for track in self._tracks.values() for label in track.shown}
        return [*self._labels, *sorted(others.difference(self._labels))]
