"""What the kernel tells of a camera, by a kernel that is made of tables, and what is made of it."""

import errno
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest

from emostream.services.cli.doctor import sources, v4l2
from emostream.services.cli.doctor.finding import Status
from emostream.services.cli.doctor.v4l2 import Camera, Format, Size, describe
from emostream.shared.config import Source

T = TypeVar("T")
# Each size with its rates as fractions of a second, or the kind of a range and its six numbers.
Sizes: TypeAlias = list[tuple[int, int, list[tuple[int, int]]]] | tuple[int, tuple[int, ...]]
STEPWISE, CONTINUOUS = 3, 2
RANGE = (STEPWISE, (160, 1920, 16, 120, 1080, 8))
WEBCAM: dict[str, Sizes] = {
    "MJPG": [(640, 480, [(1, 30)]), (1280, 720, [(1, 30), (1, 60), (1, 5)])],
    "YUYV": [(640, 480, [(1001, 30000)])],
}


class Kernel:
    """Answers as linux/videodev2.h says, at the offsets that stand there."""

    def __init__(
        self,
        formats: Mapping[str, Sizes],
        caps: int = 1,
        device_caps: int | None = None,
        busy: bool = False,
    ) -> None:
        self.formats, self.caps, self.device_caps, self.busy = formats, caps, device_caps, busy

    def __call__(self, request: int, data: bytes) -> bytes:
        asked, argument = request & 0xFF, bytearray(data)
        assert len(argument) == request >> 16 & 0x3FFF, "the size is part of the request"
        {0: self.capability, 2: self.format, 74: self.size, 75: self.interval, 8: self.buffers}[
            asked
        ](argument)
        return bytes(argument)

    def capability(self, data: bytearray) -> None:
        data[16:24] = b"Fine Cam"
        caps = self.caps if self.device_caps is None else self.caps | 1 << 31
        struct.pack_into("=II", data, 84, caps, self.device_caps or 0)

    def format(self, data: bytearray) -> None:
        (index, kind) = struct.unpack_from("=II", data)
        assert kind == 1
        code = self.pick(list(self.formats), index)
        data[12:17] = b"words"
        data[44:48] = code.encode()

    def size(self, data: bytearray) -> None:
        index, code = struct.unpack_from("=I4s", data)
        sizes = self.formats[code.decode()]
        if isinstance(sizes, tuple):
            self.pick([0], index)
            struct.pack_into("=I6I", data, 8, sizes[0], *sizes[1])
        else:
            struct.pack_into("=III", data, 8, 1, *self.pick(sizes, index)[:2])

    def interval(self, data: bytearray) -> None:
        index, code, width, height = struct.unpack_from("=I4sII", data)
        sizes = self.formats[code.decode()]
        if isinstance(sizes, tuple):
            assert (width, height) == (1920, 1080)
            # From 1/25 s to 1 s.
            struct.pack_into("=I6I", data, 16, CONTINUOUS, 1, 25, 1, 1, 0, 0)
        else:
            rates = next(rates for w, h, rates in sizes if (w, h) == (width, height))
            struct.pack_into("=III", data, 16, 1, *self.pick(rates, index))

    def buffers(self, data: bytearray) -> None:
        assert struct.unpack_from("=III", data) == (0, 1, 1)
        if self.busy:
            raise OSError(errno.EBUSY, "busy")

    @staticmethod
    def pick(items: Sequence[T], index: int) -> T:
        if index >= len(items):
            raise OSError(errno.EINVAL, "no more")
        return items[index]


def described(path: str, kernel: Kernel) -> Camera:
    """Return the camera that a device is."""
    camera = describe(path, kernel)
    assert camera is not None
    return camera


@pytest.mark.parametrize(
    ("request_code", "direction", "number", "layout"),
    [
        (v4l2.QUERYCAP, 2, 0, v4l2.CAPABILITY),
        (v4l2.ENUM_FMT, 3, 2, v4l2.FORMAT),
        (v4l2.REQBUFS, 3, 8, v4l2.BUFFERS),
        (v4l2.ENUM_FRAMESIZES, 3, 74, v4l2.FRAME_SIZE),
        (v4l2.ENUM_FRAMEINTERVALS, 3, 75, v4l2.FRAME_INTERVAL),
    ],
)
def test_requests_are_the_kernels(
    request_code: int, direction: int, number: int, layout: struct.Struct
) -> None:
    assert request_code == direction << 30 | layout.size << 16 | ord("V") << 8 | number


def test_a_camera_tells_its_formats_sizes_and_rates() -> None:
    camera = described("/dev/video0", Kernel(WEBCAM))
    assert camera == Camera(
        "/dev/video0",
        "Fine Cam",
        (
            Format("MJPG", (Size(1280, 720, 60), Size(640, 480, 30))),
            Format("YUYV", (Size(640, 480, 30_000 / 1001),)),
        ),
    )


