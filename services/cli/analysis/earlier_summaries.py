"""The summaries of earlier runs, kept up to date where their analyses are continued with."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from emostream.services.capture.folder import natural_order
from emostream.services.cli.analysis.reporter import ForwardingReporter, Reporter
from emostream.services.cli.analysis.summary import (
    NAME,
    InputResult,
    naming_the_summary,
    write_summary,
)
from emostream.shared.whole_file import read_whole

# Where a run was killed, its summary does not know the folder of what it had begun.
NOT_ENDED: Final = ("not analyzed", "interrupted")


class _SummaryFile(msgspec.Struct):
    """What is read of a summary."""

    inputs: list[InputResult]


class EarlierSummaries(ForwardingReporter):
    """A reporter that hands everything on, and corrects the summaries in the results folder."""

    def __init__(self, out: Path, shown: Reporter) -> None:
        super().__init__(shown)
        self._out = out

    def end(self, name: str, line: str, facts: dict[str, Any]) -> None:
        """Hand it on, and correct the row of a video in the summary that has it."""
        super().end(name, line, facts)
        if "input" in facts:
            self.correct(facts)

    def correct(self, facts: Mapping[str, Any]) -> None:
        """Write how an analysis ended into the summary that has it.

        `facts` are its folder and what its `run.json` holds. Raises RecordingError.
        """
        path, folder = facts["input"]["path"], Path(facts["folder"]).name
        rows = [
            (file, results, result)
            for file, results in self._summaries().items()
            for result in results
            if result.input == path
        ]
        ours = [row for row in rows if row[2].folder == folder]
        begun = [row for row in rows if not row[2].folder and row[2].status in NOT_ENDED]
        for file, results, result in (ours or begun)[:1]:
            before = replace(result)
            result.note_end(facts)
            if result != before:
                with naming_the_summary(self._out):
                    write_summary(file, results)

    def _summaries(self) -> dict[Path, list[InputResult]]:
        """Return the results of each summary by its file, the oldest first."""
        found = {}
        paths = self._out.glob(f"{NAME}*.json")
        for path in sorted(paths, key=lambda path: natural_order(path.stem)):
            try:
                found[path] = msgspec.json.decode(read_whole(path), type=_SummaryFile).inputs
            except (OSError, ValueError, RecursionError):
                continue  # a file of something else
        return found
