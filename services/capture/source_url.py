"""What a source's URL says: its kind, and a name for its stream."""

import re
from enum import Enum, auto
from pathlib import Path
from urllib.parse import unquote, urlsplit

from emostream.shared.errors import SourceError
from emostream.shared.source_urls import NETWORK_SCHEMES, redact

MAX_NAME_LENGTH = 64


class SourceKind(Enum):
    """The kinds of sources."""

    DEMO = auto()
    CAMERA = auto()
    FILE = auto()
    FOLDER = auto()
    NETWORK = auto()

    @property
    def live(self) -> bool:
        """Whether pictures come at their own time: such a source is reopened forever."""
        return self in (SourceKind.CAMERA, SourceKind.NETWORK)


def source_kind(url: str) -> SourceKind:
    """Return the kind of source that the URL names; SourceError for a scheme that is not known."""
    scheme, has_scheme, _ = url.partition("://")
    if url == "demo":
        return SourceKind.DEMO
    if re.fullmatch(r"(camera:)?\d+|camera:.+|/dev/video\d+", url):
        return SourceKind.CAMERA
    if has_scheme and scheme.lower() in NETWORK_SCHEMES:
        return SourceKind.NETWORK
    if has_scheme and scheme.lower() != "file":
        known = ", ".join(NETWORK_SCHEMES)
        raise SourceError(f"{redact(url)}: unknown scheme; write one of {known}, or a path")
    return SourceKind.FOLDER if local_path(url).is_dir() else SourceKind.FILE


def camera_device(url: str) -> int | str:
    """Return the number or the device path of `0`, `camera:0`, `/dev/video0`, `camera:/dev/...`."""
    device = url.removeprefix("camera:")
    return int(device) if device.isdecimal() else device


def local_path(url: str) -> Path:
    """Return the path that a file's or folder's URL names; `~` is the home folder."""
    if url.lower().startswith("file://"):
        return Path(unquote(urlsplit(url).path))
    return Path(url).expanduser()


def stream_name(url: str) -> str:
    """Return a name for the stream that matches [a-z0-9_-]{1,64}: `camera0`, `interview`."""
    match source_kind(url):
        case SourceKind.DEMO:
            name = "demo"
        case SourceKind.CAMERA:
            name = f"camera{camera_device(url)}".replace("/dev/video", "")
        case SourceKind.NETWORK:
            parts = urlsplit(redact(url))
            name = f"{parts.netloc.rpartition('@')[2]}-{parts.path}"
        case _:
            path = local_path(url)
            name = path.stem or path.resolve().name
    slug = re.sub(r"[^a-z0-9_]+", "-", name.lower())[:MAX_NAME_LENGTH].strip("-")
    return slug or "source"
