"""What `emostream analyze` takes of what it is given, what it skips, and how it calls it."""

import io
import os
import re
import wave
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image as Pillow

from emostream.services.cli.analysis import inputs
from emostream.services.cli.analysis.media_kind import (
    VIDEO_SUFFIXES,
    MediaKind,
    is_text,
    media_kind,
)
from emostream.shared.errors import SourceError
from tests.unit.videos import Clip

pillow_heif.register_heif_opener()

CONTAINERS = {
    "mp4": "libx264",
    "mov": "libx264",
    "matroska": "libx264",
    "webm": "libvpx-vp9",
    "avi": "mpeg4",
    "asf": "wmv2",
    "flv": "flv",
    "vob": "mpeg2video",
    "mpegts": "mpeg2video",
    "ogg": "libvpx",
    "ivf": "libvpx-vp9",
    "mxf": "mpeg2video",
    "h264": "libx264",
    "hevc": "libx265",
    "mpeg2video": "mpeg2video",
    "yuv4mpegpipe": "wrapped_avframe",
    "nut": "mpeg4",
}


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def photo(path: Path, form: str) -> Path:
    file = io.BytesIO()
    Pillow.new("RGB", (64, 48), (90, 120, 40)).save(file, form)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.getvalue())
    return path


def reason(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        media_kind(path)
    assert str(path) not in str(caught.value)
    return str(caught.value)


def test_files_folders_and_patterns_name_videos_and_photos(tmp_path: Path) -> None:
    touch(tmp_path, "a/take10.mp4", "a/take2.MOV", "a/face.jpg", "a/notes.txt", "b1/x.mkv")
    touch(tmp_path, "b2/y.webm", "odd.dat")
    words = [str(tmp_path / word) for word in ("a", "b*", "odd.dat", "a/take2.MOV")]
    found = inputs.find(words)
    assert [path.name for path in found.videos] == ["take2.MOV", "take10.mp4", "x.mkv", "y.webm"]
    assert [path.name for path in found.photos] == ["face.jpg"]
    assert [(one.path.name, one.reason) for one in found.refused] == [("odd.dat", "a text file")]
    assert [(one.path.name, one.kind) for one in found.skipped] == [("notes.txt", ".txt")]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("none.mp4", "no such file or folder"),
        ("empty", "no videos or photos"),
        ("x" * 300, "File name too long"),
        ("texts", r"no videos or photos in this folder \(skipped 2 \.txt, 1 \.md, 1 folder"),
    ],
)
def test_a_word_that_names_nothing_is_refused(tmp_path: Path, word: str, reason: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "texts/a.txt", "texts/b.txt", "texts/c.md", "texts/deep/a.mp4")
    with pytest.raises(SourceError, match=reason):
        inputs.find([str(tmp_path / word)])


