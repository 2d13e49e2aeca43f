"""The page in a real browser: pictures that change, boxes where the faces are, and names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from models.labels import LABELS
from tests.browser.feed import Feed, track_of

OUTPUT = Path(__file__).parents[1] / "output"
AWAY = 15_000
SEVEN = {
    "anger": "angry", "disgust": "disgust", "fear": "uneasy", "happiness": "happy",
    "neutral": "neutral", "sadness": "gloomy", "surprise": "surprise",
}  # fmt: skip
COLOR = "element => getComputedStyle(element).backgroundColor"
SEEN = """() => {
  const tile = document.querySelector('.tile');
  const view = tile.querySelector('canvas').getBoundingClientRect();
  const boxes = [...tile.querySelectorAll('.box')].map((box) => {
    const at = box.getBoundingClientRect();
    return [Number(box.dataset.track), box.dataset.label, at.x - view.x, at.y - view.y,
            at.width, at.height];
  });
  return {seq: Number(tile.dataset.seq), width: view.width, boxes};
}"""


@pytest.fixture
def feed() -> Iterator[Feed]:
    with Feed("demo") as feed:
        yield feed


@pytest.fixture
def two() -> Iterator[Feed]:
    with Feed("door", "garden") as feed:
        yield feed


def open_page(page: Page, feed: Feed, boxes: int = 3) -> None:
    page.goto(feed.server.url)
    expect(page.locator(".box")).to_have_count(boxes, timeout=AWAY)


def wait_for_picture_after(page: Page, seq: int) -> None:
    page.wait_for_function(
        "seq => Number(document.querySelector('.tile').dataset.seq) > seq", arg=seq
    )


def keep(page: Page, name: str) -> None:
    """Keep a screenshot for a person to look at."""
    OUTPUT.mkdir(exist_ok=True)
    page.screenshot(path=OUTPUT / f"{name}.png", full_page=True)


def test_the_picture_changes_and_each_face_has_its_name(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    drawn = "document.querySelector('canvas').toDataURL()"
    before = page.evaluate(drawn)
    page.wait_for_function(f"before => {drawn} !== before", arg=before)
    for number, box in enumerate(page.locator(".box").all(), 1):
        words = box.inner_text().split()
        assert words[0] == str(number)
        assert words[1] in LABELS
        assert words[2] == "86%"
        assert (box.get_attribute("aria-label") or "").startswith(f"Face {number}: ")


@pytest.mark.parametrize("width", [1440, 390])
def test_boxes_are_where_the_faces_of_that_very_frame_are(
    page: Page, feed: Feed, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    open_page(page, feed)
    for _ in range(10):
        seen: dict[str, Any] = page.evaluate(SEEN)
        scale = seen["width"] / feed.demo.width
        truth = {track_of(face.person): face for face in feed.demo.truth(seen["seq"])}
        assert len(seen["boxes"]) == 3
        for track, label, *box in seen["boxes"]:
            assert label == truth[track].label
            assert box == pytest.approx([scale * at for at in truth[track].box], abs=2)
        wait_for_picture_after(page, seen["seq"])


def test_bars_events_and_timeline_show_what_happened(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    expect(page.locator(".face")).to_have_count(3)
    bars = page.locator(".face").first.get_by_role("meter")
    expect(bars).to_have_count(len(LABELS))
    assert [bar.get_attribute("aria-label") for bar in bars.all()] == list(LABELS)
    expect(page.locator(".face").first.locator(".bar.shown .share")).to_have_text("86%")
    expect(page.locator("#events li").first).to_be_visible()
    expect(page.locator("#events li[data-kind=change]").first).to_contain_text("→", timeout=AWAY)
    expect(page.locator("#timeline")).to_have_attribute("data-rows", "3", timeout=AWAY)
    expect(page.locator("#timeline .barlayer path").first).to_be_visible()
    expect(page.locator("figcaption")).to_contain_text("frames/s")
    keep(page, "dark")
    page.emulate_media(color_scheme="light")
    expect(page.locator("body")).to_have_css("background-color", "rgb(238, 241, 244)")
    page.wait_for_timeout(300)
    keep(page, "light")


def test_a_model_with_other_labels_shows_those(page: Page, feed: Feed) -> None:
    """First FER+'s eight emotions, then FER2013's seven, two of them by names of another kind."""
    open_page(page, feed)
    expect(page.locator("#timeline .barlayer path").first).to_be_visible(timeout=AWAY)
    expect(page.locator(".legend li")).to_have_text(list(LABELS))
    bars = page.locator(".face").first.get_by_role("meter")
    usual = [bar.locator(".fill").evaluate(COLOR) for bar in bars.all()]
    feed.named = SEVEN
    expect(bars).to_have_count(7)
    assert [bar.get_attribute("aria-label") for bar in bars.all()] == list(SEVEN.values())
    fills = [bar.locator(".fill").evaluate(COLOR) for bar in bars.all()]
    assert len(set(fills)) == 7
    for label in ("neutral", "anger", "happiness"):
        assert fills[list(SEVEN).index(label)] == usual[LABELS.index(label)], label
    assert "rgb(255, 255, 255)" not in fills, "the colour of what the page was not told of"
    expect(page.locator(".legend li").first).to_have_text("angry", timeout=AWAY)
    for name in SEVEN.values():
        expect(page.locator(".legend").get_by_text(name, exact=True)).to_have_count(1)
    expect(page.locator(".box").first).to_be_visible()
    assert {box.get_attribute("data-label") for box in page.locator(".box").all()} <= set(
        SEVEN.values()
    )
    keep(page, "seven")


def test_a_viewer_that_comes_later_sees_the_past(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    expect(page.locator("#events li[data-kind=change]").first).to_be_visible(timeout=AWAY)
    events = page.locator("#events li").count()
    page.reload()
    expect(page.locator("#events li").nth(events - 1)).to_be_visible(timeout=AWAY)
    expect(page.locator("#timeline")).to_have_attribute("data-rows", "3", timeout=AWAY)


def test_emotions_that_stop_coming_are_said_to_be_stale(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    feed.answering = False
    expect(page.locator(".notice")).to_contain_text("stale", timeout=AWAY)
    expect(page.locator(".box")).to_have_count(0)
    feed.answering = True
    expect(page.locator(".notice")).to_have_count(0, timeout=AWAY)
    expect(page.locator(".box")).to_have_count(3)


def test_a_camera_that_is_gone_is_grayed_and_says_since_when(page: Page, two: Feed) -> None:
    open_page(page, two, boxes=6)
    two.playing.remove("garden")
    gone = page.locator(".tile[data-stream=garden]")
    expect(gone.locator(".notice")).to_contain_text("No frame since", timeout=AWAY)
    expect(gone).to_have_class("tile gone")
    expect(page.locator(".tile[data-stream=door]")).not_to_have_class("tile gone")
    keep(page, "gone")
    page.reload()
    expect(gone.locator(".notice")).to_contain_text("No frame since", timeout=AWAY)
    page.wait_for_function(
        "() => document.querySelector('.tile[data-stream=garden] canvas').width === 1280"
    )


def test_a_click_on_a_stream_shows_its_faces(page: Page, two: Feed) -> None:
    open_page(page, two, boxes=6)
    expect(page.locator("#faces-title")).to_have_text("Faces now of door")
    page.get_by_role("button", name="Show the faces of garden").click()
    expect(page.locator("#faces-title")).to_have_text("Faces now of garden")
    expect(page.locator(".tile[data-stream=garden]")).to_have_class("tile selected")
    expect(page.locator(".face")).to_have_count(3)
    keep(page, "two")


def test_no_face_is_said_in_words(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    feed.faces = False
    expect(page.get_by_text("No face in the picture.")).to_be_visible()
    expect(page.locator(".box")).to_have_count(0)
    expect(page.locator(".face")).to_have_count(0)


def test_broken_pictures_are_left_out_and_good_ones_come_again(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    feed.broken = True
    page.wait_for_timeout(600)
    last = page.evaluate(SEEN)["seq"]
    feed.broken = False
    wait_for_picture_after(page, last)


def test_a_display_that_went_away_is_noticed(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    expect(page.locator("#connection")).to_have_text("live")
    feed.server.__exit__()
    expect(page.locator("#connection")).to_contain_text("no connection")
    expect(page.locator(".tile.gone")).to_have_count(1)
    page.goto("about:blank")


def test_a_hidden_page_costs_nothing_and_comes_back(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    hide(page, True)
    for _ in range(100):
        if feed.metric("viewers") == 0:
            break
        page.wait_for_timeout(50)
    encoded = feed.metric("encode_seconds_count")
    page.wait_for_timeout(300)
    assert feed.metric("viewers") == 0
    assert feed.metric("encode_seconds_count") <= encoded + 1
    last = page.evaluate(SEEN)["seq"]
    hide(page, False)
    wait_for_picture_after(page, last)


def hide(page: Page, hidden: bool) -> None:
    """Make the page believe that its tab is hidden: a headless browser has no tabs to hide."""
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
          document.dispatchEvent(new Event('visibilitychange'));
        }""",
        hidden,
    )


def test_the_page_fits_a_phone(page: Page, feed: Feed) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, feed)
    expect(page.locator("#timeline")).to_have_attribute("data-rows", "3", timeout=AWAY)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    keep(page, "phone")
