"""The page on a screen of 4K and on a phone, in dark and light: what fits, and pictures of it."""

from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from emostream.services.display.schema import ConfiguredSource, PathCounts
from tests.browser.feed import Feed
from tests.browser.seen import AWAY, keep, open_page
from tests.browser.test_overload import busy_stages
from tests.browser.test_sources import REASON, configured
from tests.browser.test_state import stages
from tests.browser.test_tiles import NAMES

DESKTOP, WALL, PHONE = (1440, 900), (3840, 2160), (390, 844)
SIZES = {"1440": DESKTOP, "3840": WALL, "390": PHONE}
# What is cut off: of texts that must be read, those that are wider than their element.
CUT_OFF = """() => [...document.querySelectorAll('.notice, #stages li, #controls button, .person')]
  .filter((one) => one.offsetParent && one.scrollWidth > one.clientWidth + 1)
  .map((one) => one.textContent)"""
TEXT = "selector => parseFloat(getComputedStyle(document.querySelector(selector)).fontSize)"
TOP = "selector => document.querySelector(selector).getBoundingClientRect().top"


def resize(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})


Scheme = Literal["dark", "light"]


def fits_everywhere(page: Page, boxes: int, name: str, scheme: Scheme) -> None:
    """Assert that nothing is cut off at any size, and keep a picture of each.

    On a desktop that is in dark and light, elsewhere in one of them: a picture takes seconds.
    """
    for size, pixels in SIZES.items():
        resize(page, pixels)
        both: tuple[Scheme, ...] = ("dark", "light")
        for each in both if pixels == DESKTOP else (scheme,):
            page.emulate_media(color_scheme=each)
            expect(page.locator(".box:visible")).to_have_count(boxes)
            assert page.evaluate(CUT_OFF) == []
            page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")
            keep(page, f"{name}-{size}-{each}", full=False)


@pytest.mark.parametrize(
    "count",
    [pytest.param(1, marks=pytest.mark.evidence), 4, pytest.param(9, marks=pytest.mark.evidence)],
)
def test_nothing_is_cut_off_at_any_size_quiet_and_overloaded(page: Page, count: int) -> None:
    with Feed(*NAMES[:count]) as feed:
        feed.report(stages=stages())
        open_page(page, feed, boxes=3 * count)
        fits_everywhere(page, 3 * count, f"{count}-quiet", "dark")
        feed.answer_every = 4
        feed.report(stages=busy_stages())
        expect(page.locator(".notice")).to_have_count(count, timeout=AWAY)
        fits_everywhere(page, 3 * count, f"{count}-overloaded", "light")


def test_nothing_is_cut_off_where_something_is_missing(page: Page) -> None:
    """Without a face, with the classifier away, and with a camera that cannot be opened."""
    with Feed("door", "garden") as feed:
        configured(feed, yard=ConfiguredSource("yard", "lost", REASON))
        feed.report(stages=stages())
        open_page(page, feed, boxes=6)
        fits_everywhere(page, 6, "dead-camera", "dark")
        feed.faces = False
        expect(page.locator(".box")).to_have_count(0, timeout=AWAY)
        fits_everywhere(page, 0, "no-face", "light")
        feed.answering = False
        feed.report(stages=stages(classifier=("away", "connection refused")))
        expect(page.locator(".tile[data-stream=door] .notice")).to_contain_text(
            "stale", timeout=AWAY
        )
        fits_everywhere(page, 0, "classifier-away", "dark")


def test_text_and_panels_grow_with_a_large_screen(page: Page, feed: Feed) -> None:
    feed.report(stages=stages())
    open_page(page, feed)
    selectors = ("body", "#stages b", ".face h3", "figcaption b", "#controls button")
    usual = [page.evaluate(TEXT, selector) for selector in selectors]
    panel = page.locator("#faces-part").bounding_box()
    resize(page, WALL)
    assert [page.evaluate(TEXT, selector) for selector in selectors] == pytest.approx(
        [2 * size for size in usual], rel=0.02
    )
    large = page.locator("#faces-part").bounding_box()
    assert panel and large
    assert large["width"] == pytest.approx(2 * panel["width"], rel=0.02)
    page.wait_for_function(f"() => ({TEXT})('#timeline .ytick text') > 23")


def test_on_a_phone_the_video_comes_first_below_one_row_of_controls(page: Page, feed: Feed) -> None:
    resize(page, PHONE)
    feed.report(stages=stages())
    open_page(page, feed)
    row = {
        button.evaluate("button => button.getBoundingClientRect().top")
        for button in page.locator("#controls button:visible").all()
    }
    assert len(row) == 1
    names = ("Pause", "Snapshot", "Record", "Blur faces", "View", "Keyboard shortcuts")
    for name in names:
        expect(page.get_by_role("button", name=name)).to_be_visible()
    video = page.evaluate(TOP, "#streams")
    assert video < 64
    for below in ("#stages", "#faces-part", "#events-part", "#timeline-part"):
        assert page.evaluate(TOP, below) > video


def test_the_health_panel_says_where_the_frames_of_each_stream_went(page: Page, two: Feed) -> None:
    """On the wall nothing else does: tiles are for who is there."""
    two.report(
        stages=stages(classifier=("not ready", "no input for 3.2 s")),
        accounts=[PathCounts(name, "emotions", 100, 98, [], [], 2) for name in ("door", "garden")],
    )
    open_page(page, two, boxes=6)
    expect(page.locator(".account:visible")).to_have_count(0)
    page.get_by_role("button", name="Details").click()
    panel = page.locator("#health")
    expect(panel).to_contain_text("classifier at 127.0.0.1:9103: no input for 3.2 s")
    expect(panel.get_by_role("heading", name="garden")).to_be_visible(timeout=AWAY)
    sums = panel.locator(".account summary")
    expect(sums).to_have_text(["100 captured = 98 shown + 2 in flight"] * 2)
    sums.first.click()
    expect(panel.locator("tbody tr")).to_have_count(1)
    keep(page, "health", full=False)
    page.get_by_role("button", name="Close").click()
    page.get_by_role("link", name="door").click()
    expect(page.locator(".tile.open .account summary")).to_contain_text("100 captured")
