"""The summary of a run of `analyze`: each input, its status, and its results."""

import contextlib
import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from emostream.services.cli.analysis.inputs import Inputs, Skipped
from emostream.services.cli.analysis.reporter import ForwardingReporter, Reporter
from emostream.services.cli.results.photos.analysis import photo_names
from emostream.shared.atomic_file import atomic_file
from emostream.shared.errors import RecordingError
from emostream.shared.user_path import path_text

NAME: Final = "summary"


@dataclass
class InputResult:
    """The outcome of an input.

    `input` is its full path; `kind` is `video`, `photo`, or for other inputs, the suffix or
    `folder`. `status` is that in a video's `run.json`; `complete` or `unreadable` for a photo;
    `skipped`; or `not analyzed` if the run ended before. `folder` is the results folder, next to
    the summary, `left_out` the number of faces left out, and `message` the problem, if any.
    """

    input: str
    kind: str
    status: str = "not analyzed"
    folder: str = ""
    left_out: int = 0
    message: str = ""

    def note_end(self, facts: Mapping[str, Any]) -> None:
        """Set the outcome from `facts`, as a reporter gets them at the end."""
        self.status = facts.get("status", "complete")
        self.message = facts.get("message", "")
        self.folder = path_text(Path(facts.get("folder", "")).name)
        self.left_out = sum(facts.get("left_out", {}).values())


class Summary(ForwardingReporter):
    """A reporter that forwards everything, and writes a summary after each input.

    A run with one input and nothing skipped has no summary, because the input's `run.json` is
    enough.
    """

    def __init__(self, found: Inputs, out: Path, shown: Reporter) -> None:
        super().__init__(shown)
        self._out = out
        self._results = {
            **{path: _result(path, "video") for path in found.videos},
            **{path: _result(path, "photo") for path in found.photos},
            **{one.path: _not_analyzed(one, "unreadable") for one in found.refused},
            **{one.path: _not_analyzed(one, "skipped") for one in found.skipped},
        }
        self._now: tuple[Path, ...] = ()
        self._stem = ""

    @contextlib.contextmanager
    def about(self, *paths: Path) -> Iterator[None]:
        """Assign reports within the block to these inputs: a video, or all photos."""
        self._now = paths
        for path in paths:
            self._results[path].status = "interrupted"
        try:
            yield
        finally:
            if self._stem:
                self._write()

    def end(self, name: str, line: str, facts: dict[str, Any]) -> None:
        """Forward it, and write the outcome."""
        super().end(name, line, facts)
        unreadable = facts.get("unreadable", {})
        photos = {one["photo"]: one["left_out"] for one in facts.get("photos", ())}
        for photo, path in photo_names(self._now).items():
            result = self._results[path]
            result.note_end(facts)
            if "photos" in facts:
                result.left_out = photos.get(photo, 0)
            if photo in unreadable:
                result.status, result.message = "unreadable", unreadable[photo]
        if len(self._results) > 1:
            self._write()

    def _write(self) -> None:
        with naming_the_summary(self._out):
            self._stem = self._stem or _fresh_stem(self._out)
            write_summary(self._out / f"{self._stem}.json", self._results.values())


@contextlib.contextmanager
def naming_the_summary(out: Path) -> Iterator[None]:
    """Convert errors of writing the summary in the block to RecordingError."""
    try:
        yield
    except OSError as error:
        raise RecordingError(f"{out}: cannot write the summary: {error.strerror}") from error


def write_summary(path: Path, results: Iterable[InputResult]) -> None:
    """Write a summary to `path`, which ends in .json, and the table next to it."""
    rows = [asdict(result) for result in results]
    tree = {"count": Counter(row["status"] for row in rows), "inputs": rows}
    with atomic_file(path) as part:
        part.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", "utf-8")
    with (
        atomic_file(path.with_suffix(".csv")) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.DictWriter(file, [field.name for field in fields(InputResult)])
        table.writeheader()
        table.writerows(rows)


def _result(path: Path, kind: str) -> InputResult:
    return InputResult(path_text(path.absolute()), kind)


def _not_analyzed(one: Skipped, status: str) -> InputResult:
    return InputResult(path_text(one.path.absolute()), one.kind, status, message=one.reason)


def _fresh_stem(out: Path) -> str:
    """Create `summary.json`, or `summary-2.json` and so on; return its name without suffix."""
    out.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        stem = NAME if number == 1 else f"{NAME}-{number}"
        try:
            (out / f"{stem}.json").open("x").close()
        except FileExistsError:
            number += 1
        else:
            return stem
