"""A batch from its inputs to its summary."""

import hashlib
import importlib.metadata
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec

from emostream.services.cli.analysis import run_file
from emostream.services.cli.analysis.estimated_prior import prior_facts
from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.batch.chunk_rows import ChunkReport
from emostream.services.cli.batch.chunk_worker import Task
from emostream.services.cli.batch.chunks import Chunk
from emostream.services.cli.batch.finish import Ended, known_end, video_tasks
from emostream.services.cli.batch.inputs import PHOTOS, Found
from emostream.services.cli.batch.media import Media, fingerprint
from emostream.services.cli.batch.plan import Cutting, Plan, work_folder
from emostream.services.cli.batch.ray_jobs import Endings, chunk_reports, plans
from emostream.services.cli.batch.results import finished_key
from emostream.services.cli.batch.store import Store
from emostream.services.cli.batch.summary import Summary
from emostream.services.cli.batch.view import View
from emostream.services.cli.processes.config_file import as_table
from emostream.shared.config import Config
from emostream.shared.config.secrets import without_secrets
from emostream.shared.errors import ConfigError, ExitCode, SourceError
from emostream.shared.plural import counted

SETTINGS: Final = "batch.json"  # the settings that all results in a folder share
OPTIONS: Final = {
    "cutting.length": "--chunk",
    "cutting.overlap": "--overlap",
    "cutting.sample": "--sample",
}
PHOTOS_A_CHUNK: Final = 32


@dataclass(frozen=True)
class Settings:
    """The settings for all recordings; `session` identifies this run of the command."""

    config: Config
    cutting: Cutting
    session: str


