"""The state of a source for its owner."""

from collections.abc import Mapping
from dataclasses import dataclass

from emostream.shared.source_report import SourceReport, SourceReports, SourceState


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source's state, and its counts since the start.

    `error` is the reason if it is lost or failed, otherwise empty; `dropped` counts pictures that
    were replaced by newer ones before they were taken, `skipped` those that could not be decoded.
    """

    state: SourceState
    error: str
    reconnects: int
    pictures: int
    dropped: int
    skipped: int

    @property
    def ready(self) -> bool:
        """Whether pictures arrive, or all have been delivered."""
        return self.state is SourceState.OPEN or (
            self.state is SourceState.ENDED and not self.error
        )

    def __str__(self) -> str:
        return f"{self.state}: {self.error}" if self.error else self.state


def source_reports(statuses: Mapping[str, SourceStatus]) -> SourceReports:
    """Return the report on the sources for the metrics port, by stream name."""
    return SourceReports(
        [SourceReport(name, status.state, status.error) for name, status in statuses.items()]
    )
