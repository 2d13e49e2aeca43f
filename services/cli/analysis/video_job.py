"""The analysis of one video, from its file to the files of its results."""

import hashlib
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from emostream.services.capture.ffmpeg.video_file import (
    VideoDescription,
    clock_restarts,
    describe_video,
)
from emostream.services.cli.analysis import recording_config, run_file
from emostream.services.cli.analysis.outputs import write_results
from emostream.services.cli.analysis.reporter import Reporter
from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.analysis.stage_run import run_stages
from emostream.services.cli.processes.config_file import as_table
from emostream.services.cli.results.folder import fresh_folder
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError, RecordingError, SourceError
from emostream.shared.user_path import path_text

BROKEN, UNREADABLE, STOPPED = 3, 1, 4
INPUT_FACTS: Final = ("width", "height", "frames", "duration_s", "rate", "codec", "has_audio")
EXIT_CODES: Final = {"complete": 0, "broken": BROKEN, "partial": STOPPED}


@dataclass(frozen=True)
class AnalyzeOptions:
    """Where results go, how many pictures a second (0: all), whether to make video, to resume."""

    out: Path
    sample: float
    video: bool
    resume: bool


class VideoJob:
    """Analyzes one video as `config` and `options` say, and shows that to `reporter`.

    `stream` is the name of its stream, where no earlier analysis is resumed.
    """

    def __init__(
        self, path: Path, stream: str, config: Config, options: AnalyzeOptions, reporter: Reporter
    ) -> None:
        self._path = path
        self._name = path_text(path.name)
        self._stream = stream
        self._config = config
        self._options = options
        self._reporter = reporter

    def run(self) -> int:
        """Analyze the video; return the exit code for it."""
        path, options = self._path, self._options
        try:
            video = describe_video(path)
        except SourceError as error:
            facts = {"status": "unreadable", "message": str(error)}
            self._reporter.end(self._name, f"error: {error}", facts)
            return UNREADABLE
        folder, record = self._begin(video)
        if record.status in ("complete", "broken"):
            self._end(folder, record, "whole already")
            return EXIT_CODES[record.status]
        record.write(folder)
        self._reporter.start(self._name, "frames", _expected_frames(video, options.sample))
        config = recording_config.for_recording(
            self._config, path, folder, record.run, record.sample, record.stream
        )
        try:
            run_stages(config, record, folder, self._reporter.update)
        finally:
            record.write(folder)
        record.files = write_results(path, folder, record, self._reporter, video=options.video)
        record.write(folder)
        rate = record.frames_analysed / max(record.seconds, 1e-9)
        self._end(folder, record, f"{rate:.1f} frames/s")
        if record.status == "broken" and not record.frames_analysed:
            return UNREADABLE
        return EXIT_CODES[record.status]

    def _begin(self, video: VideoDescription) -> tuple[Path, RunFile]:
        """Return the folder and the run file of the analysis: new ones, or those to resume."""
        path, sample = self._path, self._options.sample
        facts = _input_facts(path, video)
        config = as_table(self._config)
        if self._options.resume and (found := self._newest()):
            folder, record = found
            if record.input["sha256"] != facts["sha256"]:
                raise ConfigError(f"--resume: {path} is not the file that {folder} began with")
            if (record.config, record.sample) != (config, sample):
                raise ConfigError(
                    f"--resume: the configuration is not the one that {folder} began with; "
                    f"{folder / run_file.NAME} has that"
                )
            return folder, record
        folder = fresh_folder(self._options.out, path_text(path.stem or path.name))
        return folder, RunFile(
            run=f"{time.time_ns() // 1_000_000:x}-{secrets.token_hex(2)}",
            stream=self._stream,
            input=facts,
            model=run_file.model_facts(self._config),
            config=config,
            sample=sample,
            versions=run_file.versions(),
        )

    def _newest(self) -> tuple[Path, RunFile] | None:
        """Return the newest analysis of the file in the folder of results."""
        newest: tuple[Path, RunFile] | None = None
        for folder in self._options.out.glob("*/"):
            try:
                record = RunFile.read(folder)
            except RecordingError:
                continue
            is_ours = record.input["path"] == path_text(self._path.absolute())
            if is_ours and (newest is None or record.started >= newest[1].started):
                newest = folder, record
        return newest

    def _end(self, folder: Path, record: RunFile, note: str) -> None:
        line = f"{record.frames_analysed} frames, {record.tracks} faces -> {folder} ({note})"
        if record.message:
            line = f"{line}\n{self._name}: {record.status}: {record.message}"
        self._reporter.end(self._name, line, {"folder": str(folder), **asdict(record)})


def _expected_frames(video: VideoDescription, sample: float) -> int | None:
    if sample and video.duration_s:
        return round(video.duration_s * min(sample, video.rate or sample))
    return video.frames


def _input_facts(path: Path, video: VideoDescription) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "path": path_text(path.absolute()),
        "name": path_text(path.name),
        "bytes": path.stat().st_size,
        "sha256": digest,
        **{name: getattr(video, name) for name in INPUT_FACTS},
        "pixel_aspect": str(video.pixel_aspect),
        "start_s": video.start / 1e9,
        "skipped_streams": [asdict(stream) for stream in video.skipped],
        "clock_restarts_s": clock_restarts(path),
    }
