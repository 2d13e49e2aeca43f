"""Decides whether a file is a video or photo, by its extension or else by its content."""

import re
import stat
from enum import Enum, auto
from pathlib import Path
from typing import Final

from emostream.services.capture.ffmpeg.video_file import describe_video
from emostream.services.capture.folder import IMAGE_SUFFIXES
from emostream.shared.errors import SourceError
from emostream.shared.picture_header import PictureFormat, picture_format
from emostream.shared.user_path import path_text

# Not .ts and .mts, which are also TypeScript extensions; their content decides.
VIDEO_SUFFIXES: Final = {
    *(".mp4", ".m4v", ".mov", ".qt", ".mkv", ".mk3d", ".webm", ".avi", ".divx", ".wmv", ".asf"),
    *(".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".m2p", ".vob", ".m2ts", ".m2t", ".flv", ".f4v"),
    *(".3gp", ".3g2", ".ogv", ".ogm", ".gif", ".mxf", ".ivf", ".rm", ".rmvb", ".dv", ".mjpg"),
    *(".mjpeg", ".h264", ".264", ".h265", ".265", ".hevc", ".y4m", ".m3u8"),
}
HEIF: Final = (PictureFormat.HEIF, PictureFormat.AVIF)
# macOS stores metadata in files `._name` next to the real ones on other file systems.
APPLE_DOUBLE: Final = b"\0\x05\x16\x07"
CANON_RAW: Final = b"ftypcrx "
# The signatures of video containers. FFmpeg knows more formats, but it also mistakes one in some
# thousand shared libraries for a video, and takes 20 ms to reject a file.
VIDEO_SIGNATURES: Final = b"|".join(
    (
        rb".{4}(ftyp|moov|mdat|free|skip|wide|pnot)",  # MP4, QuickTime, 3GP
        rb"\x1a\x45\xdf\xa3",  # Matroska, WebM
        rb"RIFF.{4}(AVI |CDXA)",
        rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
        rb"FLV\x01|OggS|DKIF|\.RMF|YUV4MPEG2|GIF8[79]a|nut/multimedia",
        rb"\0\0\x01[\xba\xb3]|\0\0(\0)?\x01[\x09\x67\x27\x40\x46]",  # MPEG, H.264, H.265
        rb"(.{4})?(\x47.{187}|\x47.{191}|\x47.{203}){4}",  # MPEG-TS in its three packet sizes
        rb"\x06\x0e\x2b\x34\x02\x05",  # MXF
        rb"\x1f\x07\0",  # DV
    )
)
PROBED_BYTES: Final = 4096
# Why a file is skipped.
EMPTY: Final = "the file is empty"
TEXT: Final = "a text file"
NEITHER: Final = "neither a video nor a photo"
APPLE_NOTES: Final = "macOS metadata of another file"
# For files that are expected next to videos and photos, so that only their number is reported.
USUAL_REASONS: Final = frozenset((EMPTY, TEXT, NEITHER, APPLE_NOTES))
TEXT_CONTROLS: Final = frozenset(b"\t\n\r\f\x1b")


class MediaKind(Enum):
    """The kind of an input file."""

    VIDEO = auto()
    PHOTO = auto()


def media_kind(path: Path) -> MediaKind:
    """Return the kind of the file, whether named or found in a folder.

    Raises SourceError, with a reason that does not repeat the path, if it is neither. A video or
    photo extension is trusted, so that a damaged file is reported and not skipped.
    """
    named = _kind_of_name(path)
    try:
        head = _head(path)
    except OSError as error:
        if named:
            return named
        raise SourceError(f"cannot be read: {error.strerror}") from error
    form = picture_format(head)
    if head.startswith(APPLE_DOUBLE):
        raise SourceError(APPLE_NOTES)
    # FFmpeg mistakes the tiles of such a picture for videos, regardless of its name.
    if form in HEIF:
        return MediaKind.PHOTO
    return named or _kind_of_content(path, head, form)


def _kind_of_name(path: Path) -> MediaKind | None:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return MediaKind.PHOTO
    return MediaKind.VIDEO if suffix in VIDEO_SUFFIXES else None


def _kind_of_content(path: Path, head: bytes, form: PictureFormat | None) -> MediaKind:
    if not head:
        raise SourceError(EMPTY)
    if (form is PictureFormat.TIFF and path.suffix) or CANON_RAW in head[:16]:
        # The first picture in them is often a thumbnail.
        raise SourceError("a camera raw picture: export it as JPEG or HEIC")
    if form is not None and form is not PictureFormat.GIF:
        return MediaKind.PHOTO
    if re.match(VIDEO_SIGNATURES, head, re.DOTALL) is None:
        raise SourceError(TEXT if is_text(head) else NEITHER)
    # Audio uses the same containers.
    try:
        describe_video(path)
    except SourceError as error:
        raise SourceError(str(error).removeprefix(f"{path_text(path)}: ")) from error
    return MediaKind.VIDEO


def is_text(head: bytes) -> bool:
    """Return whether the first bytes of a file are text, in UTF-8, UTF-16 or an 8-bit code."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return True
    return not any(byte < 32 and byte not in TEXT_CONTROLS for byte in head)


def _head(path: Path) -> bytes:
    """Return the first bytes of the file; SourceError if it is not a file, or OSError."""
    # Reading a pipe or a device may never end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise SourceError("a folder, pipe or device, not a file")
    with path.open("rb") as file:
        return file.read(PROBED_BYTES)
