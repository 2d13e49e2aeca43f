"""A busy pipeline: boxes that stay and move on, and words for what is left out and what helps."""

import time

import msgspec
import pytest
from playwright.sync_api import Page, expect

from emostream.services.display.schema import StageState
from tests.browser.feed import FPS, Feed, track_of
from tests.browser.seen import AWAY, keep, open_page, seen, wait_for_picture_after
from tests.browser.test_state import stages

# In CSS pixels, how far a box that is moved on may be from the face: the demo's people sway.
NEAR = 12


def busy_stages() -> list[StageState]:
    """Return what the stages say where the detector works on a quarter of the frames."""
    slow = {"analyzed": 0.27, "whole_only": 0.93}
    return [
        msgspec.structs.replace(stage, **slow) if stage.stage == "detector" else stage
        for stage in stages()
    ]


def test_boxes_stay_dimmed_and_follow_the_faces_between_answers(page: Page, feed: Feed) -> None:
    # A camera's pictures are 1/25 s apart, though a busy machine sends them more slowly.
    began = time.time_ns()
    feed.capture_time = lambda seq: began + seq * 10**9 // FPS
    feed.answer_every = 5
    open_page(page, feed)
    kept = 0
    for _ in range(12):
        now = seen(page)
        scale = now["width"] / feed.demo.width
        truth = {track_of(face.person): face for face in feed.demo.truth(now["seq"])}
        assert len(now["boxes"]) == 3, "no box blinks"
        for track, _, *box in now["boxes"]:
            assert box == pytest.approx([scale * at for at in truth[track].box], abs=NEAR)
        assert now["kept"] == (3 if now["seq"] % feed.answer_every else 0)
        kept += now["kept"]
        wait_for_picture_after(page, now["seq"])
    assert kept > 0
    dimmed = page.locator(".box[data-kept=true]").first
    expect(dimmed).to_have_css("opacity", "0.5")


def test_the_tile_and_the_health_row_say_how_many_frames_are_analyzed_and_what_helps(
    page: Page, two: Feed
) -> None:
    two.report(stages=stages())
    open_page(page, two, boxes=6)
    expect(page.locator(".notice")).to_have_count(0)
    two.answer_every = 4
    two.report(stages=busy_stages())
    notice = page.locator(".tile[data-stream=door] .notice")
    expect(notice).to_contain_text("analyzing 25% of frames", timeout=AWAY)
    expect(notice).to_contain_text("Use fewer or slower sources")
    detector = page.locator("#stages li[data-stage=detector]")
    expect(detector).to_have_attribute("data-state", "overloaded")
    expect(detector.locator(".word")).to_have_text("27% of frames")
    detector.focus()
    expect(detector.locator(".more")).to_contain_text("the detector on another host")
    expect(detector.locator(".more")).to_contain_text("93% without a search for small faces")
    keep(page, "overloaded")
    two.answer_every = 1
    two.report(stages=stages())
    expect(page.locator(".notice")).to_have_count(0, timeout=AWAY)
    expect(detector).to_have_attribute("data-state", "ready")
