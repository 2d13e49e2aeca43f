"""What changes the pipeline from the page: recording, blurred faces, tokens and refusals."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from emostream.services.display.schema import VideoFile
from emostream.services.display.web.access import Access
from tests.browser.feed import Feed
from tests.browser.seen import AWAY, keep, open_page

TOKEN = "a token of this test"


@pytest.fixture
def guarded() -> Iterator[Feed]:
    """A display that is told a token."""
    with Feed("demo", access=Access(TOKEN)) as feed:
        yield feed


def test_record_is_shown_when_the_recorder_says_so(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    button = page.locator("[data-do=record]")
    expect(button).to_have_text("Record")
    feed.obedient = False
    button.click()
    expect(button).to_have_attribute("aria-busy", "true")
    expect(page.locator(".mark.recording")).to_have_count(0)
    feed.report(recording={"demo": True})
    expect(button).to_have_attribute("aria-busy", "false", timeout=AWAY)
    expect(button).to_have_text("Stop recording")
    expect(page.locator(".mark.recording")).to_be_visible()
    feed.obedient = True
    page.keyboard.press("Tab")
    page.keyboard.press("r")
    expect(button).to_have_text("Record", timeout=AWAY)
    expect(page.locator(".mark.recording")).to_have_count(0)


def test_a_running_recording_shows_where_it_goes_and_its_size(page: Page, two: Feed) -> None:
    path = "recordings/garden/20261129T101500Z-19a3c5b7d1-9f2e-0.mp4"
    videos = {"garden": VideoFile(path, 12_345_678)}
    two.report(recording={"door": False, "garden": True}, videos=videos)
    open_page(page, two, boxes=6)
    mark = page.locator(".tile[data-stream=garden] .mark.recording")
    expect(mark).to_contain_text("recording, 12.3 MB")
    expect(mark.locator(".detail")).to_be_hidden()
    expect(page.locator(".tile[data-stream=door] .mark.recording")).to_have_count(0)
    page.keyboard.press("2")
    expect(mark.locator(".detail")).to_be_visible()
    expect(mark).to_have_text(f"recording, 12.3 MB to {path}")
    keep(page, "recording")


def test_a_recorder_that_does_not_obey_is_told_of(page: Page, feed: Feed) -> None:
    feed.obedient = False
    open_page(page, feed)
    page.locator("[data-do=record]").click()
    expect(page.locator("#toast")).to_contain_text("nobody has confirmed it", timeout=2 * AWAY)
    expect(page.locator("[data-do=record]")).to_have_attribute("aria-busy", "false")


def test_without_a_recorder_nothing_can_be_recorded(page: Page, feed: Feed) -> None:
    feed.report(recording={})
    open_page(page, feed)
    button = page.locator("[data-do=record]")
    expect(button).to_have_attribute("aria-disabled", "true")
    button.click(force=True)
    expect(page.locator("#toast")).to_contain_text("No recorder answers")


def test_faces_are_blurred_for_everybody(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    page.locator("[data-do=blur]").click()
    expect(page.locator(".mark.blurred")).to_be_visible(timeout=AWAY)
    expect(page.locator("[data-do=blur]")).to_have_text("Show faces")
    expect(page.locator(".box")).to_have_count(3)
    keep(page, "blurred")
    page.reload()
    expect(page.locator(".mark.blurred")).to_be_visible(timeout=AWAY)
    page.locator("[data-do=blur]").click()
    expect(page.locator(".mark.blurred")).to_have_count(0, timeout=AWAY)


def test_blurring_ends_a_pause_that_would_show_the_faces(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    page.keyboard.press("k")
    expect(page.locator(".mark.paused")).to_be_visible()
    page.keyboard.press("b")
    expect(page.locator(".mark.blurred")).to_be_visible(timeout=AWAY)
    expect(page.locator(".mark.paused")).to_have_count(0)


def test_a_token_is_asked_for_and_kept_for_the_tab(page: Page, guarded: Feed) -> None:
    open_page(page, guarded)
    dialog = page.get_by_role("dialog", name="A token is needed")
    page.locator("[data-do=record]").click()
    expect(dialog).to_be_visible()
    keep(page, "token")
    page.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("[data-do=record]")).to_have_attribute("aria-busy", "false")
    page.locator("[data-do=record]").click()
    dialog.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("the token is missing or wrong")
    dialog.get_by_label("Token").fill(TOKEN)
    dialog.get_by_role("button", name="Send").click()
    expect(page.locator(".mark.recording")).to_be_visible(timeout=AWAY)
    assert page.evaluate("localStorage.getItem('emostream.token')") is None
    page.reload()
    page.locator("[data-do=record]").click()
    expect(page.locator(".mark.recording")).to_have_count(0, timeout=AWAY)
    expect(dialog).to_be_hidden()


def test_a_refusal_is_shown_in_the_servers_words(page: Page) -> None:
    with Feed("demo", access=Access(is_exposed=True)) as feed:
        open_page(page, feed)
        page.locator("[data-do=blur]").click()
        expect(page.locator("#toast")).to_contain_text("commands need a token")
        expect(page.locator("[data-do=blur]")).to_have_attribute("aria-busy", "false")
        expect(page.locator(".mark.blurred")).to_have_count(0)


def test_with_all_streams_in_the_window_a_command_asks_which(page: Page, two: Feed) -> None:
    open_page(page, two, boxes=6)
    expect(page.locator("[data-do=record]")).to_be_hidden()
    page.keyboard.press("r")
    expect(page.locator("#toast")).to_contain_text("Open a stream first")
    page.keyboard.press("2")
    page.keyboard.press("r")
    expect(page.locator(".tile[data-stream=garden] .mark.recording")).to_be_visible(timeout=AWAY)
    page.keyboard.press("Escape")
    expect(page.locator(".mark.recording")).to_have_count(1)
