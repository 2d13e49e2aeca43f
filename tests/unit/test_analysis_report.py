"""The page of an analysis: what it says is what was recorded, and it needs nothing else."""

import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emostream.models.labels import LABELS
from emostream.services.capture.picture import Picture, Pictures
from emostream.services.cli.results import page_text
from emostream.services.cli.results.report import page as report_page
from emostream.services.cli.results.report.charts import axis, band, zooms
from emostream.services.cli.results.report.history import LabelSpan, run_history
from emostream.services.cli.results.report.page import ReportFacts, require_jinja2, write_report
from emostream.services.cli.results.report.thumbnails import SIDE, pick_spans, square_crop
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.shared.errors import ConfigError, RecordingError, SourceError
from tests.images import decoded
from tests.recorded import box_of, record

pytest.importorskip("jinja2", reason="needs the group `analyze`")

CARD = Path(__file__).parents[2] / "models" / "CARD.md"
FACTS = ReportFacts("holiday & <b>sea</b>.mp4", "alexnet-fer", "ab" * 32, "0.1.0")
# Ten frames per second: face 1 is there for 8 s, face 2 for 2 s, and nobody for the last second.
FRAMES = (
    [{1: "neutral"}] * 20 + [{1: "happiness", 2: "fear"}] * 20 + [{1: "happiness"}] * 40 + [{}] * 10
)


def page(
    folder: Path,
    frames: Sequence[dict[int, str]] = FRAMES,
    *,
    facts: ReportFacts = FACTS,
    video: Path | None = None,
    pictures: Pictures | None = None,
    **settings: Any,
) -> str:
    database = record(folder / "emostream.db", frames, **settings)
    with ArchiveReader(database) as reader:
        (run,) = reader.runs()
        written = write_report(folder, reader, run, facts, video, pictures)
    assert written == folder / "report.html"
    return written.read_text("utf-8")