class Batch:
    """Analyzes the inputs, writes results to the store, and shows the progress."""

    def __init__(self, found: Found, store: Store, settings: Settings, view: View) -> None:
        self._found, self._store, self._settings, self._view = found, store, settings, view
        skipped = {str(one.path.absolute()): one.reason for one in found.skipped}
        self._summary = Summary(found.media, found.refused, skipped)
        self._videos = {one.recording: one for one in found.media if not one.is_photo}
        self._photos = [one for one in found.media if one.is_photo]
        self._code = ExitCode.OK
        self._began = time.monotonic()
        self._frames = 0
        self._about = self._run_file()
        self._check_settings()
        for url, why in found.refused.items():
            self._ended(url, Ended(recording="", status="unreadable", message=why), ())

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to analyze."""
        return bool(self._found.media)

    def run(self, actors: int) -> None:
        """Analyze everything that no earlier run has finished, with up to this many actors."""
        config, cutting = self._settings.config, self._settings.cutting
        todo = self._plan(cutting)
        photos, photo_key = self._photo_tasks()
        tasks = [task for plan in todo.values() for task in video_tasks(plan)] + photos
        frames = sum(plan.frames for plan in todo.values()) + sum(len(t.media) for t in photos)
        left = Counter(task.media[0].recording for task in tasks)
        endings = Endings(self._about, self._settings.session, self._store)
        self._view.begin("analyzing", frames, "pictures")
        worker = (config, self._store, cutting.sample, self._settings.session)
        for report in chunk_reports(tasks, actors, worker) if tasks else ():
            self._count(report, left)
            if not left[report.recording]:
                if report.recording == PHOTOS:
                    endings.photos(photos, photo_key)
                else:
                    endings.video(todo[report.recording], config)
            for end in endings.done(wait=False):
                self._finished(end)
        for end in endings.done(wait=True):
            self._finished(end)

    def end(self) -> ExitCode:
        """Write the summary, show the totals, and return the exit code."""
        self._summary.write(self._store)
        counts = self._summary.counts
        seconds = time.monotonic() - self._began
        states = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        rate = f" ({self._frames / seconds:.1f}/s)" if self._frames else ""
        line = (
            f"{counted(sum(counts.values()), 'file')}: {states}; {counted(self._frames, 'picture')}"
            f" in {timedelta(seconds=round(seconds))}{rate} -> {self._store.url}"
        )
        facts = {"event": "summary", "count": counts, "frames": self._frames, "seconds": seconds}
        self._view.close()
        self._view.say(line, {**facts, "out": self._store.url})
        return self._code

    def _plan(self, cutting: Cutting) -> dict[str, Plan]:
        """Return the plans of pending recordings, by recording; show the others."""
        videos = list(self._videos.values())
        todo: dict[str, Plan] = {}
        if not videos:
            return todo
        self._view.begin("reading", len(videos), "files")
        for done, plan in enumerate(plans(videos, self._store, cutting), 1):
            recording = plan.media.recording
            if plan.error:
                end = Ended(recording=recording, status="unreadable", message=plan.error)
                self._ended(plan.media.name, end, [plan.media])
            elif plan.is_finished:
                self._finished(known_end(recording, self._store), note="finished before")
            else:
                todo[recording] = plan
            self._view.update(done)
        # In the order given, regardless of which one was read first.
        return {name: todo[name] for name in self._videos if name in todo}

    def _photo_tasks(self) -> tuple[list[Task], str]:
        """Return the tasks of the photos, and the key of their results."""
        if not self._photos:
            return [], ""
        key = _photos_key(self._photos)
        if finished_key(self._store, PHOTOS) == key:
            self._finished(known_end(PHOTOS, self._store), note="finished before")
            return [], key
        starts = range(0, len(self._photos), PHOTOS_A_CHUNK)
        return [
            Task(
                tuple(self._photos[start : start + PHOTOS_A_CHUNK]),
                Chunk(number=number),
                work_folder(PHOTOS, key),
            )
            for number, start in enumerate(starts)
        ], key

    def _count(self, report: ChunkReport, left: Counter[str]) -> None:
        left[report.recording] -= 1
        self._frames += report.frames
        recordings = sum(1 for number in left.values() if number)
        self._view.update(self._frames, f"{counted(recordings, 'recording')} left")

    def _finished(self, end: Ended, note: str = "") -> None:
        if end.recording == PHOTOS:
            self._ended(PHOTOS, end, self._photos, note)
            for photo in self._photos:
                if why := end.unreadable.get(photo.url):
                    bad = Ended(recording=PHOTOS, status="unreadable", message=why)
                    self._ended(photo.name, bad, ())
            return
        media = self._videos[end.recording]
        self._ended(media.name, end, [media], note)

    def _ended(
        self, name: str, end: Ended, files: "list[Media] | tuple[()]", note: str = ""
    ) -> None:
        self._summary.end(files, end)
        self._view.ended(name, end, note)
        code = ExitCode.OK
        if end.status == "unreadable" or (end.status == "broken" and not end.frames):
            code = ExitCode.FAILURE
        elif end.status == "broken":
            code = ExitCode.INCOMPLETE
        # As in `analyze`, a recording that ends early matters more than an unreadable one.
        order = (ExitCode.OK, ExitCode.FAILURE, ExitCode.INCOMPLETE)
        self._code = max(self._code, code, key=order.index)

    def _run_file(self) -> RunFile:
        config = self._settings.config
        return RunFile(
            run=f"batch-{self._settings.session}",
            stream="",
            input={},
            model=run_file.model_facts(config),
            config=as_table(without_secrets(config)),
            sample=self._settings.cutting.sample,
            video=False,
            prior=prior_facts(config.classifier),
            versions={**run_file.versions(), "ray": importlib.metadata.version("ray")},
        )

    def _check_settings(self) -> None:
        """Raise ConfigError if the store has results with other settings."""
        ours = {
            "model": self._about.model,
            "config": self._about.config,
            "prior": self._about.prior,
            "cutting": msgspec.to_builtins(self._settings.cutting),
        }
        theirs = self._store.read_json(SETTINGS)
        if theirs is None:
            self._store.put_json(ours, SETTINGS)
        elif theirs != msgspec.json.decode(msgspec.json.encode(ours)):
            changed = ", ".join(dict.fromkeys(map(_as_written, _changed(ours, theirs))))
            raise ConfigError(
                f"{self._store.url} has results with another {changed}: name another --out"
            )


def _changed(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Return the nested names of the differences."""
    names = []
    for key in sorted({*ours, *theirs}):
        mine, other = ours.get(key), theirs.get(key)
        if isinstance(mine, dict) and isinstance(other, dict):
            names += [f"{key}.{name}" for name in _changed(mine, other)]
        elif mine != other:
            names.append(key)
    return names


def _as_written(name: str) -> str:
    """Return the option or key that a user writes to change this setting."""
    if name.startswith(("prior.", "config.classifier.prior")):
        return "prior"
    if name.startswith("model."):
        return "model"
    return OPTIONS.get(name) or name.removeprefix("config.")


def _photos_key(photos: list[Media]) -> str:
    """Return a key that changes with the photos."""
    facts = []
    for photo in photos:
        try:
            facts.append((photo.url, fingerprint(photo.url)))
        except SourceError:
            facts.append((photo.url, ""))
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:16]
