"""The topics on which references to frames in shared memory are sent, instead of the frames."""

import re
from typing import Final

# Comes before the topic, after a request: `local/frame/a/`, `once/<name>/local/frame/a/`.
LOCAL: Final = "local/"
_FRAMES: Final = re.compile(rf"(once/[^/]*/)?({LOCAL})?(frame/.*)", re.DOTALL)


def local_topic(topic: str) -> str:
    """Return the topic of the references to the frames on `topic`; others are unchanged."""
    match = _FRAMES.fullmatch(topic)
    return f"{match[1] or ''}{LOCAL}{match[3]}" if match else topic


def full_topic(topic: bytes) -> bytes | None:
    """Return the topic of the frames to which the messages on `topic` refer; None if to none."""
    match = _FRAMES.fullmatch(topic.decode("ascii", "replace"))
    return f"{match[1] or ''}{match[3]}".encode() if match and match[2] else None