def test_a_folder_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    touch(tmp_path, "locked/a.mp4", "b.mp4")
    (tmp_path / "locked").chmod(0)
    if os.access(tmp_path / "locked", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(SourceError, match=r"locked: cannot be read: Permission denied$"):
        inputs.find([str(tmp_path / "locked")])
    with pytest.raises(SourceError, match=r"a\.mp4: Permission denied$"):
        inputs.find([str(tmp_path / "locked" / "a.mp4")])
    found = inputs.find([str(tmp_path)], recursive=True)
    assert [one.reason for one in found.skipped] == ["cannot be read: Permission denied"]


def test_subfolders_are_taken_when_asked_and_counted_when_not(tmp_path: Path) -> None:
    touch(tmp_path, "z.mp4", "a/2.mp4", "a/10.mp4", "a/b/1.jpg", ".trash/x.mp4")
    touch(tmp_path, "results/old/annotated.mp4", "a/notes.txt")
    (tmp_path / "a" / "around").symlink_to(tmp_path)
    (tmp_path / "dir.png").mkdir()
    flat = inputs.find([str(tmp_path)])
    assert [path.name for path in flat.videos] == ["z.mp4"]
    assert Counter(one.kind for one in flat.skipped) == {"folder": 4}
    line = inputs.skipped_line(flat.skipped, recursive=False)
    assert line == "skipped 4 folders (--recursive takes folders too)"
    deep = inputs.find([str(tmp_path)], recursive=True, results=tmp_path / "results")
    taken = [path.relative_to(tmp_path).as_posix() for path in (*deep.videos, *deep.photos)]
    assert taken == ["z.mp4", "a/2.mp4", "a/10.mp4", "a/b/1.jpg"]
    assert {one.path.name: one.reason for one in deep.skipped} == {
        "notes.txt": "a text file",
        "around": "a symbolic link to a folder",
        ".trash": "a hidden folder",
        "results": "the results folder",
    }
    assert inputs.skipped_line(deep.skipped, recursive=True) == "skipped 1 .txt, 3 folders"


def test_what_is_unusual_among_the_skipped_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "z.mp4", "a.txt", "b.txt", "sub/x.mp4")
    for name in ("pipe.jpg", "other.jpg", "pipe"):
        os.mkfifo(tmp_path / name)
    line = inputs.skipped_line(inputs.find([str(tmp_path)]).skipped, recursive=False)
    reason = "a folder, pipe or device, not a file"
    assert line == (
        f"skipped 2 .jpg (other.jpg: {reason}, and 1 more), 2 .txt, "
        f"1 without a suffix (pipe: {reason}), 1 folder (--recursive takes folders too)"
    )


def test_a_file_is_taken_once_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/x.mp4", "a/y.txt")
    monkeypatch.chdir(tmp_path)
    found = inputs.find(["a/x.mp4", str(tmp_path / "a"), "a/../a/x.mp4", "a", "a/y.txt"])
    assert found.videos == (Path("a/x.mp4"),)
    assert [one.path.name for one in (*found.refused, *found.skipped)].count("y.txt") >= 1


def test_a_name_that_begins_with_a_tilde_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "~$scan.png", "~$scan2.png", "~/a.mp4", "home/b.mp4")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert inputs.find(["~$scan.png"]).photos == (Path("~$scan.png"),)
    assert len(inputs.find(["~$*.png"]).photos) == 2
    assert inputs.find(["~/a.mp4", "~/b.mp4"]).videos == (
        Path("~/a.mp4"),
        tmp_path / "home" / "b.mp4",
    )
    with pytest.raises(SourceError, match=r"^~nobody-of-this-name/a\.mp4: no such file"):
        inputs.find(["~nobody-of-this-name/a.mp4"])


@pytest.mark.parametrize("form", CONTAINERS)
def test_a_video_is_known_by_its_content(form: str, tmp_path: Path) -> None:
    clip = Clip(
        [40, 90, 200] * 5,
        size=(176, 144),
        codec=CONTAINERS[form],
        layout="yuv422p" if form == "mxf" else "yuv420p",
        time_base=Fraction(1, 25),
    )
    clip.write(tmp_path / "clip", form)
    assert media_kind(tmp_path / "clip") is MediaKind.VIDEO
    for name in ("clip.dat", "clip.ts", "clip.mp4"):
        os.link(tmp_path / "clip", tmp_path / name)
    found = inputs.find([str(tmp_path)])
    named = inputs.find([str(path) for path in tmp_path.iterdir()])
    assert set(found.videos) == set(named.videos) == set(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "HEIF", "AVIF"])
def test_a_photo_is_known_by_its_content(form: str, tmp_path: Path) -> None:
    photo(tmp_path / "photo", form)
    if form != "TIFF":
        photo(tmp_path / "photo.download", form)
    if form in ("HEIF", "AVIF"):
        photo(tmp_path / "photo.mp4", form)
    found = inputs.find([str(tmp_path)])
    assert set(found.photos) == set(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".heic", ".avif", ".jfif", ".HIF", ".tif", ".jpe"])
