"""Streams as tiles that fill the window, one with the window to itself, and a phone."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.feed import Feed
from tests.browser.seen import AWAY, keep, open_page, seen, wait_for_picture_after

SHARES = re.compile(r"^Session shares: [a-z]+ \d+%")
NAMES = ("door", "garden", "hall", "yard", "gate", "lobby", "stairs", "roof", "dock")
# The window's rest next to the pictures, and whether anything is outside of the window.
FILLED = """() => {
  const within = ({left, top, right, bottom}) =>
    left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
  const all = (selector) =>
    [...document.querySelectorAll(selector)].map((one) => one.getBoundingClientRect());
  const area = (at) => at.width * at.height;
  const page = document.documentElement;
  return {
    scrolls: page.scrollWidth > innerWidth || page.scrollHeight > innerHeight,
    within: all('.tile').every(within),
    whole: [...document.querySelectorAll('.tile')].every((tile) => {
      const [room, picture] = [tile, tile.querySelector('canvas')].map((one) =>
        one.getBoundingClientRect());
      return picture.left >= room.left && picture.right <= room.right
        && picture.top >= room.top && picture.bottom <= room.bottom;
    }),
    tiles: all('.tile').reduce((sum, at) => sum + area(at), 0) / area(all('#streams')[0]),
    pictures: all('canvas').reduce((sum, at) => sum + area(at), 0) / area(all('#streams')[0]),
  };
}"""


@pytest.mark.parametrize("count", [2, 4, 9])
def test_tiles_fill_the_window(page: Page, count: int) -> None:
    with Feed(*NAMES[:count]) as feed:
        open_page(page, feed, boxes=3 * count)
        filled = page.evaluate(FILLED)
        assert not filled["scrolls"]
        assert filled["within"]
        assert filled["whole"]
        assert filled["tiles"] > 0.95
        assert filled["pictures"] > 0.5
        expect(page.locator("#events-part")).to_be_hidden()
        expect(page.locator(".account").first).to_be_hidden()
        for tile in page.locator(".tile").all():
            expect(tile.locator(".person")).to_have_count(3)
            expect(tile.locator(".share-bar")).to_have_attribute("aria-label", SHARES)
        keep(page, f"tiles-{count}")


def test_a_click_on_a_stream_gives_it_the_window_and_escape_goes_back(
    page: Page, two: Feed
) -> None:
    open_page(page, two, boxes=6)
    expect(page.locator("#faces-part")).to_be_hidden()
    page.get_by_role("button", name="Open garden").click()
    expect(page.locator("#faces-title")).to_have_text("Faces now of garden")
    expect(page.locator(".tile[data-stream=door]")).to_be_hidden()
    expect(page.locator(".face")).to_have_count(3)
    expect(page.locator("#timeline .barlayer path").first).to_be_visible(timeout=AWAY)
    for event in page.locator("#events li:visible").all():
        assert event.get_attribute("data-stream") == "garden"
    assert page.title() == "garden · emostream"
    keep(page, "own")
    page.reload()
    expect(page.locator(".box:visible")).to_have_count(3, timeout=AWAY)
    expect(page.locator(".tile[data-stream=door]")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator(".tile:visible")).to_have_count(2)
    expect(page.locator("#faces-part")).to_be_hidden()
    wait_for_picture_after(page, seen(page, "door")["seq"], "door")


def test_a_stream_behind_another_is_neither_sent_nor_encoded(page: Page, two: Feed) -> None:
    open_page(page, two, boxes=6)
    page.keyboard.press("2")
    expect(page.locator(".tile[data-stream=door]")).to_be_hidden()
    still = seen(page, "door")["seq"]
    encoded, shown = two.metric("encode_seconds_count"), seen(page, "garden")["seq"]
    wait_for_picture_after(page, shown + 50, "garden")
    # Each of the frames of one stream, and of the other the few that were on their way.
    passed = seen(page, "garden")["seq"] - shown
    assert two.metric("encode_seconds_count") - encoded < 1.5 * passed
    assert seen(page, "door")["seq"] - still <= 1
    page.keyboard.press("0")
    wait_for_picture_after(page, shown + 50, "door")


def test_the_keyboard_alone_opens_leaves_and_steps_through_the_streams(
    page: Page, two: Feed
) -> None:
    open_page(page, two, boxes=6)
    focused = "document.activeElement.getAttribute('aria-label')"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == "Open garden":
            break
    page.keyboard.press("Enter")
    expect(page.locator(".tile[data-stream=door]")).to_be_hidden()
    assert page.evaluate(focused) == "Back from garden"
    page.keyboard.press("Escape")
    expect(page.locator(".tile:visible")).to_have_count(2)
    assert page.evaluate(focused) == "Open garden"
    page.keyboard.press("1")
    expect(page.locator("#faces-title")).to_have_text("Faces now of door")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#faces-title")).to_have_text("Faces now of garden")
    page.go_back()
    expect(page.locator("#faces-title")).to_have_text("Faces now of door")


def test_the_page_fits_a_phone(page: Page, two: Feed) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    fits = "document.documentElement.scrollWidth <= 390"
    open_page(page, two, boxes=6)
    page.wait_for_function(fits)
    keep(page, "phone-tiles")
    page.get_by_role("button", name="Open garden").click()
    expect(page.locator("#timeline")).to_have_attribute("data-rows", "3", timeout=AWAY)
    page.wait_for_function(fits)
    keep(page, "phone")
    page.get_by_role("button", name="View").click()
    expect(page.locator("#panel")).to_be_visible()
    page.wait_for_function(fits)
    keep(page, "phone-view", full=False)
