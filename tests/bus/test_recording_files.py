"""What the display learns of running recordings over the recorders' metrics ports."""

from contextlib import closing
from pathlib import Path

from prometheus_client import CollectorRegistry

from emostream.services.display.recording_files import recording_files
from emostream.services.display.schema import VideoFile
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.shared.health import Health
from emostream.shared.metrics import StageMetrics
from emostream.shared.metrics_server import MetricsServer
from emostream.shared.recording_report import RECORDINGS_PATH, RecordingReport, RecordingReports
from emostream.shared.scraping import Scraper


def test_a_recorder_that_keeps_video_is_asked_for_its_files(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    StageMetrics("recorder", registry)
    metrics = RecorderMetrics(registry)
    report = RecordingReport("cam1", str(tmp_path / "a.mp4"), 1234)
    asked: list[int] = []

    def answer() -> RecordingReports:
        asked.append(1)
        return RecordingReports([report])

    with closing(MetricsServer("recorder", "127.0.0.1", 0, registry, Health(10))) as server:
        server.serve_json(RECORDINGS_PATH, answer)
        scraper = Scraper([f"http://127.0.0.1:{server.port}/metrics"])
        metrics.tell_recording("cam1", False)
        scraper.scrape()
        assert (recording_files(scraper), asked) == ({}, [])
        metrics.tell_recording("cam1", True)
        scraper.scrape()
        assert recording_files(scraper) == {"cam1": VideoFile(report.path, 1234)}
    scraper.scrape()
    assert recording_files(scraper) == {}
