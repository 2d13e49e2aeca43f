"""The results of photos: the table, the annotated copies, the page, and what is said of them."""

import csv
import json
import logging
import os
import re
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from emostream import Recognizer
from emostream.models import weights
from emostream.models.labels import LABELS
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.cli.results.photos.analysis import PhotoSummary, analyze_photos, photo_names
from emostream.services.cli.results.photos.page import MOST_CARDS, photo_card, write_page
from emostream.services.recorder.archive.schema import MEASURES
from emostream.shared.colors import COLORS
from emostream.shared.errors import RecordingError

pytest.importorskip("jinja2", reason="needs the group `analyze`")
pytest.importorskip("pyarrow", reason="needs the group `analyze`")

BOX = ("x", "y", "width", "height")
WALL = np.full((200, 300, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture(scope="module")
def demo() -> DemoScene:
    return DemoScene(640, 360)


@pytest.fixture(scope="module")
def album(demo: DemoScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos of every kind, one of them broken, one without a face."""
    folder = tmp_path_factory.mktemp("album")
    write(folder / "a" / "10.jpg", demo.frame(0))
    write(folder / "a" / "9 <b>.png", demo.frame(50))
    write(folder / "a" / "same.webp", demo.frame(100))
    write(folder / "b" / "same.webp", demo.frame(150))
    write(folder / "b" / "scan.tif", demo.frame(200))
    write(folder / "b" / "wall.bmp", WALL)
    (folder / "b" / "broken.jpg").write_bytes((folder / "a" / "10.jpg").read_bytes()[:2000])
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def summary(album: Path, out: Path, recognizer: Recognizer) -> PhotoSummary:
    return analyze_photos(photos(album), out, recognizer)


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())


def photos(album: Path) -> list[Path]:
    return sorted(path for path in album.rglob("*") if path.is_file())


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "photos.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_there_is_a_row_a_face_and_one_for_a_photo_without(
    summary: PhotoSummary, out: Path, demo: DemoScene
) -> None:
    found = rows(out)
    assert list(found[0]) == [
        *("photo", "face", *BOX, "detection_score", "label", "confidence"),
        *(*MEASURES, "left_out"),
        *(f"p_{label}" for label in LABELS),
    ]
    names = ["9 <b>.png", "10.jpg", "a/same.webp", "b/same.webp", "scan.tif"]
    expected = [(name, str(face)) for name in names for face in (1, 2, 3)]
    assert [(row["photo"], row["face"]) for row in found] == [*expected, ("wall.bmp", "")]
    assert set(list(found[-1].values())[1:]) == {""}
    for row, true in zip(found[3:6], sorted(demo.truth(0), key=lambda face: face.box), strict=True):
        x, _, width, _ = (float(row[name]) for name in BOX)
        assert x + width / 2 == pytest.approx(true.box[0] + true.box[2] / 2, abs=20)
        shares = {label: float(row[f"p_{label}"]) for label in LABELS}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert row["label"] == max(shares, key=shares.__getitem__)
        assert float(row["confidence"]) == shares[row["label"]]


def test_parquet_holds_the_same_as_csv(summary: PhotoSummary, out: Path) -> None:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(out / "photos.parquet").to_pylist()
    found = rows(out)
    assert [one["photo"] for one in table] == [row["photo"] for row in found]
    assert table[-1]["face"] is None and table[-1]["p_fear"] is None
    assert isinstance(table[0]["face"], int)
    for one, row in zip(table[:-1], found[:-1], strict=True):
        assert one["label"] == row["label"]
        assert one["p_fear"] == pytest.approx(float(row["p_fear"]), abs=1e-6)


def test_the_same_photos_give_the_same_bytes_in_any_order(
    album: Path, out: Path, summary: PhotoSummary, recognizer: Recognizer, tmp_path: Path
) -> None:
    again = [*reversed(photos(album)), album / "b" / ".." / "a" / "10.jpg"]
    analyze_photos(again, tmp_path, recognizer)
    for name in ("photos.csv", "photos.parquet"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_the_copies_show_the_boxes_and_keep_name_and_kind(
    summary: PhotoSummary, out: Path, demo: DemoScene
) -> None:
    copies = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert copies == [
        "annotated/10.jpg",
        "annotated/9 <b>.png",
        "annotated/a/same.webp.jpg",
        "annotated/b/same.webp.jpg",
        "annotated/scan.tif.png",
        "annotated/wall.bmp.png",
        *("photos.csv", "photos.html", "photos.parquet"),
    ]
    for name in copies[:6]:
        start = (out / name).read_bytes()[:3]
        assert start == (b"\x89PN" if name.endswith(".png") else b"\xff\xd8\xff")
    drawn, plain = cv2.imread(str(out / "annotated/9 <b>.png")), demo.frame(50)
    assert drawn is not None
    changed = np.argwhere((drawn != plain).any(axis=2))
    for row in rows(out)[:3]:
        x, y, width, height = (round(float(row[name])) for name in BOX)
        assert [y + height // 2, x] in changed.tolist()
        middle = np.s_[y + height // 3 : y + height // 2, x + width // 3 : x + width // 2]
        assert (drawn[middle] == plain[middle]).all()
    wall = cv2.imread(str(out / "annotated/wall.bmp.png"))
    assert wall is not None and (wall == WALL).all()


def test_the_page_shows_every_photo_and_needs_nothing_from_outside(
    summary: PhotoSummary, out: Path
) -> None:
    page = (out / "photos.html").read_text("utf-8")
    assert "http" not in page and not re.search(r"<(script|link|iframe)|@import", page)
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 6 and all(one.startswith("data:image/jpeg;base64,") for one in sources)
    links = [link for link in re.findall(r'href="([^"]*)"', page) if not link.startswith("#")]
    assert "annotated/9%20%3Cb%3E.png" in links and len(links) == 6
    assert len(re.findall(r'class="box[ "]', page)) == 15
    assert "<h3>9 &lt;b&gt;.png</h3>" in page and "9 <b>" not in page
    assert '<h3>wall.bmp</h3>\n<p class="quiet">no face found' in page
    assert "<h1>6 photos</h1>" in page and "15 faces; 1 photo without one" in page
    assert "broken.jpg" in page and "not a readable picture" in page
    assert summary.model["sha256"] in page
    for row in rows(out)[:3]:
        assert COLORS[row["label"]] in page
        assert f"<span>{float(row['confidence']):.0%}</span>" in page


def test_a_page_of_many_photos_has_the_first_and_says_so(
    recognizer: Recognizer, tmp_path: Path
) -> None:
    card = photo_card("wall.png", "annotated/wall.png", WALL, [])
    write_page(tmp_path, [card] * (MOST_CARDS + 5), {}, recognizer)
    page = (tmp_path / "photos.html").read_text("utf-8")
    assert page.count("<article") == MOST_CARDS
    assert "<h1>1,005 photos</h1>" in page and "the first 1,000 photos" in page


def test_the_summary_has_what_is_needed_to_do_it_again(
    summary: PhotoSummary, album: Path, recognizer: Recognizer
) -> None:
    tree = json.loads(json.dumps(asdict(summary)))
    assert (tree["faces"], tree["left_out"], tree["empty"]) == (15, {"quality": 0}, 1)
    assert tree["unreadable"] == {
        "broken.jpg": "not a readable picture: its JPEG is damaged or truncated"
    }
    assert tree["files"] == ["photos.csv", "photos.parquet", "photos.html"]
    assert [one["photo"] for one in tree["photos"]][-1] == "wall.bmp"
    assert tree["photos"][1] == {
        "photo": "10.jpg",
        "sha256": weights.sha256(album / "a" / "10.jpg"),
        "width": 640,
        "height": 360,
        "faces": 3,
        "left_out": 0,
    }
    assert tree["model"]["name"] == "alexnet-fer" and len(tree["model"]["sha256"]) == 64
    assert (tree["detector"], tree["score"], tree["tiles"]) == (recognizer.detector, 0.6, None)
    assert tree["labels"] == list(LABELS)


def test_unreadable_photos_are_told_in_one_line_each(
    recognizer: Recognizer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A command that another test ran may have left its own, on a stream that is closed.
    monkeypatch.setattr(logging.getLogger("emostream"), "handlers", [caplog.handler])
    monkeypatch.setattr(logging.getLogger("emostream"), "propagate", False)
    whole = cv2.imencode(".png", np.full((40, 40, 3), 7, np.uint8))[1].tobytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.tif").write_bytes(b"II*\0 no more than that")
    paths = [tmp_path / "cut.png", tmp_path / "text.tif", tmp_path / "gone.jpg"]
    told: list[tuple[int, int]] = []
    with caplog.at_level(logging.WARNING, "emostream"):
        summary = analyze_photos(
            paths, tmp_path, recognizer, tell=lambda done, of: told.append((done, of))
        )
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        str(tmp_path / name) for name in ("cut.png", "gone.jpg", "text.tif")
    ]
    assert capfd.readouterr() == ("", "")
    assert summary.unreadable["gone.jpg"] == "cannot be read: No such file or directory"
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert rows(tmp_path) == [] and summary.photos == []
    assert "3 more could not be read" in (tmp_path / "photos.html").read_text("utf-8")


def test_names_tell_photos_apart() -> None:
    names = photo_names([Path(path) for path in ("x/y/2.jpg", "x/10.jpg", "x/2.JPG", "x/10.jpg")])
    assert {name: path.as_posix() for name, path in names.items()} == {
        "2.JPG": "x/2.JPG",
        "10.jpg": "x/10.jpg",
        "y/2.jpg": "x/y/2.jpg",
    }
    assert list(names)[:2] == ["2.JPG", "10.jpg"]
    assert photo_names([]) == {}


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_no_text_is_written_as_some(recognizer: Recognizer, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    try:
        write(path, WALL)
    except OSError:
        pytest.skip("this file system wants UTF-8")
    analyze_photos([path], tmp_path, recognizer)
    assert [row["photo"] for row in rows(tmp_path)] == ["caf�.png"]


def test_a_folder_that_cannot_be_written_is_one_clear_error(
    album: Path, recognizer: Recognizer, tmp_path: Path
) -> None:
    (tmp_path / "annotated").write_text("in the way")
    with pytest.raises(RecordingError, match="annotated") as caught:
        analyze_photos([album / "b" / "wall.bmp"], tmp_path, recognizer)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "photos.csv").exists()


def test_faces_that_cannot_be_judged_are_outlined_and_counted(
    album: Path, tmp_path: Path, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognizer, "min_quality", 1.0)
    summary = analyze_photos([album / "a" / "10.jpg"], tmp_path, recognizer)
    assert (summary.faces, summary.left_out, summary.photos[0].left_out) == (3, {"quality": 3}, 3)
    found = rows(tmp_path)
    assert {(row["label"], row["confidence"], row["left_out"]) for row in found} == {
        ("", "", "quality")
    }
    assert all(row["p_fear"] and row["quality"] for row in found)
    page = (tmp_path / "photos.html").read_text("utf-8")
    assert "3 faces (3 left out, low quality)" in page
    assert page.count('class="box left-out"') == 3
    assert page.count("left out: low quality") == 3
