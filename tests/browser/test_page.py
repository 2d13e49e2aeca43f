"""The page in a real browser: pictures that change, boxes where the faces are, and names."""

import pytest
from playwright.sync_api import Page, expect

from emostream.models.labels import LABELS
from tests.browser.feed import Feed, track_of
from tests.browser.seen import AWAY, hide, keep, open_page, seen, wait_for_picture_after

SEVEN = {
    "anger": "angry", "disgust": "disgust", "fear": "uneasy", "happiness": "happy",
    "neutral": "neutral", "sadness": "gloomy", "surprise": "surprise",
}  # fmt: skip
COLOR = "element => getComputedStyle(element).backgroundColor"


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
        now = seen(page)
        scale = now["width"] / feed.demo.width
        truth = {track_of(face.person): face for face in feed.demo.truth(now["seq"])}
        assert len(now["boxes"]) == 3
        for track, label, *box in now["boxes"]:
            assert label == truth[track].label
            assert box == pytest.approx([scale * at for at in truth[track].box], abs=2)
        wait_for_picture_after(page, now["seq"])


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
    assert "rgb(255, 255, 255)" not in fills, "the color of what the page was not told of"
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


def test_no_face_is_said_in_words(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    feed.faces = False
    expect(page.get_by_text("No face in view.")).to_be_visible()
    expect(page.locator(".box")).to_have_count(0)
    expect(page.locator(".face")).to_have_count(0)


def test_broken_pictures_are_left_out_and_good_ones_come_again(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    feed.broken = True
    page.wait_for_timeout(600)
    last = seen(page)["seq"]
    feed.broken = False
    wait_for_picture_after(page, last)


def test_a_display_that_went_away_is_noticed(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    expect(page.locator("#connection")).to_have_text("live")
    feed.server.__exit__()
    expect(page.locator("#connection")).to_contain_text("disconnected")
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
    last = seen(page)["seq"]
    hide(page, False)
    wait_for_picture_after(page, last)


def test_nothing_comes_from_outside(page: Page, feed: Feed) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, feed)
    expect(page.locator("#timeline .barlayer path").first).to_be_visible(timeout=AWAY)
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((feed.server.url, "blob:", "data:"))] == []


def test_a_face_that_cannot_be_judged_is_outlined_and_counts_for_nothing(page: Page) -> None:
    with Feed("demo", left_out="quality") as feed:
        open_page(page, feed)
        poor = page.locator('.box[data-state="left out"]')
        expect(poor).to_have_count(1)
        expect(poor.locator(".name")).to_be_hidden()
        expect(poor).to_have_attribute("aria-label", "A face, left out: low quality")
        expect(page.locator(".face")).to_have_count(2)
        expect(page.locator(".left-out")).to_contain_text("low quality", timeout=AWAY)
        expect(page.locator("#timeline")).to_have_attribute("data-rows", "2", timeout=AWAY)
        keep(page, "left-out")
        feed.left_out = ""
        expect(page.locator('.box[data-state="sure"]')).to_have_count(3)


def test_a_track_that_has_not_entered_is_not_shown(page: Page) -> None:
    with Feed("demo", left_out="new") as feed:
        open_page(page, feed, boxes=2)
        expect(page.locator(".box")).to_have_count(2)
        expect(page.locator(".face")).to_have_count(2)
