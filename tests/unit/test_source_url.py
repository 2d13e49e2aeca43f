"""What a source's URL means, and that its secrets stay secret."""

import re
from pathlib import Path

import pytest

from emostream.services.capture.source_url import (
    SourceKind,
    camera_device,
    local_path,
    path_url,
    source_kind,
    stream_name,
)
from emostream.shared.errors import SourceError
from emostream.shared.source_urls import redact, scrub


@pytest.mark.parametrize(
    ("url", "kind", "live"),
    [
        ("demo", SourceKind.DEMO, False),
        ("0", SourceKind.CAMERA, True),
        ("camera:2", SourceKind.CAMERA, True),
        ("/dev/video1", SourceKind.CAMERA, True),
        ("rtsp://10.0.0.5/stream1", SourceKind.NETWORK, True),
        ("HTTP://host/video.mjpg", SourceKind.NETWORK, True),
        ("interview.mp4", SourceKind.FILE, False),
        ("a:b.mp4", SourceKind.FILE, False),
        ("file:///videos/a.mp4", SourceKind.FILE, False),
        (str(Path(__file__).parent), SourceKind.FOLDER, False),
    ],
)
def test_the_kind_of_a_url(url: str, kind: SourceKind, live: bool) -> None:
    assert source_kind(url) is kind
    assert source_kind(url).live is live


def test_an_unknown_scheme_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(SourceError, match=r"^gopher://\*\*\*@host/x: unknown scheme.*rtsp"):
        source_kind("gopher://me:secret@host/x")


@pytest.mark.parametrize(
    ("url", "device"),
    [("0", 0), ("camera:12", 12), ("/dev/video3", "/dev/video3"), ("camera:/dev/x", "/dev/x")],
)
def test_the_device_of_a_camera(url: str, device: int | str) -> None:
    assert camera_device(url) == device


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://10.0.0.5:554/s1", "rtsp://10.0.0.5:554/s1"),
        ("rtsp://me:secret@cam/s1", "rtsp://***@cam/s1"),
        ("rtsp://me:se/cr@et@cam/s1", "rtsp://***@cam/s1"),
        ("http://cam/v?user=me&pwd=secret", "http://cam/v?user=***&pwd=***"),
        ("demo", "demo"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize(
    "text",
    [
        "cannot open rtsp://me:s%C3%A9cret@cam/v?token=abcd1234",
        "401 for me:s%C3%A9cret",
        "login with sécret failed; token abcd1234",
    ],
)
def test_an_error_text_loses_the_secrets(text: str) -> None:
    scrubbed = scrub(text, "rtsp://me:s%C3%A9cret@cam/v?token=abcd1234")
    assert not re.search(r"s%C3%A9cret|sécret|abcd1234", scrubbed)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("demo", "demo"),
        ("0", "camera0"),
        ("camera:1", "camera1"),
        ("/dev/video2", "camera2"),
        ("/videos/Interview No. 3 (final).MP4", "interview-no-3-final"),
        ("rtsp://me:secret@10.0.0.5:554/s1?token=abcd", "10-0-0-5-554-s1"),
        ("rtsp://me:se/cret@cam/s1", "cam-s1"),
        ("/videos/" + "x" * 64 + ".mp4", "x" * 64),
        ("/videos/" + "x" * 99 + ".mp4", "x" * 55 + "-d0621fdd"),
        ("日本.mp4", "source-cf2abf0c"),
    ],
)
def test_the_name_of_a_stream(url: str, name: str) -> None:
    assert stream_name(url) == name
    assert re.fullmatch(r"[a-z0-9_-]{1,64}", name)


def test_names_that_lose_letters_stay_distinct() -> None:
    names = ["面试一", "面试二", "😀", "😁", "é", "e", "è", "ё", "!", "x" * 70, "x" * 71, "a\udce9"]
    streams = [stream_name(f"/films/{name}.mp4") for name in names]
    assert len(set(streams)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_-]{1,64}", stream) for stream in streams)
    assert streams[5] == "e" and streams[4].startswith("e-")
    # macOS writes letters and accents apart.
    assert stream_name("/films/é.mp4") == stream_name("/films/é.mov")


@pytest.mark.parametrize("url", ["~$scan.mp4", "~nobody-of-this-name/a.mp4", "~"])
def test_a_tilde_is_the_home_folder_unless_a_file_is_called_so(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert local_path(url) == (Path("/home/me") if url == "~" else Path(url))
    assert local_path("~/a.mp4") == Path("/home/me/a.mp4")
    Path("~").mkdir()
    Path("~/a.mp4").touch()
    assert local_path("~/a.mp4") == Path("~/a.mp4")


def test_a_path_that_is_no_text_comes_back_from_its_url() -> None:
    path = Path("/films/caf\udce9 %41.mp4")
    assert path_url(path).isascii()
    assert local_path(path_url(path)) == path
    assert path_url(Path("/films/é %41.mp4")) == "/films/é %41.mp4"