def words(html: str) -> str:
    """What a person reads: the text of the page, each run of blanks one."""
    body = re.sub(r"<(script|style).*?</\1>", "", html[html.index("<body>") :], flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def gray(levels: Sequence[int], breaks: bool = False) -> Pictures:
    """Pictures of one gray each; at the end the file may fail."""
    for seq, level in enumerate(levels):
        yield Picture(np.full((120, 400, 3), level, np.uint8), seq * 100_000_000)
    if breaks:
        raise SourceError("it ends early")


def images(html: str) -> list[np.ndarray]:
    codes = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', html)
    return [decoded(base64.b64decode(code)) for code in codes]


def test_the_summary_says_what_was_analyzed(tmp_path: Path) -> None:
    text = words(page(tmp_path))
    assert "duration 9.0 s" in text
    assert "frames analyzed 90 every frame, none skipped" in text
    assert "faces 2" in text
    assert "without a face 11% 10 of the frames" in text
    assert f"sha256 {'ab' * 32}" in text
    assert "created by emostream 0.1.0" in text
    assert "partial" not in text


def test_each_face_has_its_shares_and_its_most_shown_emotion(tmp_path: Path) -> None:
    text = words(page(tmp_path))
    first, second = text.index("Face 1"), text.index("Face 2")
    assert "most shown: happiness 75% 8.0 s on screen, from 0:00" in text[first:second]
    assert "neutral 2.0 s 25% happiness 6.0 s 75%" in text[first:second]
    assert "most shown: fear 100% 2.0 s on screen, from 0:02" in text[second:]


def test_the_events_stand_in_order_with_their_times(tmp_path: Path) -> None:
    html = page(tmp_path)
    rows = re.findall(r'<tr data-face="\d">(.*?)</tr>', html)
    assert [words("<body>" + row) for row in rows] == [
        "0:00.00 1 enters: neutral",
        "0:02.00 1 neutral → to happiness",
        "0:02.00 2 enters: fear",
        "0:03.90 2 leaves",
        "0:07.90 1 leaves",
    ]


def test_nothing_is_taken_from_outside(tmp_path: Path) -> None:
    html = page(tmp_path, pictures=gray([100] * 90))
    assert "://" not in html
    assert "url(" not in html
    targets = re.findall(r'\b(?:src|href)="([^"]*)"', html)
    assert targets and all(target.startswith("data:") for target in targets)


def test_the_file_and_the_labels_may_hold_any_character(tmp_path: Path) -> None:
    odd = ("calm", "</script><i>glad</i>", 'a "word" & more')
    html = page(tmp_path, [{1: odd[1]}] * 5 + [{1: odd[2]}] * 5, labels=odd)
    assert "<i>glad" not in html
    assert "<b>sea" not in html
    text = words(html)
    assert "holiday & <b>sea</b>.mp4" in text
    assert f"most shown: {odd[1]} 50%" in text
    assert f"model alexnet-fer: {', '.join(odd)}" in text


def test_each_color_stands_beside_its_name(tmp_path: Path) -> None:
    html = page(tmp_path)
    for index, label in enumerate(LABELS):
        # No two labels share a class, and what is not written out is hidden from nobody.
        named = re.findall(rf'<span class="name c{index}">([^<]*)<', html)
        assert set(named) == {label}
    assert '<span class="c1" style="left: 22.222%; width: 66.667%"><b>happiness</b>' in html


def test_the_band_has_each_label_where_it_was_shown(tmp_path: Path) -> None:
    html = page(tmp_path)
    bands = re.findall(r'<svg viewBox="0 0 100000 1".*?</svg>', html)
    assert bands[0].count("<path") == 2
    assert '<path class="c0" d="M0 0h22222v1h-22222z"/>' in bands[0]
    assert '<path class="c1" d="M22222 0h66667v1h-66667z"/>' in bands[0]
    assert '<path class="c6" d="M22222 0h22222v1h-22222z"/>' in bands[1]


def test_short_spans_of_a_long_film_cover_no_other() -> None:
    second = 1_000_000_000
    spans = [
        LabelSpan(1, LABELS[n % 8], n * second, (n + 1) * second, n, box_of(1))
        for n in range(100, 120)
    ]
    drawn = re.findall(r"M(\d+) 0h(\d+)v", band(spans, LABELS, 7200 * second))
    edges = sorted((int(left), int(left) + int(width)) for left, width in drawn)
    assert len(edges) == 20
    assert all(right == left for (_, right), (left, _) in pairwise(edges))


def test_a_face_that_was_away_leaves_a_gap(tmp_path: Path) -> None:
    html = page(tmp_path, [{1: "fear"}] * 10 + [{}] * 20 + [{1: "fear"}] * 10)
    band = re.search(r'<svg viewBox="0 0 100000 1".*?</svg>', html)
    curves = re.search(r'<svg viewBox="0 0 10000 200".*?</svg>', html)
    assert band is not None and curves is not None
    assert "M0 0h25000v1h-25000zM75000 0h25000v1h-25000z" in band[0]
    # Each of the labels' areas is drawn in two parts.
    assert [path.count("z") for path in re.findall(r'd="([^"]*)"', curves[0])] == [2] * len(LABELS)


def test_the_curves_stack_up_to_all(tmp_path: Path) -> None:
    html = page(tmp_path, [{1: "anger"}] * 10)
    paths = re.findall(r'<path class="c(\d)" d="M0 200V(\d+)l', html)
    # The bottom of 200 units is 0: four labels of 2% lie below anger's 86%.
    assert paths == [
        (str(7 - k), str(top)) for k, top in enumerate((0, 4, 8, 12, 184, 188, 192, 196))
    ]


def test_a_partial_result_says_where_it_breaks_off(tmp_path: Path) -> None:
    why = "film.mp4: ends early at 9.00 s of 20.0 s"
    text = words(page(tmp_path, error=why))
    assert (
        f"Partial result. {why}. This page shows the part before it: 9.0 s and 90 frames." in text
    )
    assert f"result partial: {why}" in text
    assert "every frame that could be read" in text


def test_what_the_facts_say_is_broken_counts_first(tmp_path: Path) -> None:
    facts = ReportFacts("film.mp4", "other", "", "0.1.0", "the detector cannot be started.", "5/s")
    text = words(page(tmp_path, facts=facts, error="something else"))
    assert "Partial result. the detector cannot be started. This page" in text
    assert "something else" not in text
    assert "of the video, 5/s" in text
    assert "sha256 not known" in text


def test_times_jump_in_the_annotated_video_where_it_lies_beside_the_page(tmp_path: Path) -> None:
    (tmp_path / "annotated.mp4").touch()
    html = page(tmp_path, video=tmp_path / "film.mp4")
    assert '<video src="annotated.mp4" controls' in html
    assert '<a href="annotated.mp4#t=2.000" data-t="2.000">0:02.00</a>' in html


def test_else_they_jump_in_the_original(tmp_path: Path) -> None:
    film = tmp_path / "my films" / "a#1?.mp4"
    film.parent.mkdir()
    film.touch()
    (tmp_path / "out").mkdir()
    html = page(tmp_path / "out", video=film)
    assert '<video src="../my%20films/a%231%3F.mp4" controls' in html


def test_else_times_are_plain(tmp_path: Path) -> None:
    html = page(tmp_path, video=tmp_path / "gone.mp4")
    assert "<video" not in html
    assert "<a " not in html
    assert "<time>0:02.00</time>" in html


def test_the_pictures_are_those_of_their_moments(tmp_path: Path) -> None:
    levels = [40] * 20 + [120] * 20 + [200] * 50
    html = page(tmp_path, pictures=gray(levels))
    # On its card first, then over its timeline.
    means = [image.mean() for image in images(html)]
    assert means == pytest.approx([40, 120, 40, 120, 120], abs=2)
    assert all(image.shape == (SIDE, SIDE, 3) for image in images(html))
    assert 'alt="Face 1 at 0:02.00: happiness"' in html


def test_no_more_pictures_are_read_than_needed(tmp_path: Path) -> None:
    given = 0

    def counted() -> Pictures:
        nonlocal given
        for picture in gray([100] * 90):
            given += 1
            yield picture

    page(tmp_path, pictures=counted())
    assert given == 21


def test_where_reading_breaks_off_the_pictures_before_it_stay(tmp_path: Path) -> None:
    html = page(tmp_path, pictures=gray([100] * 10, breaks=True))
    assert len(images(html)) == 2
    assert "1 of 3 moments at which a face entered or changed have a picture" in words(html)


def test_a_face_at_the_rim_or_without_a_place_breaks_nothing(tmp_path: Path) -> None:
    rim = page(
        tmp_path / "rim", pictures=gray([100] * 90), box=lambda _: (-40.0, -40.0, 60.0, 60.0)
    )
    assert len(images(rim)) == 5
    nowhere = float("nan")
    html = page(
        tmp_path / "none", pictures=gray([100] * 90), box=lambda _: (nowhere, 0.0, 9.0, 9.0)
    )
    assert not images(html)


@pytest.mark.parametrize(
    "box", [(0, 0, 0, 0), (5000, -5000, 10, 10), (-300, -300, 900, 900), (1.5, 2.5, 3, 30)]
)
def test_any_box_gives_a_square(box: tuple[float, float, float, float]) -> None:
    assert square_crop(np.zeros((100, 200, 3), np.uint8), box).shape == (SIDE, SIDE, 3)


def test_of_many_moments_the_first_and_the_longest_are_kept() -> None:
    spans = [
        LabelSpan(1, "fear", seq, seq + (9 if seq % 10 == 5 else 1), seq, box_of(1))
        for seq in range(101)
    ]
    kept = [span.seq for span in pick_spans(spans, 11)]
    assert kept == [0, 5, 15, 25, 35, 45, 55, 65, 75, 85, 95]
    assert pick_spans(spans, 101) == spans


def test_a_long_film_gives_a_small_page_that_says_what_was_thinned(tmp_path: Path) -> None:
    frames = [{1: LABELS[(seq // 30) % 8], 2: "fear"} for seq in range(2500)]
    html = page(tmp_path, frames, pictures=gray([100] * 2500))
    text = words(html)
    assert "each point of the curves is the mean of 3 frames" in text
    assert "41 of 85 moments at which a face entered or changed have a picture" in text
    with ArchiveReader(tmp_path / "emostream.db") as reader:
        history = run_history(reader, *reader.runs())
    assert [len(face.points) for face in history.faces.values()] == [834, 834]
    assert len(html) < 400_000


def test_of_many_faces_the_longest_have_a_timeline_and_all_are_named(tmp_path: Path) -> None:
    frames = [{face: "fear" for face in range(30) if seq <= face} for seq in range(40)]
    html = page(tmp_path, frames)
    assert html.count('<article class="card track"') == 20
    text = words(html)
    assert "These 20 of 30 faces were on screen longest" in text
    # Numbers follow the first appearance, and the first ten are there for shortest.
    assert [f"Face {number} most shown" in text for number in (10, 11, 30)] == [False, True, True]
    assert "The other 10 faces" in text
    assert re.search(r"10 0:00\.00 1\.0 s fear 100%", text)


def test_events_beyond_a_few_thousand_are_left_to_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_page, "MOST_EVENTS", 2)
    html = page(tmp_path)
    assert html.count("<tr data-face=") == 2
    assert "These are the first 2 of 5 events; events.csv has all of them." in words(html)


def test_a_film_without_faces_says_so(tmp_path: Path) -> None:
    text = words(page(tmp_path, [{}] * 25))
    assert "faces 0 none was found" in text
    assert "without a face 100% 25 of the frames" in text
    assert "Over time" not in text


def test_a_film_without_frames_gives_a_page_too(tmp_path: Path) -> None:
    text = words(page(tmp_path, [], error="none of its pictures can be read"))
    assert "frames analyzed 0" in text
    assert "Partial result. none of its pictures can be read." in text


def test_a_photo_has_probabilities_and_no_timeline(tmp_path: Path) -> None:
    html = page(tmp_path, [{1: "fear"}], pictures=gray([100]))
    text = words(html)
    assert "neutral 2% happiness 2%" in text
    assert "fear 86%" in text
    assert "Over time" not in text
    assert "duration" not in text
    assert len(images(html)) == 1


def test_labels_of_another_model_have_their_own_names_and_colors(tmp_path: Path) -> None:
    html = page(tmp_path, [{1: "boredom"}] * 10, labels=("boredom", "happy"))
    assert "most shown: boredom 100%" in words(html)
    colors = re.findall(r"\.c\d \{ --c: (#\w+);", html)
    assert len(set(colors)) == 2


def test_the_same_session_gives_the_same_bytes(tmp_path: Path) -> None:
    once = page(tmp_path / "1", pictures=gray([100] * 90))
    assert page(tmp_path / "2", pictures=gray([100] * 90)) == once


def test_the_model_s_card_lies_beside_the_page_and_is_linked(tmp_path: Path) -> None:
    html = page(tmp_path, facts=replace(FACTS, card=CARD))
    assert html.count('href="model-card.md"') == 2
    assert (tmp_path / "model-card.md").read_text("utf-8") == CARD.read_text("utf-8")


def test_a_model_without_a_card_has_no_link(tmp_path: Path) -> None:
    html = page(tmp_path, facts=replace(FACTS, model="mine"))
    assert "model-card" not in html
    assert "See the model's own card" in words(html)
    assert not (tmp_path / "model-card.md").exists()


def test_the_page_says_how_many_rows_quality_excluded(tmp_path: Path) -> None:
    frames = [{1: "fear", 2: "anger"}] * 5 + [{1: "fear", 3: "anger"}] * 15 + [{}] * 5
    text = words(page(tmp_path, frames, left_out={2: "new", 3: "quality"}))
    assert "Quality excluded 15 of the 40 rows of faces in observations.csv (38%)" in text
    assert "5 more belong to tracks that are too new. They are excluded from this page." in text


def test_where_quality_excluded_nothing_the_page_says_that_too(tmp_path: Path) -> None:
    text = words(page(tmp_path))
    assert "Quality excluded 0 of the 100 rows of faces in observations.csv (0%)" in text
    assert "They are excluded from this page" not in text


def test_the_words_about_the_shipped_model_are_those_of_its_card(tmp_path: Path) -> None:
    assert "about four times in five" in words(page(tmp_path / "1"))
    other = words(page(tmp_path / "2", facts=ReportFacts("film.mp4", "theirs", "", "0.1.0")))
    assert "four times in five" not in other
    assert "for the accuracy of theirs" in other
    card = CARD.read_text("utf-8")
    shares = {
        part: float(share)
        for part, share in re.findall(r"\| agreement \| ([^|]+) \| [^|]+ \| ([\d.]+)%", card)
    }
    accuracy = re.search(r"\| B \| [\d,]+ \| \*\*([\d.]+)%", card)
    assert accuracy is not None and 75 < float(accuracy[1]) < 85
    assert shares["90% or more"] > 90
    assert 35 < shares["below 50%"] < 65


def test_a_page_that_cannot_be_written_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(RecordingError, match=r"cannot write .*report.html"):
        page(tmp_path)


def test_without_jinja2_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require_jinja2()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"jinja2: pip install 'emostream\[analyze\]'"):
        require_jinja2()


@pytest.mark.parametrize(
    ("seconds", "long", "short", "lasting"),
    [
        (0, "0:00.00", "0:00", "0.0 s"),
        (1.5, "0:01.50", "0:01.5", "1.5 s"),
        (0.07, "0:00.07", "0:00.07", "0.1 s"),
        (59.96, "0:59.96", "0:59.96", "1:00"),
        (600, "10:00.00", "10:00", "10:00"),
        (3725.5, "1:02:05.50", "1:02:05.5", "1:02:06"),
    ],
)
def test_times_are_written_for_people(seconds: float, long: str, short: str, lasting: str) -> None:
    assert page_text.clock(seconds) == long
    assert page_text.short_clock(seconds) == short
    assert page_text.lasting(seconds) == lasting


def test_a_jump_never_lands_before_its_frame() -> None:
    assert page_text.seek(1 / 3) == "0.334"
    assert page_text.seek(0.04) == "0.040"


@pytest.mark.parametrize("seconds", [0.04, 1, 9.5, 60, 600, 7200, 90_000])
def test_the_axis_has_a_few_round_times_at_each_zoom(seconds: float) -> None:
    length = round(seconds * 1e9)
    times = axis(length)
    for zoom in zooms(length):
        shown = [time for time, zoomed in times.items() if zoom in zoomed]
        assert 1 <= len(shown) <= 6 * zoom + 1
        assert shown[0] == 0
        assert shown[-1] <= seconds
