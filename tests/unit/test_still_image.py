"""The decoder of still pictures: every format upright and whole, and what it refuses."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from emostream import recognize
from emostream.services.capture.clock import SystemClock
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.capture.source_reader import open_source
from emostream.shared import heif
from emostream.shared.config import Source
from emostream.shared.errors import SourceError
from emostream.shared.picture_header import MAX_PIXELS, declared_size, picture_format
from emostream.shared.still_image import decode_still, read_still

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "HEIF", "AVIF")
TURNED = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")
ORIENTATION = 0x0112
Picture = NDArray[np.uint8]

pillow_heif.register_heif_opener()


@pytest.fixture(scope="module")
def picture() -> Pillow.Image:
    """A blurred picture that looks different whichever way it is turned."""
    dice = np.random.default_rng(3).integers(0, 256, (3, 5, 3), np.uint8)
    return Pillow.fromarray(dice).resize((160, 96), Pillow.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def scene() -> Pillow.Image:
    """A picture of three faces."""
    return Pillow.fromarray(DemoScene().frame(0)[..., ::-1])


def coded(picture: Pillow.Image, form: str, **options: Any) -> bytes:
    if form in ("WEBP", "JPEG2000"):
        options.setdefault("quality", 95)
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def difference(found: Picture, picture: Pillow.Image) -> float:
    """Return the mean difference of a pixel's channel, 0 to 255."""
    expected = np.asarray(picture.convert("RGB"))[..., ::-1]
    assert found.shape == expected.shape
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    return float(np.abs(found.astype(int) - expected).mean())


def stored(upright: Pillow.Image, orientation: int) -> Pillow.Image:
    """Return the picture as a camera stores it that was held so."""
    ways: list[Pillow.Transpose | None] = [None, *Pillow.Transpose]
    for way in ways:
        turned = upright if way is None else upright.transpose(way)
        marked = turned.copy()
        marked.getexif()[ORIENTATION] = orientation
        if ImageOps.exif_transpose(marked).tobytes() == upright.tobytes():
            return turned
    raise AssertionError(f"no way of turning gives orientation {orientation}")


def faces(data: bytes) -> list[str]:
    """Return the labels of the faces from left to right."""
    found = recognize(decode_still(data, "x"), "bgr")
    return [face.label for face in sorted(found, key=lambda face: face.box)]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read(form: str, picture: Pillow.Image) -> None:
    data = coded(picture, form)
    assert difference(decode_still(data, "x"), picture) < (12 if form == "GIF" else 6)
    if form not in ("WEBP", "HEIF", "AVIF"):
        kind = picture_format(data[:64])
        assert kind is not None and declared_size(data, kind) == picture.size


@pytest.mark.parametrize("form", TURNED)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright_once(
    form: str, orientation: int, picture: Pillow.Image
) -> None:
    exif = Pillow.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, Any] = {"exif": exif.tobytes()}
    if form == "TIFF":
        options = {"tiffinfo": {ORIENTATION: orientation}}
    data = coded(stored(picture, orientation), form, **options)
    if form in ("HEIF", "AVIF"):
        assert (b"irot" in data or b"imir" in data) == (orientation > 1)
    assert difference(decode_still(data, "x"), picture) < 6


def test_an_exif_orientation_alone_does_not_turn_a_heic(picture: Pillow.Image) -> None:
    """HEIF is turned by `irot` and `imir`; what EXIF says repeats them for other programs."""
    exif = Pillow.Exif()
    exif[ORIENTATION] = 6
    turned = coded(stored(picture, 6), "HEIF", exif=exif.tobytes())
    # A `free` box is passed over, so the picture stays as it is stored.
    found = decode_still(turned.replace(b"irot", b"free"), "x")
    assert difference(found, stored(picture, 6)) < 6


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("CMYK", "JPEG"),
        ("L", "JPEG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("RGBA", "HEIF"),
        ("L", "HEIF"),
        ("RGBA", "AVIF"),
        ("L", "AVIF"),
    ],
)
def test_every_kind_of_pixels_is_read(mode: str, form: str, picture: Pillow.Image) -> None:
    options = {"transparency": 3} if mode == "P" else {}
    changed = picture.quantize(64) if mode == "P" else picture.convert(mode)
    data = coded(changed, form, **options)
    assert difference(decode_still(data, "x"), changed) < 6


