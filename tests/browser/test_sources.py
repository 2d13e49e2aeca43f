"""A tile for each configured source, in its order, with the reason where no picture comes."""

from playwright.sync_api import Page, expect

from emostream.services.display.schema import ConfiguredSource
from tests.browser.feed import Feed
from tests.browser.seen import AWAY, keep, open_page

ORDER = ("yard", "garden", "attic", "door")
REASON = "camera 0 cannot be opened: is it plugged in, free, and permitted?"
TILES = "[...document.querySelectorAll('.tile')].map((tile) => tile.dataset.stream)"


def configured(feed: Feed, **dead: ConfiguredSource) -> None:
    """Have the capture say that it reads the sources of `ORDER`; others than the dead are open."""
    feed.report(
        sources=[dead.get(name, ConfiguredSource(name, "open", "")) for name in ORDER],
        recording=dict.fromkeys(ORDER, False),
    )


def test_a_dead_camera_has_its_tile_and_number_from_the_first_second(page: Page) -> None:
    with Feed("door", "garden") as feed:
        configured(
            feed,
            yard=ConfiguredSource("yard", "lost", REASON),
            attic=ConfiguredSource("attic", "opening", ""),
        )
        page.goto(feed.server.url)
        expect(page.locator(".tile")).to_have_count(4, timeout=1_000)
        expect(page.locator(".box:visible")).to_have_count(6, timeout=AWAY)
        assert page.evaluate(TILES) == list(ORDER)
        expect(page.locator("#places a")).to_have_text(["All", *ORDER])
        yard, attic = (
            page.locator(f".tile[data-stream={name}] .notice") for name in ("yard", "attic")
        )
        expect(yard).to_contain_text(REASON)
        expect(yard).to_contain_text("retrying")
        expect(attic).to_have_text("Opening the source")
        keep(page, "dead-camera")
        page.keyboard.press("1")
        expect(page.locator(".tile:visible")).to_have_count(1)
        expect(page.locator(".tile:visible")).to_have_attribute("data-stream", "yard")
        expect(yard).to_be_visible()
        keep(page, "dead-camera-open")
        page.keyboard.press("4")
        expect(page.locator(".tile:visible")).to_have_attribute("data-stream", "door")


def test_the_reason_stands_in_the_tile_of_a_camera_that_is_unplugged(page: Page) -> None:
    with Feed(*ORDER) as feed:
        configured(feed)
        open_page(page, feed, boxes=12)
        feed.playing.remove("garden")
        configured(
            feed, garden=ConfiguredSource("garden", "lost", "camera 1 stopped delivering pictures")
        )
        notice = page.locator(".tile[data-stream=garden] .notice")
        expect(notice).to_contain_text("No frame since", timeout=AWAY)
        expect(notice).to_contain_text("camera 1 stopped delivering pictures")
        feed.playing.add("garden")
        configured(feed)
        expect(notice).to_have_count(0, timeout=AWAY)
        assert page.evaluate(TILES) == list(ORDER)


def test_streams_that_no_capture_names_follow_in_the_order_of_their_names(page: Page) -> None:
    with Feed("zoo", "door", "barn") as feed:
        feed.report(sources=[ConfiguredSource("door", "open", "")])
        open_page(page, feed, boxes=9)
        assert page.evaluate(TILES) == ["door", "barn", "zoo"]
