"""What a recorder says on its metrics port of the video that it writes."""

from typing import Final

import msgspec

RECORDINGS_PATH: Final = "/recordings"


class RecordingReport(msgspec.Struct, frozen=True):
    """The video of a stream that is written now: its file, and the bytes of all its files so far.

    A recording continues in a new file after some minutes; `path` is that of the newest.
    """

    stream: str
    path: str
    bytes: int


class RecordingReports(msgspec.Struct, frozen=True):
    """The answer of `RECORDINGS_PATH`."""

    recordings: list[RecordingReport]
