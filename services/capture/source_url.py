"""The kind of a source, and its stream name, from its URL."""

import hashlib
import os
import re
import socket
import unicodedata
from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path
from urllib.parse import unquote, urlsplit

from emostream.shared.config import Source
from emostream.shared.errors import SourceError
from emostream.shared.source_urls import NETWORK_SCHEMES, redact
from emostream.shared.user_path import is_folder, path_text, user_path

MAX_NAME_LENGTH = 64
DIGEST_LENGTH = 8


class SourceKind(Enum):
    """The kinds of sources."""

    DEMO = auto()
    CAMERA = auto()
    FILE = auto()
    FOLDER = auto()
    NETWORK = auto()

    @property
    def live(self) -> bool:
        """Whether the source is live; it is then reopened forever."""
        return self in (SourceKind.CAMERA, SourceKind.NETWORK)

    @property
    def recorded(self) -> bool:
        """Whether the source is a recording, so that a pause between pictures is part of it."""
        return self in (SourceKind.FILE, SourceKind.FOLDER)


def source_kind(url: str) -> SourceKind:
    """Return the kind of source for the URL; SourceError for an unknown scheme."""
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
    return SourceKind.FOLDER if is_folder(local_path(url)) else SourceKind.FILE


def recorded_streams(sources: Sequence[Source]) -> set[str]:
    """Return the names of the streams whose source is a recording."""
    return {source.name for source in sources if source_kind(source.url).recorded}


def camera_device(url: str) -> int | str:
    """Return the number or the device path of `0`, `camera:0`, `/dev/video0`, `camera:/dev/...`."""
    device = url.removeprefix("camera:")
    return int(device) if device.isdecimal() else device


def local_path(url: str) -> Path:
    """Return the path in the URL of a file or folder; see `user_path`."""
    if url.lower().startswith("file://"):
        return Path(unquote(urlsplit(url).path, errors="surrogateescape"))
    return user_path(url)


def path_url(path: Path) -> str:
    """Return the URL of a path: the path itself, or `file://` if its bytes are not UTF-8.

    A configuration can contain only text.
    """
    return str(path) if path_text(path) == str(path) else path.as_uri()


def awaited(url: str) -> str:
    """Return what a source waits for while it is opened; "" if that takes no time."""
    match source_kind(url):
        case SourceKind.FILE if local_path(url).is_fifo():
            return f"waiting for a program to write into the named pipe {local_path(url)}"
        case SourceKind.NETWORK:
            return f"waiting for an answer from {redact(url)}"
        case _:
            return ""


def unresolved_host(url: str) -> str:
    """Return the host name in a network URL if it does not resolve, otherwise ""."""
    host = urlsplit(redact(url)).hostname or ""
    try:
        socket.getaddrinfo(host, None)
    except (socket.gaierror, UnicodeError):
        return host
    return ""


def stream_name(url: str) -> str:
    """Return a name for the stream that matches [a-z0-9_-]{1,64}: `camera0`, `interview`.

    It is deterministic. If letters are lost, a digest of the whole name is appended, so that
    `面试一` and `面试二` differ. Names that differ only in case or punctuation (`a b`, `a-b`)
    get the same name.
    """
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
    slug = re.sub(r"[^a-z0-9_]+", "-", _without_accents(name).lower()).strip("-")
    if slug and name.isascii() and len(name) <= MAX_NAME_LENGTH:
        return slug
    return distinct_name(slug, unicodedata.normalize("NFC", name))


def distinct_name(name: str, whole: str) -> str:
    """Return the stream name with a short digest of `whole` appended."""
    digest = hashlib.sha256(os.fsencode(whole)).hexdigest()[:DIGEST_LENGTH]
    kept = name[: MAX_NAME_LENGTH - DIGEST_LENGTH - 1].strip("-") or "source"
    return f"{kept}-{digest}"


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))
