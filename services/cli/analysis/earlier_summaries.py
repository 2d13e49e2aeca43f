"""Updates the summaries of earlier runs when their analyses are continued."""

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

# The summary of a killed run does not have the folder of the analysis it had started.
NOT_ENDED: Final = ("not analyzed", "interrupted")


class _SummaryFile(msgspec.Struct):
    """The fields read from a summary."""

    inputs: list[InputResult]


class EarlierSummaries(ForwardingReporter):
    """A reporter that forwards everything, and updates the summaries in the results folder."""

    def __init__(self, out: Path, shown: Reporter) -> None:
        super().__init__(shown)
        self._out = out

    def end(self, name: str, line: str, facts: dict[str, Any]) -> None:
        """Forward it, and update the video's row in the summary that contains it."""
        super().end(name, line, facts)
        if "input" in facts:
            self.correct(facts)

    def correct(self, facts: Mapping[str, Any]) -> None:
        """Write the end of an analysis to the summary that contains it.

        `facts` are its folder and the content of its `run.json`. Raises RecordingError.
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
        """Return the results of each summary by file, oldest first."""
        found = {}
        paths = self._out.glob(f"{NAME}*.json")
        for path in sorted(paths, key=lambda path: natural_order(path.stem)):
            try:
                found[path] = msgspec.json.decode(read_whole(path), type=_SummaryFile).inputs
            except (OSError, ValueError, RecursionError):
                continue  # not a summary
        return found