def test_a_camera_that_tells_a_range_offers_its_upper_end() -> None:
    camera = described("/dev/video0", Kernel({"RGB3": RANGE}))
    assert camera.formats == (Format("RGB3", (Size(1920, 1080, 25),)),)


@pytest.mark.parametrize(
    ("caps", "device_caps", "is_one"),
    [(1, None, True), (2, None, False), (1, 1, True), (1, 1 << 23, False)],
)
def test_a_device_without_pictures_is_no_camera(
    caps: int, device_caps: int | None, is_one: bool
) -> None:
    assert (describe("/dev/video1", Kernel({}, caps, device_caps)) is not None) == is_one


def test_a_camera_that_another_program_reads_is_busy() -> None:
    assert described("/dev/video0", Kernel(WEBCAM, busy=True)).busy
    assert not described("/dev/video0", Kernel(WEBCAM)).busy


def test_what_is_no_device_is_told_by_its_error(tmp_path: Path) -> None:
    for name in ("video0", "video10", "video2", "vbi0", "videox"):
        (tmp_path / name).write_bytes(b"")
    found = v4l2.cameras(tmp_path)
    assert [camera.path for camera in found] == [
        str(tmp_path / name) for name in ("video0", "video2", "video10")
    ]
    assert {camera.failure for camera in found} == {errno.ENOTTY}


FOUND = [
    described("/dev/video0", Kernel(WEBCAM)),
    described("/dev/video2", Kernel(WEBCAM, busy=True)),
    Camera("/dev/video4", "Hidden Cam", failure=errno.EACCES),
    Camera("/dev/video6", "Dead Cam", failure=errno.ENODEV),
    Camera("/dev/video8", "Dumb Cam"),
]


def wants(url: str, **changes: Any) -> Source:
    return Source(name="webcam", url=url, **changes)


@pytest.mark.parametrize(
    ("source", "status", "found", "advice"),
    [
        (wants("camera:0"), Status.OK, "/dev/video0 (Fine Cam) is free", ""),
        (wants("/dev/video0"), Status.OK, "is free", ""),
        (
            wants("0", width=1280, height=720, fps=60),
            Status.OK,
            "available and offers 1280 x 720 at 60/s",
            "",
        ),
        (
            wants("camera:0", width=1920, height=1080),
            Status.WARNING,
            "does not offer 1920 x 1080",
            "1280 x 720 at 60/s",
        ),
        (
            wants("camera:0", width=640, height=480, fps=50),
            Status.WARNING,
            "gives 640 x 480 at 30 fps at most, not 50",
            "fps",
        ),
        (
            wants("camera:1"),
            Status.PROBLEM,
            "camera /dev/video1 does not exist",
            "use /dev/video0, ",
        ),
        (wants("camera:2"), Status.PROBLEM, "in use by cheese (pid 7)", "close that program"),
        (
            wants("camera:4"),
            Status.PROBLEM,
            "this user is not allowed to open it",
            "usermod -aG video",
        ),
        (wants("camera:6"), Status.PROBLEM, "No such device", "plug it in again"),
        (wants("camera:8"), Status.PROBLEM, "offers no format", "plug it in again"),
    ],
)
def test_a_source_that_names_a_camera(
    source: Source, status: Status, found: str, advice: str
) -> None:
    finding = sources.check_camera(source, FOUND, ["cheese (pid 7)"])
    assert (finding.check, finding.status) == ("source webcam", status)
    assert found in finding.found
    assert advice in finding.advice
    assert bool(finding.advice) == (status is not Status.OK)


def test_without_any_camera_the_advice_is_to_plug_one_in() -> None:
    finding = sources.check_camera(wants("camera:0"), [])
    assert finding.status is Status.PROBLEM
    assert "plug one in" in finding.advice


def test_where_cameras_cannot_be_listed_nothing_is_claimed() -> None:
    finding = sources.check_camera(wants("camera:0"), None)
    assert finding.status is Status.OK
    assert "Privacy" in finding.advice


def test_the_list_of_cameras() -> None:
    free, busy, hidden, dead, dumb = sources.check_cameras(FOUND)
    assert free.check == "camera /dev/video0"
    assert free.found == (
        "Fine Cam: MJPG 1280 x 720 at 60/s, 640 x 480 at 30/s; YUYV 640 x 480 at 29.97/s"
    )
    assert busy.found.endswith("(in use)")
    assert (hidden.status, dead.status, dumb.status) == (
        Status.WARNING, Status.WARNING, Status.OK,
    )  # fmt: skip
    assert "usermod" in hidden.advice
    assert [finding.found for finding in sources.check_cameras([])] == ["none on this machine"]


def test_many_sizes_are_cut_short() -> None:
    sizes = tuple(Size(160 * n, 90 * n, 30) for n in range(9, 0, -1))
    (finding,) = sources.check_cameras([Camera("/dev/video0", "Cam", (Format("MJPG", sizes),))])
    assert finding.found.endswith("1120 x 630 at 30/s and 6 smaller")
