"""What the viewer alone sees differently: pause, threshold, emotions, smoothing, theme, keys."""

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Download, Page, expect

from emostream.models.labels import LABELS
from emostream.shared.messages import EmotionPrior
from tests.browser.feed import Feed
from tests.browser.seen import AWAY, keep, open_page, seen, wait_for_picture_after

DARK, LIGHT = "rgb(15, 19, 23)", "rgb(238, 241, 244)"


def choose(page: Page, name: str, value: str) -> None:
    """Choose in the panel."""
    page.get_by_role("button", name="View").click()
    if name == "threshold":
        page.locator("#panel [name=threshold]").fill(value)
    else:
        page.locator(f"#panel [name={name}]").select_option(value)
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#panel")).to_be_hidden()


def test_pause_freezes_the_picture_costs_nothing_and_goes_on(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".mark.paused")).to_contain_text("paused at")
    still, picture = seen(page), page.evaluate("document.querySelector('canvas').toDataURL()")
    frames, encoded = feed.frames, feed.metric("encode_seconds_count")
    while feed.frames < frames + 40:
        page.wait_for_timeout(100)
    assert seen(page) == still
    assert page.evaluate("document.querySelector('canvas').toDataURL()") == picture
    assert feed.metric("encode_seconds_count") < encoded + 20
    page.get_by_role("button", name="Resume").click()
    wait_for_picture_after(page, still["seq"] + 30)
    expect(page.locator(".mark.paused")).to_have_count(0)


