"""The facts about an input in a run file: its identity and content."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from emostream.services.capture.ffmpeg.video_file import VideoDescription

DESCRIBED: Final = ("width", "height", "frames", "duration_s", "rate", "codec", "has_audio")


def video_facts(
    place: str,
    name: str,
    identity: Mapping[str, Any],
    video: VideoDescription,
    restarts: Sequence[float],
) -> dict[str, Any]:
    """Return the facts about a video at `place`, a path or URL, called `name` in messages.

    `restarts` are the restarts of its clock, in s after its first picture.
    """
    return {
        "path": place,
        "name": name,
        **identity,
        **{fact: getattr(video, fact) for fact in DESCRIBED},
        "pixel_aspect": str(video.pixel_aspect),
        "start_s": video.start / 1e9,
        "skipped_streams": [asdict(stream) for stream in video.skipped],
        "clock_restarts_s": restarts,
    }


def file_identity(path: Path) -> dict[str, Any]:
    """Return the facts that identify a file: its size and sha256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}
