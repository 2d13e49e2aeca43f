"""What a capture says of its sources on its metrics port."""

from enum import StrEnum
from typing import Final

import msgspec

SOURCES_PATH: Final = "/sources"


class SourceState(StrEnum):
    """What a source is doing."""

    OPENING = "opening"
    OPEN = "open"
    LOST = "lost"
    ENDED = "ended"


class SourceReport(msgspec.Struct, frozen=True):
    """A configured source: the stream that it gives, its state, and the reason if there is one.

    A source that is lost is reopened and again; one that ended with a reason failed.
    """

    stream: str
    state: SourceState
    reason: str = ""


class SourceReports(msgspec.Struct, frozen=True):
    """The answer of `SOURCES_PATH`: all configured sources, in the configuration's order."""

    sources: list[SourceReport]