def test_sixteen_bits_lose_the_lower_eight(picture: Pillow.Image) -> None:
    deep = np.asarray(picture).astype(np.uint16) * 256 + 9
    png = cv2.imencode(".png", np.ascontiguousarray(deep[..., ::-1]))[1].tobytes()
    assert difference(decode_still(png, "x"), picture) == 0


@pytest.mark.parametrize("mode", ["RGB;16", "I;16"])
def test_ten_bits_of_heic_become_eight(mode: str, picture: Pillow.Image) -> None:
    plain = picture if mode == "RGB;16" else picture.convert("L")
    deep = (np.asarray(plain).astype("<u2") << 8).tobytes()
    file = io.BytesIO()
    pillow_heif.from_bytes(mode=mode, size=picture.size, data=deep).save(file)
    assert b"heix" in file.getvalue()[:32]
    assert difference(decode_still(file.getvalue(), "x"), plain) < 6


def test_of_several_pictures_the_primary_one_is_taken(picture: Pillow.Image) -> None:
    small = picture.resize((80, 48)).rotate(180)
    heic = coded(small, "HEIF", save_all=True, append_images=[picture], primary_index=1)
    assert difference(decode_still(heic, "x"), picture) < 6
    for form in ("AVIF", "WEBP", "PNG"):
        others = [picture.rotate(180)]
        moving = coded(picture, form, save_all=True, append_images=others, duration=200)
        assert difference(decode_still(moving, "x"), picture) < 6


def test_tiles_are_put_together(scene: Pillow.Image) -> None:
    heic = coded(scene, "HEIF", tile_size=256)
    assert heic.count(b"hvc1") > 10
    assert faces(heic) == faces(coded(scene, "PNG"))


@pytest.mark.parametrize("form", ["HEIF", "AVIF"])
def test_faces_of_heif_have_the_labels_of_the_same_png(form: str, scene: Pillow.Image) -> None:
    assert faces(coded(scene, form)) == faces(coded(scene, "PNG"))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.995])
@pytest.mark.parametrize(
    ("form", "options"), [*((form, {}) for form in FORMATS[:5]), ("HEIF", {"tile_size": 64})]
)
def test_a_picture_that_is_cut_off_is_refused(
    form: str, options: dict[str, int], share: float, picture: Pillow.Image
) -> None:
    data = coded(picture, form, **options)
    with pytest.raises(SourceError, match=r"^x\.y: not a readable picture") as caught:
        decode_still(data[: int(len(data) * share)], "x.y")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.995])
def test_an_avif_that_is_cut_off_is_refused(share: float, picture: Pillow.Image) -> None:
    data = coded(picture, "AVIF")
    with pytest.raises(SourceError, match=r"^x\.y: "):
        decode_still(data[: int(len(data) * share)], "x.y")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000)))


def huge(form: str, picture: Pillow.Image) -> bytes:
    """Return a picture whose header claims 40,000 x 40,000 pixels."""
    layout = {"JPEG": ">HH", "PNG": ">II", "BMP": "<II", "GIF": "<HH", "JPEG2000": ">II"}[form]
    width, height = picture.size
    size = struct.pack(layout, *((height, width) if form == "JPEG" else (width, height)))
    data = coded(picture, form)
    assert size in data
    return data.replace(size, struct.pack(layout, 40_000, 40_000), 1)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF", "JPEG2000"])
