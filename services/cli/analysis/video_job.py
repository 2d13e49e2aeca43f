"""Analyzes one video, from its file to the result files."""

import secrets
import shutil
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
from emostream.services.cli.analysis.estimated_prior import (
    estimate_line,
    prior_facts,
    unestimated,
)
from emostream.services.cli.analysis.input_facts import file_identity, video_facts
from emostream.services.cli.analysis.outputs import write_results
from emostream.services.cli.analysis.reporter import Reporter
from emostream.services.cli.analysis.resume import WHOLE, Analysis, analyses_in, claimed
from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.analysis.second_pass import (
    FIRST_PASS,
    first_pass_config,
    write_second_pass,
)
from emostream.services.cli.analysis.stage_run import run_stages
from emostream.services.cli.processes.config_file import as_table
from emostream.services.cli.results.folder import fresh_folder
from emostream.services.recorder.archive.progress import frames_written
from emostream.services.recorder.archive.schema import DATABASE
from emostream.shared.config import Config
from emostream.shared.config.secrets import without_secrets
from emostream.shared.errors import ConfigError, ExitCode, RecordingError, SourceError
from emostream.shared.left_out import left_out_text
from emostream.shared.plural import counted
from emostream.shared.security import check_own_processes
from emostream.shared.user_path import path_text

EXIT_CODES: Final = {
    "complete": ExitCode.OK,
    "broken": ExitCode.INCOMPLETE,
    "partial": ExitCode.STOPPED,
}


@dataclass(frozen=True)
class AnalyzeOptions:
    """The results folder, the sample rate (0: all), and whether to write video and to resume.

    `estimate` says whether the prior is fitted to the recording.
    """

    out: Path
    sample: float
    video: bool
    resume: bool
    estimate: bool = False


