"""Databases of recorded sessions, written as the recorder writes them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emostream.models.labels import LABELS
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.messages import Box, Emotion, EmotionFace, Event, Frame, LeftOut

NS = 10**9
FIRST_TRACK = 1_700_000_000 << 20
SURE = 0.86


def box_of(face: int) -> Box:
    """Where each face is when nobody says otherwise."""
    return (20.0 + 100 * face, 30.0, 60.0, 60.0)


def record(
    path: Path,
    frames: Sequence[Mapping[int, str]],
    fps: float = 10,
    labels: Sequence[str] = LABELS,
    error: str = "",
    box: Callable[[int], Box] = box_of,
    left_out: Mapping[int, LeftOut] = {},
) -> Path:
    """Write a session of frames that show faces, each with its label: {1: "fear", 2: "anger"}.

    Faces in `left_out` count for nothing, for that reason.
    """
    archive = ArchiveWriter(path)
    shown: dict[int, tuple[str, int]] = {}
    for seq, faces in enumerate(frames):
        common = {**_common(seq, fps)}
        counting = {face: label for face, label in faces.items() if face not in left_out}
        for kind, face, label, previous, since in _events(shown, counting, common["pts"]):
            event = Event(
                **common, kind=kind, track=FIRST_TRACK + face, label=label, previous=previous,
                confidence=SURE, since=since,
            )  # fmt: skip
            archive.add_event(event)
        found = tuple(
            _face(face, label, labels, box(face), left_out.get(face, ""))
            for face, label in faces.items()
        )
        archive.add_emotion(
            Emotion(**common, model="alexnet-fer", faces=found, part=0, parts=1, degraded=False)
        )
    last = {**_common(len(frames), fps), "end": True, "frames": len(frames), "error": error}
    archive.end_run(Frame(**last, width=640, height=480, encoding="bgr8"))
    archive.close()
    return path


def _common(seq: int, fps: float) -> dict[str, Any]:
    pts = round(seq * NS / fps)
    return {"stream": "film", "run": "r", "seq": seq, "t": NS + pts, "pts": pts, "marks": {}}


def _face(face: int, label: str, labels: Sequence[str], box: Box, left_out: LeftOut) -> EmotionFace:
    rest = (1 - SURE) / (len(labels) - 1)
    probabilities = {name: SURE if name == label else rest for name in labels}
    track, shown = FIRST_TRACK + face, ("", 0.0) if left_out else (label, SURE)
    return EmotionFace(track, box, probabilities, probabilities, *shown, 0.9, left_out=left_out)


def _events(
    shown: dict[int, tuple[str, int]], faces: Mapping[int, str], pts: int
) -> list[tuple[Any, int, str, str, int]]:
    """What happened since the last frame, of which `shown` has each face's label and time."""
    events: list[tuple[Any, int, str, str, int]] = []
    for face, label in faces.items():
        previous = shown[face][0] if face in shown else ""
        if previous != label:
            events.append(("change" if previous else "enter", face, label, previous, pts))
        shown[face] = (label, pts)
    for face in [face for face in shown if face not in faces]:
        label, since = shown.pop(face)
        events.append(("leave", face, label, "", since))
    return events
