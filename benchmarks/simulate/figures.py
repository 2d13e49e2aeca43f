"""The simulation's figures: service times, message sizes, and the plant."""

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
    """CPU time of each stage in ms, and sizes in bytes.

    A stage takes its time per frame plus the `_face_` time per face; `consumer_ms` is the time of
    recorder and display together per answer. After a pause of `usual_pause_ms`, a process takes
    these times; they grow with the power `pause_exponent` of the pause. `hop_ms` is the latency
    from one process to the next without load. A message has a fixed size plus a size per face.
    `batch_ms` is the time of all stages together per frame of a recording. Results are stored in
    a database (live) or a table (`table_`, for an archive).
    """

    capture_ms: NotNegative
    detector_ms: NotNegative
    detector_face_ms: NotNegative = 0.0
    classifier_ms: NotNegative
    classifier_face_ms: NotNegative
    consumer_ms: NotNegative = 0.0
    batch_ms: NotNegative = 0.0
    hop_ms: NotNegative = 0.0
    usual_pause_ms: Positive = 1.0
    pause_exponent: NotNegative = 0.0
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
    """The streams and the processes that handle them.

    `faces` is the mean number of faces per frame; if they `vary`, people come and go, and streams
    differ. Each detector has a capture on its host and `streams_per_detector` streams, which one
    classifier answers. If cores are shared, one recorder and one display take all answers.
    `link_mbit` (Mbit/s) and `link_ms` describe the link from a detector's host to its classifier, 0
    for none. `cores` are shared by all processes, and other programs take `other_cores` of them; 0
    means one core per process. `standbys` share the work of classifiers that are down. A message
    waits up to `max_wait_ms` for others to share its batch. `phases` are the shares of the time
    between frames by which the streams are apart; by default, they are random.
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
    max_wait_ms: NotNegative = 0.0
    phases: tuple[NotNegative, ...] = ()
    failures: tuple[Failure, ...] = ()


def read_figures(path: Path) -> Figures:
    """Return the figures in a JSON file; ConfigError if it is invalid."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Figures)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
