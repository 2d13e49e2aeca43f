"""What the metrics say that alerts and dashboards stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from emostream.services.capture.metrics import SourceCollector
from emostream.services.capture.source_status import SourceStatus
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.services.recorder.retention import Limits, Retention
from emostream.shared.gaps import Gaps
from emostream.shared.messages import Emotion
from emostream.shared.metrics import StageMetrics
from emostream.shared.source_report import SourceState
from tests import builders
from tests.builders import face, frame
from tests.recorders import fault_status


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def emotion(*confidences: float) -> Emotion:
    """Return the results of faces that show fear, as surely as is said, or else anger."""
    shares = [{"fear": confidence, "anger": 1 - confidence} for confidence in confidences]
    faces = [face(smoothed=given, confidence=given["fear"]) for given in shares]
    return builders.emotion(0, *faces)


def test_what_may_go_wrong_with_a_stream_begins_at_0(registry: CollectorRegistry) -> None:
    metrics = StageMetrics("detector", registry)
    gaps = Gaps(metrics.late, metrics.lost)

    def value(name: str, **labels: str) -> float | None:
        everywhere = {"stage": "detector", "stream": "cam1"}
        return registry.get_sample_value(f"emostream_frames_{name}_total", everywhere | labels)

    assert value("dropped", reason="backlog") is None
    gaps.see(frame(sent=0))
    for reason in ("backlog", "stale", "late", "bad"):
        assert value("dropped", reason=reason) == 0
    assert value("lost", topic="frame") == 0
    gaps.see(frame(sent=3))
    assert value("lost", topic="frame") == 2


def test_confidence_is_counted_by_stream_and_label(registry: CollectorRegistry) -> None:
    metrics = ClassifierMetrics(registry)

    def value(part: str, label: str, **labels: str) -> float | None:
        where = {"stream": "cam1", "label": label} | labels
        return registry.get_sample_value(f"emostream_confidence_{part}", where)

    metrics.count([], emotion())
    assert value("count", "fear") is None
    metrics.count([], emotion(0.5, 0.9))
    assert value("count", "fear") == 2
    assert value("bucket", "fear", le="0.5") == 1
    assert value("sum", "fear") == pytest.approx(1.4)
    assert value("count", "anger") == 0


@pytest.mark.parametrize(
    ("state", "error", "up", "ended"),
    [
        (SourceState.OPENING, "", 0, 0),
        (SourceState.OPEN, "", 1, 0),
        (SourceState.LOST, "no route to host", 0, 0),
        (SourceState.ENDED, "", 0, 1),
        (SourceState.ENDED, "film.mp4 ended early", 0, 0),
    ],
)
def test_a_source_at_its_end_is_told_from_one_that_is_lost(
    registry: CollectorRegistry, state: SourceState, error: str, up: int, ended: int
) -> None:
    registry.register(SourceCollector(lambda: {"film": SourceStatus(state, error, 0, 1, 0, 0)}))
    labels = {"stream": "film"}
    assert registry.get_sample_value("emostream_source_up", labels) == up
    assert registry.get_sample_value("emostream_source_ended", labels) == ended


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[ArchiveWriter]:
    opened = ArchiveWriter(tmp_path / "emostream.db")
    yield opened
    opened.close()


def test_the_disk_of_the_recordings_is_looked_at(
    registry: CollectorRegistry, archive: ArchiveWriter, tmp_path: Path
) -> None:
    def value(kind: str) -> float | None:
        return registry.get_sample_value("emostream_recorder_disk_bytes", {"kind": kind})

    metrics = RecorderMetrics(registry)
    assert value("limit") is None
    Retention(tmp_path, Limits(2e9, 1e9), metrics, fault_status(metrics)).enforce(archive, set())
    assert value("limit") == 2e9
    free = value("free")
    assert free is not None
    assert free > 0