def test_below_the_threshold_a_face_is_said_to_be_unsure(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    choose(page, "threshold", "90")
    box = page.locator(".box").first
    expect(box).to_have_attribute("data-state", "unsure")
    expect(box).to_contain_text("unsure")
    expect(page.locator(".face h3 small").first).to_have_text("unsure")
    assert "unsure" in (box.get_attribute("aria-label") or "")
    assert box.get_attribute("data-label") in LABELS
    expect(page.get_by_role("button", name="View")).to_contain_text("threshold 90%")
    keep(page, "unsure")
    page.reload()
    expect(box).to_have_attribute("data-state", "unsure", timeout=AWAY)
    page.keyboard.press("-")
    expect(box).to_have_attribute("data-state", "sure")
    expect(box).to_contain_text("86%")


def test_the_threshold_holds_for_a_paused_picture_too(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    page.keyboard.press("k")
    choose(page, "threshold", "95")
    expect(page.locator(".box").first).to_have_attribute("data-state", "unsure")


def test_emotions_that_are_not_chosen_are_others(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    expect(page.locator("#shares-part li").first).to_be_visible(timeout=AWAY)
    page.keyboard.press("k")
    expect(page.locator(".mark.paused")).to_be_visible()
    label = page.locator(".box").first.get_attribute("data-label") or ""
    page.get_by_role("button", name="View").click()
    page.locator("#panel").get_by_label(label).uncheck()
    box = page.locator(f".box[data-label={label}]").first
    expect(box).to_have_attribute("data-state", "other")
    expect(box).to_contain_text("other")
    expect(page.locator(f".bar[data-emotion={label}]")).to_have_count(0)
    expect(page.locator(f"#shares-part li[data-emotion={label}]")).to_have_count(0)
    expect(page.locator("#shares-part li[data-emotion=other]")).to_have_count(1)
    expect(page.locator(".legend").get_by_text(label, exact=True)).to_have_count(0)
    page.get_by_role("button", name="Defaults").click()
    expect(page.locator(f".box[data-label={label}]").first).to_have_attribute("data-state", "sure")
    expect(page.locator(f".bar[data-emotion={label}]")).to_have_count(3)


def test_smoothing_follows_the_viewers_seconds(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    shares = page.evaluate(
        """async () => {
          const { FaceStates } = await import('/face-states.js');
          const face = (joy) => ({track: 7, probabilities: {joy, fear: 1 - joy}});
          const facts = (t, joy) => ({t, results: 'whole', faces: [face(joy)]});
          const shown = (smoothing) => {
            const states = new FaceStates({smoothing, threshold: 0, shows: () => true});
            states.compute(facts(0, 0));
            return states.compute(facts(1000, 1))[0];
          };
          return [shown(0), shown(0.5), shown(5)].map((face) => [face.shares.joy, face.label]);
        }"""
    )
    assert shares == [
        [1, "joy"],
        [pytest.approx(1 - math.exp(-2)), "joy"],
        [pytest.approx(1 - math.exp(-0.2)), "fear"],
    ]
    choose(page, "smoothing", "5")
    shown = page.locator(".bar.shown .share")
    # A face whose emotion changes: on a busy machine the next change is a while away.
    expect(shown.filter(has_not_text="86%").first).to_be_visible(timeout=4 * AWAY)
    choose(page, "smoothing", "0")
    expect(shown).to_have_text(["86%"] * 3)


def test_the_sensitivity_reweights_and_marks_what_differs_from_the_stream(
    page: Page, feed: Feed
) -> None:
    shares = dict.fromkeys(LABELS, 0.01) | {"neutral": 0.93}
    feed.prior = EmotionPrior("trained", 0.0, shares)
    open_page(page, feed)
    page.keyboard.press("k")
    track = page.locator(".box:not([data-label=neutral])").first.get_attribute("data-track")
    box = page.locator(f".box[data-track='{track}']")
    expect(box).to_have_attribute("data-stream-label", "")
    label = box.get_attribute("data-label") or ""
    page.get_by_role("button", name="View").click()
    control = page.locator("#panel [name=sensitivity]")
    # The stream is 86% sure of its label and 2% of neutral, which is 93 times as frequent.
    control.fill("-100")
    expect(box).to_have_attribute("data-stream-label", label)
    expect(box).to_contain_text("neutral *")
    assert f"the stream says {label}" in (box.get_attribute("aria-label") or "")
    own = page.locator(f".face[data-track='{track}'] .own")
    expect(own).to_have_text(f"* stream: {label}")
    expect(page.get_by_role("button", name="View")).to_contain_text("100% calmer")
    keep(page, "sensitivity")
    control.fill("0")
    expect(box).to_have_attribute("data-stream-label", "")
    expect(box).to_have_attribute("data-label", label)


def test_without_shares_there_is_no_sensitivity(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    page.get_by_role("button", name="View").click()
    expect(page.locator("#panel [name=sensitivity]")).to_be_disabled()


def test_probabilities_are_reweighted_as_python_does(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    given = page.evaluate(
        """async () => {
          const { reweighted } = await import('/face-states.js');
          const prior = { joy: 0.75, fear: 0.25 };
          const given = { joy: 0.6, fear: 0.4 };
          return [1, 0, -1].map((sensitivity) => reweighted(given, prior, sensitivity).joy);
        }"""
    )
    assert given == [pytest.approx(1 / 3), pytest.approx(0.6), pytest.approx(4.5 / 5.5)]


def test_a_snapshot_is_the_picture_with_its_boxes_and_what_is_known_of_that_frame(
    page: Page, feed: Feed, tmp_path: Path
) -> None:
    open_page(page, feed)
    downloads: list[Download] = []
    page.on("download", lambda download: downloads.append(download))
    page.get_by_role("button", name="Snapshot").click()
    while len(downloads) < 2:
        page.wait_for_timeout(50)
    png, text = sorted(downloads, key=lambda one: one.suggested_filename, reverse=True)
    assert Path(png.suggested_filename).stem == Path(text.suggested_filename).stem
    png.save_as(tmp_path / "picture.png")
    told: dict[str, Any] = json.loads(Path(text.path()).read_text("utf-8"))
    assert f"-{told['seq']}.png" in png.suggested_filename
    assert [face["label"] for face in told["shown"]] == [
        face.label for face in feed.demo.truth(told["seq"])
    ]
    picture: Any = cv2.imread(str(tmp_path / "picture.png"))
    assert picture.shape == (720, 1280, 3)
    # The very frame, except for the noise of JPEG, and boxes that differ from it.
    off = np.abs(picture.astype(int) - feed.demo.frame(told["seq"])).max(axis=2)
    assert np.mean(off < 24) > 0.95
    for face in told["faces"]:
        x, y, width, height = (round(at) for at in face["box"])
        assert off[y + height, x : x + width].mean() > 50
    expect(page.locator("#toast")).to_contain_text("Saved demo-")


def test_dark_light_and_as_the_system(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    body = page.locator("body")
    expect(body).to_have_css("background-color", DARK)
    page.keyboard.press("t")
    page.keyboard.press("t")
    expect(body).to_have_css("background-color", LIGHT)
    page.reload()
    expect(body).to_have_css("background-color", LIGHT)
    expect(page.locator(".box")).to_have_count(3, timeout=AWAY)
    page.keyboard.press("t")
    expect(body).to_have_css("background-color", DARK)
    page.emulate_media(color_scheme="light")
    expect(body).to_have_css("background-color", LIGHT)


def test_a_dialog_lists_the_shortcuts(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("pause or resume")
    keep(page, "shortcuts")
    page.keyboard.press("k")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator(".mark.paused")).to_have_count(0)


def test_single_keys_can_be_turned_off(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    page.keyboard.press("v")
    page.get_by_label("Single-key shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".mark.paused")).to_have_count(0)


def test_space_on_a_button_is_the_buttons_own(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    page.get_by_role("button", name="Keyboard shortcuts").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    expect(page.locator(".mark.paused")).to_have_count(0)


def test_events_are_read_out_when_wanted(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    expect(page.locator("#events li[data-kind=change]").first).to_be_visible(timeout=AWAY)
    expect(page.locator("#announcer")).to_be_empty()
    page.keyboard.press("v")
    page.get_by_label("Announce events").check()
    expect(page.locator("#announcer")).to_contain_text("demo, face", timeout=AWAY)
