"""One recording from its file to the files of its results."""

import hashlib
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from emostream.services.capture.files.video import Description, describe
from emostream.services.cli.analysis import record, settings
from emostream.services.cli.analysis.inputs import stream_of
from emostream.services.cli.analysis.outputs import write_results
from emostream.services.cli.analysis.record import Record
from emostream.services.cli.analysis.run import analyse
from emostream.services.cli.analysis.view import View
from emostream.services.cli.results.folder import fresh_folder
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError, RecordingError, SourceError

BROKEN, UNREADABLE, STOPPED = 3, 1, 4
HELD: Final = ("width", "height", "frames", "duration_s", "rate", "codec", "has_audio")
CODES: Final = {"complete": 0, "broken": BROKEN, "partial": STOPPED}


@dataclass(frozen=True)
class Wishes:
    """What is asked for: where to, how many pictures a second (0: all), video, going on."""

    out: Path
    sample: float
    video: bool
    resume: bool


class Job:
    """Analyses one recording as `config` and `wishes` say, and tells `view`."""

    def __init__(self, config: Config, wishes: Wishes, view: View) -> None:
        self._config = config
        self._wishes = wishes
        self._view = view

    def video(self, path: Path) -> int:
        """Analyse a video; return the exit code for it."""
        try:
            held = describe(path)
        except SourceError as error:
            self._view.end(
                path.name, f"error: {error}", {"status": "unreadable", "message": str(error)}
            )
            return UNREADABLE
        folder, kept = self._place(path, held)
        if kept.status in ("complete", "broken"):
            self._end(path, folder, kept, "whole already")
            return CODES[kept.status]
        kept.write(folder)
        self._view.start(path.name, "frames", _expected(held, self._wishes.sample))
        config = settings.for_recording(self._config, path, folder, kept.run, kept.sample)
        try:
            analyse(config, kept, folder, self._view.done)
        finally:
            kept.write(folder)
        kept.files = write_results(path, folder, kept, self._view, video=self._wishes.video)
        kept.write(folder)
        self._end(
            path, folder, kept, f"{kept.frames_analysed / max(kept.seconds, 1e-9):.1f} frames/s"
        )
        return CODES[kept.status] if kept.frames_analysed or kept.status != "broken" else UNREADABLE

    def _place(self, path: Path, held: Description) -> tuple[Path, Record]:
        """Return the folder and the record of the analysis: a new one, or one that began."""
        facts = _input_facts(path, held)
        config = settings.as_table(self._config)
        if self._wishes.resume and (found := self._begun(path)):
            folder, kept = found
            if kept.input["sha256"] != facts["sha256"]:
                raise ConfigError(f"--resume: {path} is not the file that {folder} began with")
            if (kept.config, kept.sample) != (config, self._wishes.sample):
                raise ConfigError(
                    f"--resume: the configuration is not the one that {folder} began with; "
                    f"{folder / record.NAME} has that"
                )
            return folder, kept
        folder = fresh_folder(self._wishes.out, path.stem or path.name)
        run = f"{time.time_ns() // 1_000_000:x}-{secrets.token_hex(2)}"
        return folder, Record(
            run=run,
            stream=stream_of(path),
            input=facts,
            model=record.model_facts(self._config),
            config=config,
            sample=self._wishes.sample,
            versions=record.versions(),
        )

    def _begun(self, path: Path) -> tuple[Path, Record] | None:
        """Return the newest analysis of the file in the folder of results, with its record."""
        newest: tuple[Path, Record] | None = None
        for folder in self._wishes.out.glob("*/"):
            try:
                kept = Record.read(folder)
            except RecordingError:
                continue
            ours = kept.input["path"] == str(path.absolute())
            if ours and (newest is None or kept.started >= newest[1].started):
                newest = folder, kept
        return newest

    def _end(self, path: Path, folder: Path, kept: Record, note: str) -> None:
        line = f"{kept.frames_analysed} frames, {kept.tracks} faces -> {folder} ({note})"
        if kept.message:
            line = f"{line}\n{path.name}: {kept.status}: {kept.message}"
        self._view.end(path.name, line, {"folder": str(folder), **asdict(kept)})


def _expected(held: Description, sample: float) -> int | None:
    if sample and held.duration_s:
        return round(held.duration_s * min(sample, held.rate or sample))
    return held.frames


def _input_facts(path: Path, held: Description) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "path": str(path.absolute()),
        "name": path.name,
        "bytes": path.stat().st_size,
        "sha256": digest,
        **{name: getattr(held, name) for name in HELD},
    }
