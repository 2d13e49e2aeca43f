"""The page of an analysis in a real browser, opened as a file, without a network."""

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from emostream.models.labels import LABELS
from emostream.services.capture.ffmpeg.video_file import video_pictures
from emostream.services.cli.results.report.page import (
    ReportFacts,
    write_report,
)
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.video_file import VideoFile
from tests.recorded import NS, record

pytest.importorskip("jinja2", reason="needs the group `analyze`")

FPS, SECONDS = 5, 24
FRAMES = [
    {1: LABELS[(seq // 15) % 8]} | ({2: "fear"} if 40 <= seq < 80 else {})
    for seq in range(FPS * SECONDS)
]
AT = "Number(document.querySelector('video').currentTime.toFixed(2))"
LAID = """() => [...document.querySelectorAll('.track:first-of-type .pictures > :not([hidden])')]
  .map((one) => one.getBoundingClientRect()).map(({left, right}) => [left, right])"""

NAMELESS = """() => [...document.querySelectorAll('a, button, select, input')]
  .filter((one) => !one.textContent.trim() && !one.ariaLabel && !one.labels?.length)
  .filter((one) => !one.querySelector('img[alt]')).map((one) => one.outerHTML)"""
COLORS = """element => {
  const ground = (one) => getComputedStyle(one).backgroundColor;
  let behind = element;
  while (ground(behind) === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
  return [getComputedStyle(element).color, ground(behind)];
}"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page and the film that it plays: blue, and brighter from frame to frame."""
    folder = tmp_path_factory.mktemp("made")
    with VideoFile(folder / "annotated.mp4", 640, 360) as film:
        for seq in range(len(FRAMES)):
            film.write(np.full((360, 640, 3), (2 * seq, 60, 30), np.uint8), seq * NS // FPS)
    with ArchiveReader(record(folder / "emostream.db", FRAMES, FPS)) as reader:
        (run,) = reader.runs()
        facts = ReportFacts("film.mp4", "alexnet-fer", "ab" * 32, "0.1.0")
        pictures = video_pictures(str(folder / "annotated.mp4"), lambda line: None)
        write_report(folder, reader, run, facts, None, pictures)
    return folder


@pytest.fixture
def opened(page: Page, made: Path) -> Page:
    page.goto((made / "report.html").as_uri())
    page.wait_for_function("document.querySelector('video').readyState > 0")
    return page


def jumped_to(page: Page, seconds: float) -> None:
    page.wait_for_function(f"Math.abs({AT} - {seconds}) < 0.02")


def test_an_event_jumps_to_its_moment_by_click_and_by_key(opened: Page) -> None:
    times = opened.locator("#events a")
    times.get_by_text("0:08.00").click()
    jumped_to(opened, 8)
    expect(opened.get_by_role("status")).to_have_text("Video at 0:08.00")
    times.get_by_text("0:03.00").focus()
    opened.keyboard.press("Enter")
    jumped_to(opened, 3)
    assert opened.url.endswith("report.html")


def test_a_picture_and_the_timeline_jump_too(opened: Page) -> None:
    opened.get_by_role("link", name="Face 1 at 0:06.00: surprise").click()
    jumped_to(opened, 6)
    curves = opened.locator(".curves").first
    width = curves.evaluate("element => element.clientWidth")
    curves.click(position={"x": width / 2, "y": 50})
    opened.wait_for_function(f"Math.abs({AT} - 12) < 0.1")
    # A line shows the moment in every timeline.
    for track in opened.locator(".track").all():
        line, ground = (track.locator(part).bounding_box() for part in (".play", ".band"))
        assert line is not None and ground is not None
        assert abs(line["x"] - ground["x"] - ground["width"] / 2) < 5


def test_the_video_follows_where_it_was_jumped_in_from_elsewhere(opened: Page) -> None:
    video = opened.locator("video")
    opened.locator("h2").last.evaluate("element => element.scrollIntoView()")
    expect(video).not_to_be_in_viewport()
    opened.locator(".pictures a").last.evaluate("link => link.click()")
    expect(video).to_be_in_viewport(ratio=0.9)
    opened.get_by_role("button", name="Close the small player").click()
    expect(video).not_to_be_in_viewport()


def test_figures_stand_beside_their_names_under_the_pointer(opened: Page) -> None:
    band = opened.locator(".band").first
    band.scroll_into_view_if_needed()
    width = band.evaluate("element => element.clientWidth")
    band.hover(position={"x": width * 10.5 / SECONDS, "y": 10})
    first, second = (track.locator(".reading") for track in opened.locator(".track").all())
    expect(first).to_contain_text("sadness 86%")
    expect(second).to_contain_text("fear 86%")
    band.hover(position={"x": width * 20.5 / SECONDS, "y": 10})
    expect(second).to_contain_text("not seen")


def test_zoom_makes_room_for_pictures_and_moves_all_timelines_as_one(opened: Page) -> None:
    opened.set_viewport_size({"width": 390, "height": 800})
    opened.reload()
    before = opened.evaluate(LAID)
    opened.get_by_role("radio", name="4×").check(force=True)
    lanes = opened.locator(".lane")
    for lane in lanes.all():
        assert lane.evaluate("lane => lane.scrollWidth / lane.clientWidth") == pytest.approx(
            4, 0.01
        )
    lanes.first.focus()
    opened.keyboard.press("Home")
    lanes.first.evaluate("lane => { lane.scrollLeft = 300; }")
    opened.wait_for_function(
        "[...document.querySelectorAll('.lane')].every((lane) => lane.scrollLeft === 300)"
    )
    for pictures in (before, opened.evaluate(LAID)):
        assert all(right <= left + 1 for (_, right), (left, _) in pairwise(pictures))
    assert 2 <= len(before) < len(opened.evaluate(LAID)) == 8


def test_the_events_of_one_face_can_be_chosen(opened: Page) -> None:
    rows = opened.locator("#events tr")
    everything = rows.filter(visible=True).count()
    opened.get_by_label("Events of").select_option("face 2")
    expect(rows.filter(visible=True)).to_have_count(2)
    opened.get_by_label("Events of").select_option("all faces")
    expect(rows.filter(visible=True)).to_have_count(everything)


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_nothing_hangs_over_the_side_or_below(opened: Page, width: int) -> None:
    opened.set_viewport_size({"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    # Many events scroll in their own place.
    opened.evaluate(
        "() => { const all = document.getElementById('events'); all.append(...Array.from("
        "{length: 300}, () => all.rows[2].cloneNode(true))); }"
    )
    below = "document.documentElement.scrollHeight - document.body.getBoundingClientRect().height"
    assert opened.evaluate(below) < 1


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_its_colors_follow_the_system_and_its_words_can_be_read(
    opened: Page, scheme: Literal["dark", "light"]
) -> None:
    opened.emulate_media(color_scheme=scheme)
    for element in ("body", ".card small", ".axis i", "#events a", ".name"):
        assert contrast(opened, element) >= 4.5, element
    ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(rgb(ground)) < 3 * 128) == (scheme == "dark")


def test_a_screen_reader_finds_names_headings_and_descriptions(opened: Page) -> None:
    for heading in (
        "film.mp4",
        "Faces",
        "Face 1",
        "What happened",
        "Over time",
        "How this page was created",
    ):
        expect(opened.get_by_role("heading", name=heading, exact=True).first).to_be_visible()
    expect(
        opened.get_by_role("table", name="When each face entered, changed and left")
    ).to_be_visible()
    expect(opened.get_by_role("img", name="Smoothed probabilities of face 1")).to_be_visible()
    expect(opened.get_by_role("group", name="Zoom")).to_be_visible()
    assert opened.locator("img:not([alt])").count() == 0
    assert opened.evaluate(NAMELESS) == []


def test_without_the_film_it_says_so_and_times_are_plain(
    browser: Browser, made: Path, tmp_path: Path
) -> None:
    shutil.copy(made / "report.html", tmp_path)
    missing: list[str] = []
    # Not the page that fails on any complaint: the browser itself says that the film is missing.
    with browser.new_context() as context:
        page = context.new_page()
        page.on("requestfailed", lambda request: missing.append(request.url))
        page.goto((tmp_path / "report.html").as_uri())
        expect(page.get_by_text("No video.")).to_be_visible()
        expect(page.locator("video")).to_be_hidden()
        assert page.locator("#events a[href]").count() == 0
    assert {Path(url).name for url in missing} <= {"annotated.mp4"}


def test_without_scripts_the_page_is_whole(browser: Browser, made: Path) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto((made / "report.html").as_uri())
        expect(page.locator(".curves svg").first).to_be_visible()
        expect(page.get_by_role("radio")).to_have_count(0)
        link = page.locator("#events a").get_by_text("0:08.00")
        assert (link.get_attribute("href") or "").endswith("annotated.mp4#t=8.000")


def rgb(color: str) -> list[float]:
    return [float(part) for part in color[color.index("(") + 1 : -1].split(",")[:3]]


def contrast(page: Page, selector: str) -> float:
    """The contrast (W3C) of an element's text to what lies behind it."""
    pair = page.locator(selector).first.evaluate(COLORS)
    one, other = (luminance(rgb(color)) for color in pair)
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def luminance(color: list[float]) -> float:
    shares = [part / 255 for part in color]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in shares
    ]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
