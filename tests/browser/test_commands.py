"""What changes the pipeline from the page: recording, blurred faces, tokens and refusals."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from emostream.services.display.commands import Command
from emostream.services.display.schema import ConfiguredSource, VideoFile
from emostream.shared.control import OnOff
from tests.browser.feed import Feed
from tests.browser.seen import AWAY, keep, open_page, seen, wait_for_picture_after
from tests.web_access import access

TOKEN = "a token of this test"
# By how much a pixel differs on average from those around it, in areas of a canvas, each left, top,
# right and bottom as shares of it.
DETAILS = """([stream, areas]) => {
  const source = document.querySelector(`.tile[data-stream=${stream}] canvas`);
  const copy = document.createElement('canvas');
  const {width, height} = Object.assign(copy, {width: source.width, height: source.height});
  const pen = copy.getContext('2d', {willReadFrequently: true});
  pen.drawImage(source, 0, 0);
  // Of one moment with the picture: the next one has other boxes.
  const boxes = [...source.closest('.tile').querySelectorAll('.box')].map((box) => {
    const [x, y, across, down] = ['left', 'top', 'width', 'height'].map((side) =>
      parseFloat(box.style[side]) / 100);
    return [x, y, x + across, y + down];
  });
  return (areas ?? boxes).map(([left, top, right, bottom]) => {
    const across = Math.floor((right - left) * width);
    const size = [across, Math.floor((bottom - top) * height)];
    const {data} = pen.getImageData(Math.floor(left * width), Math.floor(top * height), ...size);
    let sum = 0;
    for (let at = 13; at < data.length - 12; at += 4) {
      sum += Math.abs(2 * data[at] - data[at - 12] - data[at + 12]);
    }
    return sum / (data.length / 4);
  });
}"""


def details(page: Page, areas: list[tuple[float, ...]] | None = None) -> list[float]:
    """Return how much detail the first stream's picture has in the areas, by default the boxes."""
    stream = page.locator(".tile").first.get_attribute("data-stream")
    told: list[float] = page.evaluate(DETAILS, [stream, areas])
    return told


def are_coarser(now: list[float], before: list[float]) -> bool:
    """Whether each area lost detail; what compression adds to a blurred one is a part of it."""
    return all(new < 0.7 * old for new, old in zip(now, before, strict=True))


def switch(feed: Feed, stream: str, on: bool) -> None:
    """Have somebody else switch the stream's blur."""
    feed.commands.submit(Command(stream, "blur", OnOff(on)))


@pytest.fixture
def guarded() -> Iterator[Feed]:
    """A display that is told a token."""
    with Feed("demo", access=access(TOKEN)) as feed:
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
    expect(page.locator("#toast")).to_contain_text("not confirmed", timeout=2 * AWAY)
    expect(page.locator("[data-do=record]")).to_have_attribute("aria-busy", "false")


def test_without_a_recorder_nothing_can_be_recorded(page: Page, feed: Feed) -> None:
    feed.report(recording={})
    open_page(page, feed)
    button = page.locator("[data-do=record]")
    expect(button).to_have_attribute("aria-disabled", "true")
    button.click(force=True)
    expect(page.locator("#toast")).to_contain_text("No recorder is responding")


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


def test_a_paused_picture_is_blurred_when_anyone_turns_blur_on(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    page.keyboard.press("k")
    expect(page.locator(".mark.paused")).to_be_visible()
    paused, clear = seen(page)["seq"], details(page)
    switch(feed, "demo", True)
    expect(page.locator(".mark.blurred")).to_be_visible(timeout=AWAY)
    expect(page.locator(".mark.paused")).to_be_visible()
    blurred = details(page)
    assert seen(page)["seq"] == paused
    assert are_coarser(blurred, clear)
    keep(page, "paused-blurred")
    # What the server has sent before is blurred as well, when the page continues.
    page.keyboard.press("k")
    wait_for_picture_after(page, paused)
    assert are_coarser(details(page), clear)


def test_a_paused_picture_without_results_is_blurred_as_a_whole(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    feed.answering = False
    expect(page.locator(".box")).to_have_count(0)
    wait_for_picture_after(page, seen(page)["seq"] + 30)
    page.keyboard.press("k")
    expect(page.locator(".mark.paused")).to_be_visible()
    whole = (0.0, 0.0, 1.0, 1.0)
    clear = details(page, [whole])
    switch(feed, "demo", True)
    expect(page.locator(".mark.blurred")).to_be_visible(timeout=AWAY)
    assert are_coarser(details(page, [whole]), clear)


def test_a_stream_behind_another_is_blurred_before_it_is_seen_again(page: Page, two: Feed) -> None:
    open_page(page, two, boxes=6)
    clear = details(page)
    page.keyboard.press("2")
    expect(page.locator(".tile[data-stream=door]")).to_be_hidden()
    two.playing.remove("door")
    switch(two, "door", True)
    expect(page.locator(".tile[data-stream=door] .mark.blurred")).to_have_count(1)
    assert are_coarser(details(page), clear)


def test_a_token_is_asked_for_and_kept_for_the_tab(page: Page, guarded: Feed) -> None:
    open_page(page, guarded)
    dialog = page.get_by_role("dialog", name="Token required")
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
    with Feed("demo", access=access(exposed=True)) as feed:
        open_page(page, feed)
        page.locator("[data-do=blur]").click()
        expect(page.locator("#toast")).to_contain_text("commands need the operator's token")
        expect(page.locator("[data-do=blur]")).to_have_attribute("aria-busy", "false")
        expect(page.locator(".mark.blurred")).to_have_count(0)


def test_with_all_streams_in_the_window_a_command_is_for_all(page: Page, two: Feed) -> None:
    open_page(page, two, boxes=6)
    page.keyboard.press("2")
    page.keyboard.press("r")
    expect(page.locator(".tile[data-stream=garden] .mark.recording")).to_be_visible(timeout=AWAY)
    page.keyboard.press("Escape")
    record, blur = page.locator("[data-do=record]"), page.locator("[data-do=blur]")
    # One of two is recorded, so it is still to be begun for the other.
    expect(record).to_have_text("Record all")
    record.click()
    expect(page.locator(".mark.recording")).to_have_count(2, timeout=AWAY)
    expect(record).to_have_text("Stop recording all")
    page.keyboard.press("b")
    expect(page.locator(".mark.blurred")).to_have_count(2, timeout=AWAY)
    expect(blur).to_have_text("Show all faces")
    keep(page, "all-recorded-and-blurred")
    record.click()
    blur.click()
    expect(page.locator(".mark")).to_have_count(0, timeout=AWAY)


def test_blurring_all_includes_a_camera_that_gives_no_picture_yet(page: Page, two: Feed) -> None:
    names = ("yard", "door", "garden")
    two.report(sources=[ConfiguredSource(name, "opening", "") for name in names])
    open_page(page, two, boxes=6)
    page.locator("[data-do=blur]").click()
    expect(page.locator(".mark.blurred")).to_have_count(3, timeout=AWAY)
    assert two.commands.blur.is_on("yard")


def test_a_token_is_asked_for_once_for_all_streams(page: Page) -> None:
    with Feed("door", "garden", access=access(TOKEN)) as feed:
        open_page(page, feed, boxes=6)
        page.locator("[data-do=record]").click()
        dialog = page.get_by_role("dialog", name="Token required")
        dialog.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(page.locator(".mark.recording")).to_have_count(2, timeout=AWAY)
        expect(dialog).to_be_hidden()