class VideoJob:
    """Analyzes one video with `config` and `options`, and reports to `reporter`.

    `stream` is the stream name if no earlier analysis is resumed. `resumed` is the analysis to
    continue; without it, `options` decide whether to look for one.
    """

    def __init__(
        self,
        path: Path,
        stream: str,
        config: Config,
        options: AnalyzeOptions,
        reporter: Reporter,
        *,
        resumed: Analysis | None = None,
    ) -> None:
        self._path = path
        self._name = path_text(path.name)
        self._stream = stream
        self._config = config
        self._options = options
        self._reporter = reporter
        self._resumed = resumed
        self.has_begun = False

    def run(self) -> ExitCode:
        """Analyze the video; return the exit code for it.

        KeyboardInterrupt is passed to the caller, after a message about what was kept.
        """
        path = self._path
        try:
            video = describe_video(path)
        except SourceError as error:
            facts = {"status": "unreadable", "message": str(error)}
            self._reporter.end(self._name, f"error: {error}", facts)
            return ExitCode.FAILURE
        analysis = self._begin(video)
        self.has_begun = True
        folder, record = analysis.folder, analysis.record
        if analysis.is_whole:
            self._end(folder, record, "already complete")
            return EXIT_CODES[record.status]
        expected = recording_config.expected_frames(video, record.sample)
        self._config = recording_config.for_few_frames(self._config, expected)
        try:
            with claimed(folder):
                self._analyze(folder, record, expected, 3 * video.width * video.height)
        except KeyboardInterrupt:
            self._show_kept(folder, record, expected)
            raise
        except RecordingError:
            # If the stages could not continue for lack of disk space, the results cannot be written
            # either; show the reason that stopped the stages.
            if record.status != "partial":
                raise
            record.frames_analysed = frames_written(folder / DATABASE)
        rate = record.frames_analysed / max(record.seconds, 1e-9)
        self._end(folder, record, f"{rate:.1f} frames/s")
        if record.status == "broken" and not record.frames_analysed:
            return ExitCode.FAILURE
        return EXIT_CODES[record.status]

    def _analyze(
        self, folder: Path, record: RunFile, expected: int | None, picture_bytes: int
    ) -> None:
        """Run the stages, unless only the result files are missing, and write the result files."""
        record.video = self._options.video
        record.write(folder)
        if record.status not in WHOLE:
            self._reporter.start(self._name, "frames", expected)
            base, rows = self._config, folder
            if record.estimates_prior:
                base, rows = first_pass_config(base), folder / FIRST_PASS
            config = recording_config.for_recording(
                base,
                self._path,
                rows,
                record.run,
                record.sample,
                record.stream,
                picture_bytes=picture_bytes,
            )
            try:
                run_stages(config, record, folder, self._reporter.update)
            finally:
                record.write(folder)
        if (folder / FIRST_PASS / DATABASE).exists():
            self._reporter.start(self._name, "prior", record.frames_read or None)
            record.prior = write_second_pass(
                folder, record.run, self._config.classifier, self._reporter.update
            )
            record.write(folder)
        if record.status in WHOLE:
            shutil.rmtree(folder / FIRST_PASS, ignore_errors=True)
        record.files = write_results(
            self._path,
            folder,
            record,
            self._reporter,
            video=self._options.video,
            card=run_file.model_card(self._config),
        )
        record.write(folder)

    def _begin(self, video: VideoDescription) -> Analysis:
        """Return the analysis: a new one, or the one to resume."""
        recording_config.check_detector(self._config)
        check_own_processes(self._config.security, "analyze")
        path, sample = self._path, self._options.sample
        facts = video_facts(
            path_text(path.absolute()),
            path_text(path.name),
            file_identity(path),
            video,
            clock_restarts(path),
        )
        config = without_secrets(self._config)
        if found := self._resumed or (self._newest() if self._options.resume else None):
            folder, record = found.folder, found.record
            if record.input.get("sha256") != facts["sha256"]:
                raise ConfigError(f"--resume: {path} is not the file that {folder} started with")
            if not found.is_whole and record.state_format != run_file.STATE_FORMAT:
                raise ConfigError(
                    f"--resume: another version of emostream started {folder}; analyze {path} "
                    "again without --resume"
                )
            if self._resumed is None and record.estimates_prior != self._options.estimate:
                raise ConfigError(
                    f"--resume: {folder} began with{'' if record.estimates_prior else 'out'}"
                    " --prior estimate; omit the VIDEO to take all from its run file"
                )
            if (found.config, record.sample) != (config, sample):
                raise ConfigError(
                    f"--resume: the configuration is not the one that {folder} started with; "
                    f"omit the VIDEO to use the one in {folder / run_file.NAME}"
                )
            return found
        prior = self._prior()
        folder = fresh_folder(self._options.out, path_text(path.stem or path.name))
        record = RunFile(
            run=f"{time.time_ns() // 1_000_000:x}-{secrets.token_hex(2)}",
            stream=self._stream,
            input=facts,
            model=run_file.model_facts(self._config),
            config=as_table(config),
            sample=sample,
            prior=prior,
            versions=run_file.versions(),
            state_format=run_file.STATE_FORMAT,
        )
        return Analysis(folder, record)

    def _prior(self) -> dict[str, Any]:
        settings = self._config.classifier
        return unestimated(settings).facts() if self._options.estimate else prior_facts(settings)

    def _newest(self) -> Analysis | None:
        """Return the newest analysis of the file in the results folder."""
        found = analyses_in(self._options.out)
        path = path_text(self._path.absolute())
        ours = (each for each in found if each.record.input.get("path") == path)
        return max(ours, key=lambda each: each.record.started, default=None)

    def _show_kept(self, folder: Path, record: RunFile, expected: int | None) -> None:
        rows = folder / FIRST_PASS if (folder / FIRST_PASS).exists() else folder
        kept = frames_written(rows / DATABASE)
        of = f" of about {expected}" if expected and record.status not in WHOLE else ""
        line = f"interrupted: {counted(kept, 'frame')}{of} kept -> {folder}"
        facts = {"folder": str(folder), **asdict(record), "status": "interrupted"}
        self._reporter.end(self._name, line, {**facts, "frames_kept": kept})

    def _end(self, folder: Path, record: RunFile, note: str) -> None:
        counts = [counted(record.frames_analysed, "frame"), counted(record.tracks, "face")]
        counts += filter(None, [left_out_text(record.left_out)])
        line = f"{', '.join(counts)} -> {folder} ({note})"
        if "faces" in record.prior:
            line = f"{line}\n{self._name}: {estimate_line(record.prior)}"
        if record.message:
            line = f"{line}\n{self._name}: {record.status}: {record.message}"
        self._reporter.end(self._name, line, {"folder": str(folder), **asdict(record)})
