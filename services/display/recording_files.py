"""The files to which the recorders write the streams' video, and their sizes."""

from emostream.services.display.schema import VideoFile
from emostream.shared.metric_names import MetricName
from emostream.shared.recording_report import RECORDINGS_PATH, RecordingReports
from emostream.shared.scraping import Scraper, json_answer


def recording_files(scraper: Scraper) -> dict[str, VideoFile]:
    """Ask the recorders that record video; return the current file of each stream."""
    reports = [
        json_answer(url, RECORDINGS_PATH, RecordingReports, scraper.client)
        for url, history in scraper.histories.items()
        if url not in scraper.failures
        and history.last is not None
        and history.last.has(MetricName.RECORDER_RECORDING)
        and history.last.total(MetricName.RECORDER_RECORDING) > 0
    ]
    return {
        recording.stream: VideoFile(recording.path, recording.bytes)
        for report in reports
        if report is not None
        for recording in report.recordings
    }