def test_a_name_of_a_photo_is_believed(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"damaged")
    assert media_kind(tmp_path / f"a{suffix}") is MediaKind.PHOTO


@pytest.mark.parametrize("suffix", [".vob", ".asf", ".ivf", ".WMV", ".gif", ".mjpeg"])
def test_a_name_of_a_video_is_believed(suffix: str, tmp_path: Path) -> None:
    assert suffix.lower() in VIDEO_SUFFIXES
    (tmp_path / f"a{suffix}").write_bytes(b"damaged")
    assert media_kind(tmp_path / f"a{suffix}") is MediaKind.VIDEO


def test_what_is_neither_is_said_in_a_few_words(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    files = {
        "a.ts": (b"export const x: number = 1;\n", "a text file"),
        "utf16.txt": ("hé".encode("utf-16"), "a text file"),
        "latin.srt": ("1\n00:00 --> 00:01\ncafé\n".encode("latin-1"), "a text file"),
        "empty.dat": (b"", "the file is empty"),
        "._IMG.jpg": (b"\0\5\x16\7\0\2\0\0" + bytes(60), "macOS metadata of another file"),
        "IMG.NEF": (b"MM\0*" + bytes(60), "a camera raw picture: export it as JPEG or HEIC"),
        "IMG.CR3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a camera raw picture: export"),
        "a.zip": (b"PK\3\4" + bytes(60), "neither a video nor a photo"),
        "a.m4b": (b"\0\0\0\x18ftypM4B \0\0\0\0M4B isom", "damaged, truncated, or not a video"),
    }
    for name, (content, expected) in files.items():
        (tmp_path / name).write_bytes(content)
        assert reason(tmp_path / name).startswith(expected)
    assert reason(tmp_path / "a.wav") == "neither a video nor a photo"


@pytest.mark.skipif(os.name == "nt", reason="pipes are no files there")
@pytest.mark.parametrize("name", ["a.jpg", "a.mp4", "a"])
def test_a_pipe_is_not_read(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    assert reason(tmp_path / name) == "a folder, pipe or device, not a file"


def test_what_cannot_be_read_goes_by_its_name(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.mp4", "a"):
        (tmp_path / name).symlink_to("nowhere")
    assert media_kind(tmp_path / "a.jpg") is MediaKind.PHOTO
    assert media_kind(tmp_path / "a.mp4") is MediaKind.VIDEO
    assert reason(tmp_path / "a") == "cannot be read: No such file or directory"


def test_text_is_told_from_other_content() -> None:
    assert all(is_text(text.encode("utf-8")) for text in ("a\tb\r\n", "面试", "\x1b[1mbold"))
    assert not is_text(b"\0\0\0\x18ftyp") and not is_text(b"PK\3\4")


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("Interview 3.mp4", "interview-3"),
        ("___.avi", "___"),
        ("été.mov", "ete-bd010c64"),
        ("é.mov", "e-4a99557e"),
    ],
)
def test_a_stream_is_named_after_its_file(name: str, stream: str) -> None:
    assert inputs.stream_of(Path("/films") / name) == stream


def test_no_two_streams_of_a_run_have_one_name() -> None:
    names = [
        "a.mp4",
        "a.mov",
        "A.MP4",
        "d1/a.mp4",
        "x y.mp4",
        "x-y.mp4",
        "面试一.mp4",
        "面试一.mov",
    ]
    paths = [Path("/films") / name for name in names]
    streams = inputs.stream_names(paths)
    assert list(streams) == paths
    assert len(set(streams.values())) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_-]{1,64}", stream) for stream in streams.values())
    assert streams[paths[0]] == "a" and streams[paths[4]] == "x-y"
    elsewhere = inputs.stream_names([Path("/other") / name for name in names])
    assert list(elsewhere.values()) == list(streams.values())
    assert inputs.stream_names([]) == {}
