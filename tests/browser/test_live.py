"""The page of the whole pipeline: found faces, commands that are obeyed, a killed stage."""

import math
import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
from playwright.sync_api import Page, expect

from emostream.services.capture.demo.scene import DemoScene, TrueFace
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.shared.config import load
from emostream.shared.shipped_files import ROOT
from tests.browser.seen import keep, seen, wait_for_picture_after

SLOW = 60_000
# A slow machine is too busy with the browser to analyze every frame, and says so.
WELL = "#stages li:is([data-state=ready], [data-state=overloaded])"
WRITTEN = re.compile(r"recording, \d+\.\d MB to .*/recordings/demo/\w+-\w+-\d+\.mp4")
# The middles of YuNet's boxes lie lower than the demo's, by this share of a face's height.
LOWER = 0.008


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The default pipeline, on its own ports, keeping video."""
    config = load(ROOT / "configs" / "default.toml", ["recorder.video=true"])
    with Pipeline(config, tmp_path_factory.mktemp("pipeline")) as running:
        running.wait_ready()
        yield running


def open_page(page: Page, pipeline: Pipeline) -> None:
    page.goto(f"http://{pipeline.config.display.page}")
    expect(page.locator(".box")).to_have_count(3, timeout=SLOW)


def middle(face: TrueFace) -> tuple[float, float]:
    """Return where the middle of a box around this face is expected."""
    x, y, width, height = face.box
    return x + width / 2, y + (0.5 + LOWER) * height


def test_boxes_follow_the_demos_faces_and_labels_its_script(page: Page, pipeline: Pipeline) -> None:
    """The middles of nine boxes of ten within 12 px of the frame, as the detector finds them.

    Labels of faces that have shown one emotion for a second.
    """
    open_page(page, pipeline)
    demo = DemoScene()
    off: list[float] = []
    right: Counter[bool] = Counter()
    for _ in range(60):
        now = seen(page)
        if now["kept"]:
            # Where faces are in a frame that was not analyzed is a guess.
            wait_for_picture_after(page, now["seq"])
            continue
        scale = now["width"] / demo.width
        truth = demo.truth(now["seq"])
        before = demo.truth(max(now["seq"] - 25, 0))
        for _, label, x, y, width, height in now["boxes"]:
            at = ((x + width / 2) / scale, (y + height / 2) / scale)
            gap, face = min((math.dist(at, middle(face)), face.person) for face in truth)
            off.append(gap)
            if truth[face].mix == before[face].mix:
                right[label == truth[face].label] += 1
        wait_for_picture_after(page, now["seq"] + 5)
    assert len(off) > 100
    assert np.percentile(off, 90) < 12
    assert max(off) < 30
    assert right[True] / right.total() > 0.6


def test_all_stages_are_well_and_the_loss_sum_adds_up(page: Page, pipeline: Pipeline) -> None:
    open_page(page, pipeline)
    expect(page.locator(WELL)).to_have_count(5, timeout=SLOW)
    page.locator(".account summary").click()
    expect(page.locator(".account tbody tr")).to_have_count(4, timeout=SLOW)
    keep(page, "live")
    captured, parts = page.locator(".account summary").inner_text().replace(",", "").split(" = ")
    numbers = [int(word) for word in parts.replace("− ", "-").split() if word.lstrip("-").isdigit()]
    assert sum(numbers) == int(captured.split()[0])


def test_the_recorder_stops_and_records_again(page: Page, pipeline: Pipeline) -> None:
    open_page(page, pipeline)
    button = page.locator("[data-do=record]")
    for text in ("Stop recording", "Record", "Stop recording"):
        expect(button).to_have_text(text, timeout=SLOW)
        expect(page.locator(".mark.recording")).to_have_count(int(text != "Record"))
        if text != "Record":
            expect(page.locator(".mark.recording")).to_have_text(WRITTEN, timeout=SLOW)
        button.click()


def test_blurred_faces_cannot_be_known(page: Page, pipeline: Pipeline) -> None:
    open_page(page, pipeline)
    page.locator("[data-do=blur]").click()
    expect(page.locator(".mark.blurred")).to_be_visible(timeout=SLOW)
    keep(page, "live-blurred")
    page.locator("[data-do=blur]").click()
    expect(page.locator(".mark.blurred")).to_have_count(0, timeout=SLOW)


def test_a_killed_classifier_shows_and_recovers(page: Page, pipeline: Pipeline) -> None:
    open_page(page, pipeline)
    notice = page.locator(".notice")
    classifier = pipeline.stage_processes()["classifier"]
    supervisor = psutil.Process(classifier.pid).parent()
    assert supervisor is not None
    # It would be restarted at once, and its death be too short to be seen.
    supervisor.suspend()
    try:
        classifier.kill()
        expect(notice).to_contain_text("stale", timeout=SLOW)
        expect(page.locator("#stages li", has_text="classifier")).to_have_attribute(
            "data-state", "away", timeout=SLOW
        )
        keep(page, "away")
    finally:
        supervisor.resume()
    wait_for_picture_after(page, seen(page)["seq"] + 10)
    expect(notice).to_have_count(0, timeout=SLOW)
    expect(page.locator(".box")).to_have_count(3, timeout=SLOW)
    expect(page.locator(WELL)).to_have_count(5, timeout=SLOW)
