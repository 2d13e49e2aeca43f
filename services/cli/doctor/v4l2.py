"""Lists the cameras of a Linux machine and their formats, from the kernel (V4L2).

The requests and their layouts are those of the kernel's `linux/videodev2.h`, which never change.
"""

import errno
import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

QUERYCAP: Final = 0x80685600
ENUM_FMT: Final = 0xC0405602
ENUM_FRAMESIZES: Final = 0xC02C564A
ENUM_FRAMEINTERVALS: Final = 0xC034564B
REQBUFS: Final = 0xC0145608
CAPABILITY: Final = struct.Struct("=16s32s32sIII12x")
FORMAT: Final = struct.Struct("=III32sII12x")
FRAME_SIZE: Final = struct.Struct("=III6I8x")
FRAME_INTERVAL: Final = struct.Struct("=IIIII6I8x")
BUFFERS: Final = struct.Struct("=5I")
CAN_CAPTURE: Final = 1
HAS_DEVICE_CAPS: Final = 1 << 31
VIDEO_CAPTURE: Final = 1
MEMORY_MMAP: Final = 1
DISCRETE: Final = 1

# Sends a request with its packed argument and returns the kernel's answer; raises OSError.
Ioctl: TypeAlias = Callable[[int, bytes], bytes]


@dataclass(frozen=True)
class Size:
    """A size in pixels, and its maximum fps, None if unknown."""

    width: int
    height: int
    rate: float | None


@dataclass(frozen=True)
class Format:
    """A pixel format (four characters) and its sizes, largest first."""

    code: str
    sizes: tuple[Size, ...]


@dataclass(frozen=True)
class Camera:
    """A camera; `failure` is why it cannot be opened, `busy` whether another program reads it."""

    path: str
    name: str
    formats: tuple[Format, ...] = ()
    busy: bool = False
    failure: int = 0  # errno


def cameras(folder: Path = Path("/dev")) -> list[Camera]:
    """Return the machine's cameras by number, including those that cannot be opened."""
    paths = [path for path in folder.glob("video*") if re.fullmatch(r"video\d+", path.name)]
    found = map(probe, sorted(paths, key=lambda path: int(path.name[5:])))
    return [camera for camera in found if camera is not None]


def probe(path: Path) -> Camera | None:
    """Return the camera with this device file; None if it is a device of another kind."""
    import fcntl

    try:
        # Do not wait for a picture, as some drivers would.
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return Camera(str(path), _name_in_sysfs(path), failure=error.errno or errno.EIO)
    try:
        return describe(str(path), lambda request, data: fcntl.ioctl(descriptor, request, data))
    except OSError as error:
        return Camera(str(path), _name_in_sysfs(path), failure=error.errno or errno.EIO)
    finally:
        os.close(descriptor)


def describe(path: str, ioctl: Ioctl) -> Camera | None:
    """Return the device's description; None if it is not a video source."""
    answer = ioctl(QUERYCAP, bytes(CAPABILITY.size))
    _, card, _, _, of_all, of_this = CAPABILITY.unpack(answer)
    # A camera has additional device files, for metadata.
    if not (of_this if of_all & HAS_DEVICE_CAPS else of_all) & CAN_CAPTURE:
        return None
    formats = tuple(_formats(ioctl))
    return Camera(path, _text(card), formats, busy=_is_busy(ioctl))


def _formats(ioctl: Ioctl) -> Iterator[Format]:
    for answer in _enumerated(
        ioctl, ENUM_FMT, lambda n: FORMAT.pack(n, VIDEO_CAPTURE, 0, b"", 0, 0)
    ):
        code: int = FORMAT.unpack(answer)[4]
        sizes = {(size.width, size.height): size for size in _sizes(ioctl, code)}
        largest_first = sorted(sizes.values(), key=lambda s: s.width * s.height, reverse=True)
        yield Format(_text(code.to_bytes(4, "little")), tuple(largest_first))


def _sizes(ioctl: Ioctl, code: int) -> Iterator[Size]:
    for answer in _enumerated(
        ioctl, ENUM_FRAMESIZES, lambda n: FRAME_SIZE.pack(n, code, 0, *(0,) * 6)
    ):
        _, _, kind, *numbers = FRAME_SIZE.unpack(answer)
        # For a range, use its upper end.
        width, height = numbers[:2] if kind == DISCRETE else (numbers[1], numbers[4])
        yield Size(width, height, _rate(ioctl, code, width, height))
        if kind != DISCRETE:
            return


def _rate(ioctl: Ioctl, code: int, width: int, height: int) -> float | None:
    rates = []
    for answer in _enumerated(
        ioctl,
        ENUM_FRAMEINTERVALS,
        lambda n: FRAME_INTERVAL.pack(n, code, width, height, 0, *(0,) * 6),
    ):
        # The interval itself, or the shortest of a range.
        _, _, _, _, kind, numerator, denominator, *_ = FRAME_INTERVAL.unpack(answer)
        if numerator:
            rates.append(denominator / numerator)
        if kind != DISCRETE:
            break
    return max(rates, default=None)


def _enumerated(ioctl: Ioctl, request: int, argument: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the answers for 0, 1, 2 ... up to the first that the device does not have."""
    with suppress(OSError):
        # A limit, in case a driver never says no.
        for n in range(1000):
            yield ioctl(request, argument(n))


def _is_busy(ioctl: Ioctl) -> bool:
    try:
        # Releasing zero buffers changes nothing, and fails while another program has buffers.
        ioctl(REQBUFS, BUFFERS.pack(0, VIDEO_CAPTURE, MEMORY_MMAP, 0, 0))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def _name_in_sysfs(path: Path) -> str:
    try:
        return Path(f"/sys/class/video4linux/{path.name}/name").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return "a camera"


def _text(value: bytes) -> str:
    return value.partition(b"\0")[0].decode("utf-8", "replace").strip()
