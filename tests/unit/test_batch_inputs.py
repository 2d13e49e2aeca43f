"""What a batch is to analyze, and the folder or object storage that its results go to."""

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from emostream.services.cli import main as cli
from emostream.services.cli.batch.command import duration
from emostream.services.cli.batch.inputs import Found, find, manifest_lines
from emostream.services.cli.batch.store import Store
from emostream.shared.errors import ConfigError, ExitCode, RecordingError, SourceError
from tests.unit.videos import Clip


@pytest.fixture
def bucket() -> Iterator[str]:
    """The URL of an empty place in memory, which stands for object storage."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield "memory://bucket"
    files.store.clear()


def put(url: str, data: bytes = b"x") -> None:
    with fsspec.open(url, "wb") as file:
        file.write(data)


def names(found: Found) -> list[tuple[str, str, bool]]:
    return [(one.url.rpartition("/")[2], one.recording, one.is_photo) for one in found.media]


def test_files_folders_and_patterns(tmp_path: Path) -> None:
    clip = Clip([9] * 4).write(tmp_path / "a.mp4")
    for name in ("day/b.mp4", "day/c.mp4", "notes/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(clip.read_bytes())
    (tmp_path / "day" / "photo.jpg").write_bytes(b"x")
    words = [str(tmp_path / "a.mp4"), str(tmp_path / "day"), str(tmp_path / "*.mp4")]
    found = find(words, [], recursive=False, out=str(tmp_path / "out"))
    assert names(found) == [
        *(("a.mp4", "a", False), ("b.mp4", "b", False), ("c.mp4", "c", False)),
        ("photo.jpg", "photos", True),
    ]


def test_a_manifest_lists_inputs_from_its_own_folder_on(tmp_path: Path) -> None:
    Clip([9] * 4).write(tmp_path / "a.mp4")
    manifest = tmp_path / "list.txt"
    manifest.write_text("# the first day\na.mp4\n\n  missing.mp4\n", "utf-8")
    found = find([], [str(manifest)], recursive=False, out=str(tmp_path / "out"))
    assert [one.url for one in found.media] == [str(tmp_path / "a.mp4")]
    assert found.refused == {str(tmp_path / "missing.mp4"): "no such file or folder"}


def test_a_manifest_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--manifest .*none\.txt: No such file"):
        manifest_lines(str(tmp_path / "none.txt"))


def test_urls_of_object_storage(bucket: str) -> None:
    for name in ("a.mp4", "b.MKV", "notes.txt", "photo.png", "more/c.mp4"):
        put(f"{bucket}/{name}")
    put(f"{bucket}/list.txt", f"a.mp4\n{bucket}/more/c.mp4\n".encode())
    flat = [("a.mp4", "a", False), ("b.MKV", "b", False), ("photo.png", "photos", True)]
    assert names(find([bucket], [], recursive=False, out="out")) == flat
    deep = find([bucket], [], recursive=True, out="out")
    assert {name for name, *_ in names(deep)} == {"a.mp4", "b.MKV", "c.mp4", "photo.png"}
    assert names(find([f"{bucket}/*.mp4"], [], recursive=False, out="out")) == flat[:1]
    listed = find([], [f"{bucket}/list.txt"], recursive=False, out="out")
    assert [name for name, *_ in names(listed)] == ["a.mp4", "c.mp4"]
    assert listed.media[0].url == f"{bucket}/a.mp4"


@pytest.mark.parametrize("name", ["none.mp4", "none/*.mp4"])
def test_a_url_of_nothing_is_said(bucket: str, name: str) -> None:
    with pytest.raises(SourceError, match=r"memory://bucket/none"):
        find([f"{bucket}/{name}"], [], recursive=False, out="out")


def test_two_videos_of_a_name_are_two_recordings(bucket: str) -> None:
    for day in ("monday", "tuesday"):
        put(f"{bucket}/{day}/door.mp4")
    first, second = find([bucket], [], recursive=True, out="out").media
    assert first.recording == "door"
    assert second.recording.startswith("door-")


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, bucket: str) -> Store:
    return Store(str(tmp_path / "out") if request.param == "disk" else f"{bucket}/out")


def test_a_store_keeps_files_whole(store: Store, tmp_path: Path) -> None:
    assert not store.exists("a/b.json")
    assert store.read_json("a/b.json") is None
    assert store.names("a") == []
    store.put_json({"n": 1}, "a/b.json")
    store.put_text("two", "a/c.txt")
    assert store.read_json("a/b.json") == {"n": 1}
    assert store.names("a") == ["b.json", "c.txt"]
    with store.open("a/c.txt") as file:
        assert file.read() == b"two"
    store.remove("a")
    store.remove("a")
    assert not store.exists("a/b.json")


def test_a_store_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(RecordingError, match=r"out/a\.txt: "):
        Store(str(tmp_path / "out")).put_text("x", "a.txt")


@pytest.mark.parametrize(
    ("text", "ns"),
    [("60s", 60 * 10**9), ("2m", 120 * 10**9), ("500ms", 5 * 10**8), ("1.5", 1_500_000_000)],
)
def test_times_have_units(text: str, ns: int) -> None:
    assert duration(text) == ns


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["batch", *words]) == ExitCode.USAGE
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    return line


def test_what_a_user_gets_wrong_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert "name an INPUT" in said(out, capsys)
    clip = str(Clip([9] * 4).write(tmp_path / "a.mp4"))
    assert "for example 5/s" in said([clip, *out, "--sample", "often"], capsys)
    assert "nosuch" in said([clip, "--out", "nosuch://bucket"], capsys)
    assert not (tmp_path / "out").exists()


def test_results_of_another_configuration_are_not_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = str(Clip([9] * 4).write(tmp_path / "a.mp4"))
    (tmp_path / "out").mkdir()
    settings = {
        "model": {"name": "mine", "sha256": ""},
        "config": {"classifier": {"prior": "uniform"}, "detector": {"long_side": 1}},
        "prior": {"name": "uniform", "strength": 1},
        "cutting": {"length": 1, "overlap": 1, "sample": 1},
    }
    (tmp_path / "out" / "batch.json").write_text(json.dumps(settings))
    line = said([clip, "--out", str(tmp_path / "out")], capsys)
    assert "name another --out" in line
    for changed in (" prior, ", " detector.long_side, ", " --chunk, --overlap, --sample, model: "):
        assert line.count(changed) == 1
    assert "cutting" not in line


@pytest.mark.parametrize("out", ["file", "file/out"])
def test_results_need_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    clip = str(Clip([9] * 4).write(tmp_path / "a.mp4"))
    file = tmp_path / "file"
    file.touch()
    assert cli.main(["batch", clip, "--out", str(tmp_path / out)]) == ExitCode.FAILURE
    line = capsys.readouterr().err.strip()
    assert f"{tmp_path / out}/batch.json: " in line
    assert line.endswith("is not a folder")
