"""What a run of `emostream analyze` says of its inputs as a whole: in the terminal and in files."""

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from PIL import Image as Pillow

from emostream.services.capture.demo.scene import DemoScene
from emostream.services.capture.folder import IMAGE_SUFFIXES
from emostream.services.cli import main as cli
from emostream.services.cli.analysis.inputs import Inputs, Skipped
from emostream.services.cli.analysis.media_kind import VIDEO_SUFFIXES
from emostream.services.cli.analysis.reporter import BarReporter
from emostream.services.cli.analysis.summary import InputResult, Summary
from emostream.services.cli.results.photos.analysis import PHOTO_FACE, Photo, PhotoSummary
from emostream.services.cli.results.photos.copies import write_copy

pytest.importorskip("jinja2", reason="needs the group `analyze`")
pytest.importorskip("pyarrow", reason="needs the group `analyze`")
pillow_heif.register_heif_opener()

DOCS = Path(__file__).parents[2] / "docs" / "analysis.md"


def photo(path: Path, form: str, **options: Any) -> Path:
    file = io.BytesIO()
    Pillow.fromarray(DemoScene(640, 360).frame(0)[..., ::-1]).save(file, form, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.getvalue())
    return path


def rows(out: Path, name: str = "summary") -> dict[str, dict[str, str]]:
    """Return the rows of the summary by the names of the files."""
    with (out / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    inputs = json.loads((out / f"{name}.json").read_text("utf-8"))["inputs"]
    assert found == [{column: str(value) for column, value in row.items()} for row in inputs]
    return {Path(row["input"]).name: row for row in found}


def test_a_folder_of_photos_is_analyzed_and_the_rest_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    album, out = tmp_path / "album", tmp_path / "out"
    photo(album / "1.heic", "HEIF", tile_size=128)
    photo(album / "2.avif", "AVIF")
    photo(album / "sub" / "3.jfif", "JPEG")
    (album / "4.jpg").write_bytes(photo(album / "4.jpg", "JPEG").read_bytes()[:999])
    for name in ("a.txt", "b.txt", "c.ts"):
        (album / name).write_text("hello")
    os.mkfifo(album / "5.jpg")
    assert cli.main(["analyze", str(album), "--out", str(out)]) != 0
    said = capsys.readouterr()
    first, last = said.out.splitlines()
    assert first == (
        "skipped 2 .txt, 1 .jpg (5.jpg: a folder, pipe or device, not a file), 1 .ts, "
        "1 folder (--recursive takes folders too)"
    )
    assert last.startswith("photos: 2 photos, 6 faces -> ")
    assert "Traceback" not in said.err
    found = rows(out)
    assert {name: row["status"] for name, row in found.items()} == {
        "1.heic": "complete",
        "2.avif": "complete",
        "4.jpg": "unreadable",
        "5.jpg": "skipped",
        "a.txt": "skipped",
        "b.txt": "skipped",
        "c.ts": "skipped",
        "sub": "skipped",
    }
    assert found["1.heic"] == {
        "input": str(album / "1.heic"),
        "kind": "photo",
        "status": "complete",
        "folder": "photos",
        "left_out": "0",
        "message": "",
    }
    assert "damaged or truncated" in found["4.jpg"]["message"]
    assert found["a.txt"]["message"] == "a text file"
    count = json.loads((out / "summary.json").read_text("utf-8"))["count"]
    assert count == {"complete": 2, "unreadable": 1, "skipped": 5}
    assert {path.name for path in (out / "photos" / "annotated").iterdir()} == {
        "1.heic.jpg",
        "2.avif.jpg",
    }


def test_with_recursive_the_folders_within_are_analyzed_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(tmp_path / "1.jpg", "JPEG")
    photo(tmp_path / "sub" / "deep" / "3.jfif", "JPEG")
    words = ["analyze", str(tmp_path), "--out", str(tmp_path / "out"), "--recursive", "--json"]
    assert cli.main(words) == 0
    assert rows(tmp_path / "out")["3.jfif"]["status"] == "complete"
    assert cli.main(words) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"event": "skipped", "name": "", "skipped": {"folder": 1}} in lines
    assert [len(line["photos"]) for line in lines if line["event"] == "end"] == [2, 2]
    assert rows(tmp_path / "out", "summary-2")["out"]["message"] == "the results folder"


def test_one_input_needs_no_summary(tmp_path: Path) -> None:
    path = photo(tmp_path / "1.jpg", "JPEG")
    assert cli.main(["analyze", str(path), "--out", str(tmp_path / "out")]) == 0
    assert not list((tmp_path / "out").glob("summary*"))


def test_a_named_file_that_is_neither_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("hello")
    photo(tmp_path / "1.jpg", "JPEG")
    words = [str(tmp_path / name) for name in ("a.txt", "1.jpg")]
    assert cli.main(["analyze", *words, "--out", str(tmp_path / "out")]) == 1
    assert f"a.txt: error: {tmp_path}/a.txt: a text file\n" in capsys.readouterr().out
    assert rows(tmp_path / "out")["a.txt"]["status"] == "unreadable"
    assert rows(tmp_path / "out")["1.jpg"]["status"] == "complete"


def test_what_a_run_did_not_come_to_is_said(tmp_path: Path) -> None:
    videos = tuple(tmp_path / name for name in ("1.mp4", "2.mp4", "3.mp4"))
    left_out = Skipped(tmp_path / "a.txt", ".txt", "a text file")
    summary = Summary(Inputs(videos, (), (), (left_out,)), tmp_path, BarReporter())
    with summary.about(videos[0]):
        facts = {"folder": "out/1", "status": "broken", "message": "ends early"}
        summary.end("1.mp4", "1 frame", facts)
    with pytest.raises(KeyboardInterrupt), summary.about(videos[1]):
        raise KeyboardInterrupt
    found = rows(tmp_path)
    status = {name: row["status"] for name, row in found.items()}
    assert status == {
        "1.mp4": "broken",
        "2.mp4": "interrupted",
        "3.mp4": "not analyzed",
        "a.txt": "skipped",
    }
    assert (found["1.mp4"]["folder"], found["1.mp4"]["message"]) == ("1", "ends early")


def test_the_documentation_has_every_column_of_the_summary() -> None:
    page = DOCS.read_text("utf-8")
    assert all(f"`{field}`" in page for field in InputResult.__dataclass_fields__)


def test_names_that_get_too_long_or_are_taken_are_cut(tmp_path: Path) -> None:
    picture = DemoScene(64, 48).frame(0)
    long = "面" * 83 + ".heic"
    names = [long, "a.heic", "a.heic.jpg", "sub/" + long]
    copies = [write_copy(tmp_path, name, picture, []) for name in names]
    assert len(set(copies)) == len(names)
    assert all((tmp_path / copy).is_file() and copy.endswith(".jpg") for copy in copies)
    assert copies[1] == "annotated/a.heic.jpg"


def test_the_documentation_has_every_field_of_the_photos() -> None:
    page = (DOCS.parent / "results.md").read_text("utf-8").partition("\n## Photos\n")[2]
    fields = [*PhotoSummary.__dataclass_fields__, *Photo.__dataclass_fields__]
    columns = [column.name for column in PHOTO_FACE]
    assert all(f"`{name}`" in page for name in (*fields, *columns))


def test_the_documentation_has_every_suffix() -> None:
    page = DOCS.read_text("utf-8")
    (photos,) = re.findall(r"Photos are `([^`]*)`", page)
    (videos,) = re.findall(r"videos are `([^`]*)`", page)
    assert set(photos.split()) == IMAGE_SUFFIXES
    assert set(videos.split()) == VIDEO_SUFFIXES
