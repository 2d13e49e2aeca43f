"""Capture's report on its sources, on its metrics port."""

from enum import StrEnum
from typing import Final

import msgspec

SOURCES_PATH: Final = "/sources"


class SourceState(StrEnum):
    """The state of a source."""

    OPENING = "opening"
    OPEN = "open"
    LOST = "lost"
    ENDED = "ended"


class SourceReport(msgspec.Struct, frozen=True):
    """A configured source: its stream, its state, and the reason if there is one.

    A lost source is reopened repeatedly; a source that ended with a reason has failed.
    """

    stream: str
    state: SourceState
    reason: str = ""


class SourceReports(msgspec.Struct, frozen=True):
    """The answer of `SOURCES_PATH`: all configured sources, in configuration order."""

    sources: list[SourceReport]
