"""The recorder's report on its current recordings, on its metrics port."""

from typing import Final

import msgspec

RECORDINGS_PATH: Final = "/recordings"


class RecordingReport(msgspec.Struct, frozen=True):
    """The current video of a stream: its file, and the total bytes of its files so far.

    A recording continues in a new file after some minutes; `path` is the newest file.
    """

    stream: str
    path: str
    bytes: int


class RecordingReports(msgspec.Struct, frozen=True):
    """The answer of `RECORDINGS_PATH`."""

    recordings: list[RecordingReport]