def test_a_picture_that_is_too_large_is_not_decoded(
    form: str, picture: Pillow.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(SourceError, match=r"too large: 40000 x 40000 pixels, more than 268 mill"):
        decode_still(huge(form, picture), "x")


@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_that_is_too_large_is_not_decoded(
    big: bool, picture: Pillow.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = coded(picture, "TIFF", big_tiff=big)
    kind = picture_format(data[:64])
    assert kind is not None and declared_size(data, kind) == picture.size
    monkeypatch.setattr("emostream.shared.picture_header.MAX_PIXELS", 160 * 96 - 1)
    with pytest.raises(SourceError, match="too large: 160 x 96 pixels"):
        decode_still(data, "x")


@pytest.mark.parametrize("form", ["HEIF", "AVIF", "PPM"])
def test_the_limit_holds_for_other_formats(
    form: str, picture: Pillow.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emostream.shared.picture_header.MAX_PIXELS", 160 * 96 - 1)
    with pytest.raises(SourceError, match="too large: 160 x 96 pixels"):
        decode_still(coded(picture, form), "x")


def test_the_largest_webp_is_within_the_limit() -> None:
    assert MAX_PIXELS > 16_383**2


def test_without_pillow_heif_the_group_is_named(
    picture: Pillow.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(data: bytes, name: str) -> Picture:
        raise ImportError("No module named 'pillow_heif'")

    data = coded(picture, "HEIF")
    monkeypatch.setattr(heif, "_heic", missing)
    with pytest.raises(
        SourceError, match=r"^x: HEIF pictures need pillow-heif: pip install .*\[capture\]"
    ):
        decode_still(data, "x")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_folder(path: Path) -> None:
    path.mkdir()


def an_empty_file(path: Path) -> None:
    path.touch()


def a_text(path: Path) -> None:
    path.write_text("no picture")


def a_dead_link(path: Path) -> None:
    path.symlink_to("nowhere")


def a_huge_header(path: Path) -> None:
    path.write_bytes(huge_png(40_000, 40_000))


def one_without_permission(path: Path) -> None:
    path.write_bytes(b"\xff\xd8\xff")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices are no files there")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (a_pipe, "a pipe or device, not a file"),
        (a_device, "a pipe or device, not a file"),
        (a_folder, "a folder, not a picture"),
        (an_empty_file, "the file is empty"),
        (a_text, "not a readable picture (JPEG"),
        (a_dead_link, "cannot be read: No such file"),
        (a_huge_header, "the picture is too large: 40000 x 40000"),
        (one_without_permission, "cannot be read: Permission denied"),
    ],
)
def test_a_folder_goes_on_after_what_is_no_picture(
    make: Callable[[Path], None], reason: str, tmp_path: Path, picture: Pillow.Image
) -> None:
    for name in ("a.png", "c.png"):
        (tmp_path / name).write_bytes(coded(picture, "PNG"))
    make(tmp_path / "b.jpg")
    skipped: list[str] = []
    source = Source(url=str(tmp_path), pace="fast")
    assert len(list(open_source(source, skipped.append, SystemClock()))) == 2
    (line,) = skipped
    assert line.startswith(f"{tmp_path / 'b.jpg'}: {reason}") and line.endswith("; skipped")
    with pytest.raises(SourceError) as caught:
        decode_still(read_still(tmp_path / "b.jpg"), str(tmp_path / "b.jpg"))
    assert f"{caught.value}; skipped" == line


def test_a_folder_gives_photos_of_phones(tmp_path: Path, picture: Pillow.Image) -> None:
    for name, form in (
        ("1.heic", "HEIF"),
        ("2.AVIF", "AVIF"),
        ("3.jfif", "JPEG"),
        ("4.tif", "TIFF"),
    ):
        (tmp_path / name).write_bytes(coded(picture, form))
    source = Source(url=str(tmp_path), pace="fast")
    found = list(open_source(source, print, SystemClock()))
    assert [difference(one.pixels, picture) < 6 for one in found] == [True] * 4
