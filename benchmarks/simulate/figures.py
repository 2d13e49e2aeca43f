"""What the simulation knows of the stages: service times, sizes of messages, and the plant."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from emostream.shared.errors import ConfigError

MEASURED: Final = Path(__file__).with_name("measured.json")
NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Few = Annotated[int, Meta(ge=1, le=1_000_000)]


class Figures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Processor time of each stage in ms, and sizes in bytes.

    A stage takes its time per frame and the `_face_` part for each face in it; `consumer_ms` is
    what recorder and display take of an answer together. `hop_ms` is what a message waits from one
    process to the next when nothing is busy. A message has its own bytes, and those of each face.
    `analyze_ms` is what all stages together take of a frame of a recording. Results are kept in a
    database (live) or a table (`table_`, of an archive).
    """

    capture_ms: NotNegative
    detector_ms: NotNegative
    detector_face_ms: NotNegative = 0.0
    classifier_ms: NotNegative
    classifier_face_ms: NotNegative
    consumer_ms: NotNegative = 0.0
    analyze_ms: NotNegative = 0.0
    hop_ms: NotNegative = 0.0
    faces_message_bytes: NotNegative = 0.0
    face_bytes: NotNegative
    result_message_bytes: NotNegative = 0.0
    result_face_bytes: NotNegative
    database_frame_bytes: NotNegative = 0.0
    database_face_bytes: NotNegative = 0.0
    table_frame_bytes: NotNegative = 0.0
    table_face_bytes: NotNegative = 0.0


class Failure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Classifier `classifier` is killed at `at_s` and answers again `away_s` later."""

    classifier: Annotated[int, Meta(ge=0)] = 0
    at_s: NotNegative
    away_s: Positive


class Plant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The streams and who works on them.

    `faces` is the mean number of faces in a frame; where they `vary`, people come and go, and
    streams differ. Each detector has a capture next to it and
    `streams_per_detector` streams, and one classifier answers all of a detector's. Where cores are
    shared, one recorder and one display take all answers. `link_mbit`
    (Mbit/s) and `link_ms` are those of the way from a detector's host to its classifier, 0 for
    none. `cores` are shared by all processes, and other programs take `other_cores` of them; with 0
    each process has one of its own. `standbys` share the
    work of classifiers that are away. A message waits for `max_wait_ms` for others to share its
    batch.
    """

    streams: Few = 1000
    fps: Positive = 25.0
    faces: NotNegative = 3.0
    vary: bool = True
    streams_per_detector: Few = 3
    classifiers: Few = 100
    standbys: Annotated[int, Meta(ge=0)] = 0
    link_mbit: NotNegative = 0.0
    link_ms: NotNegative = 0.0
    cores: Annotated[int, Meta(ge=0)] = 0
    other_cores: NotNegative = 0.0
    max_batch: Few = 32
    max_wait_ms: NotNegative = 2.0
    failures: tuple[Failure, ...] = ()


def read_figures(path: Path) -> Figures:
    """Return the figures in a JSON file; ConfigError where it holds others."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Figures)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
