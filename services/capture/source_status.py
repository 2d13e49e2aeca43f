"""The state of a source, as its owner sees it."""

from collections.abc import Mapping
from dataclasses import dataclass

from emostream.shared.source_report import SourceReport, SourceReports, SourceState


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source's state, and its counts since the start.

    `error` says why it is lost or ended, empty while all is well; `dropped` counts pictures
    that were replaced by newer ones before they were taken, `skipped` those that could not be
    decoded.
    """

    state: SourceState
    error: str
    reconnects: int
    pictures: int
    dropped: int
    skipped: int

    @property
    def ready(self) -> bool:
        """Whether pictures flow, or all have been given."""
        return self.state is SourceState.OPEN or (
            self.state is SourceState.ENDED and not self.error
        )

    def __str__(self) -> str:
        return f"{self.state}: {self.error}" if self.error else self.state


def source_reports(statuses: Mapping[str, SourceStatus]) -> SourceReports:
    """Return what the metrics port says of the sources, by the name of their stream."""
    return SourceReports(
        [SourceReport(name, status.state, status.error) for name, status in statuses.items()]
    )
