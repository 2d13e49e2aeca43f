"""Commands through real processes: recording and blur, from the page's server to the files."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from websockets.sync.client import connect

from emostream.services.cli.processes.pipeline import Pipeline
from emostream.shared.config import load
from tests.images import decoded
from tests.system.conftest import DEFAULT, wait_until

STREAM = "demo"


class Watched:
    """A pipeline that keeps no video until told to, and one viewer of its page."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.url = f"http://{pipeline.config.display.page}"
        self.folder = Path(pipeline.config.recorder.folder) / STREAM

    def command(self, command: str, on: bool) -> None:
        body = {"stream": STREAM, "command": command, "arguments": {"on": on}}
        request = urllib.request.Request(
            f"{self.url}/api/control",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 202

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/api/state", timeout=10) as answer:
            state: dict[str, Any] = json.loads(answer.read())
        return state

    def controls(self) -> dict[str, bool | None]:
        controls: dict[str, Any] = self.state()["controls"]["streams"].get(STREAM, {})
        return controls

    def wait_for(self, **wanted: bool) -> None:
        """Wait until the state tells so."""
        wait_until(lambda: wanted.items() <= self.controls().items(), str(wanted))

    def videos(self) -> list[Path]:
        return sorted(self.folder.glob("*.mp4"), key=lambda path: path.stat().st_ino)

    def detail(self) -> float:
        """Return how much detail the page's next picture has in its faces."""
        with connect(self.url.replace("http", "ws") + "/live", proxy=None) as viewer:
            while True:
                data = viewer.recv(timeout=30)
                viewer.send(json.dumps({"shown": STREAM}))
                if isinstance(data, bytes):
                    length = int.from_bytes(data[:4], "big")
                    faces = json.loads(data[4 : 4 + length])["faces"]
                    if faces:
                        break
        picture = decoded(data[4 + length :], cv2.IMREAD_GRAYSCALE)
        return max(_features(picture, face["box"]) for face in faces)


def _features(picture: np.ndarray, box: list[float]) -> float:
    """Return how much the picture varies within the box over the size of eyes and mouth."""
    x, y, width, height = (max(0, round(number)) for number in box)
    face = picture[y : y + height, x : x + width].astype(np.float32)
    return float(np.abs(face - cv2.GaussianBlur(face, (0, 0), width / 16)).mean())


def _middle(box: list[float]) -> list[float]:
    x, y, width, height = box
    return [x + width / 5, y + height / 5, width * 3 / 5, height * 3 / 5]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("control")
    with Pipeline(load(DEFAULT), folder) as pipeline:
        pipeline.wait_ready()
        watched = Watched(pipeline)
        watched.wait_for(recording=False, blur=False)
        yield watched
    assert "Traceback" not in pipeline.log.read_text("utf-8")


def pictures(path: Path) -> list[np.ndarray]:
    """Return the gray pictures of a video that must be finished."""
    with av.open(str(path)) as container:
        frames = container.streams.video[0].frames
        pictures = [picture.to_ndarray(format="gray") for picture in container.decode(video=0)]
    # A file that is not finished has no index to tell their number.
    assert frames == len(pictures)
    return pictures


def pixel_sum(watched: Watched) -> dict[str, Any] | None:
    """Return where the frames continued their way to the recorder; None while none is recorded."""
    sums = [one for one in watched.state()["accounts"] if one["path"] == "pixels to recorder"]
    return sums[0] if sums else None


def record_for_a_while(watched: Watched) -> tuple[list[np.ndarray], float]:
    """Record some 30 frames; return the pictures, and the detail in the faces of the last one."""
    before = set(watched.videos())
    watched.command("record", True)
    wait_until(lambda: pixel_sum(watched), "the recording to begin")
    begun = pixel_sum(watched)
    assert begun is not None

    def is_long() -> bool:
        now = pixel_sum(watched)
        return now is not None and now["answered"] - begun["answered"] >= 30

    wait_until(is_long, "frames to be recorded")
    faces = watched.state()["streams"][STREAM]["faces"]
    watched.command("record", False)
    watched.wait_for(recording=False)
    (video,) = set(watched.videos()) - before
    recorded = pictures(video)
    # They have moved little since, and the middle of a face is free of lines and letters.
    return recorded, max(_features(recorded[-1], _middle(face["box"])) for face in faces)


def test_recording_is_begun_and_ended_from_the_page(watched: Watched) -> None:
    assert watched.videos() == []
    recorded, _ = record_for_a_while(watched)
    assert len(recorded) >= 25
    assert recorded[0].shape == (720, 1280)
    # Ended: no other file begins though frames continue.
    time.sleep(1)
    assert len(watched.videos()) == 1


def test_faces_are_blurred_on_the_page_and_in_the_recording(watched: Watched) -> None:
    clear = watched.detail()
    _, recorded_clear = record_for_a_while(watched)
    watched.command("blur", True)
    watched.wait_for(blur=True)
    assert watched.detail() < clear / 2
    _, recorded_blurred = record_for_a_while(watched)
    assert recorded_blurred < recorded_clear / 2
    watched.command("blur", False)
    watched.wait_for(blur=False)
    wait_until(lambda: watched.detail() > clear / 2, "the faces to be shown again")


def test_a_recorder_that_was_started_again_is_shown_as_it_is(watched: Watched) -> None:
    watched.command("record", True)
    watched.wait_for(recording=True)
    before = watched.pipeline.stage_processes()["recorder"]
    before.kill()
    wait_until(
        lambda: watched.pipeline.stage_processes().get("recorder", before) != before,
        "the recorder to be started again",
    )
    watched.wait_for(recording=False)
    assert watched.controls()["recording"] is False


def test_the_state_tells_of_all_stages_and_of_every_frame(watched: Watched) -> None:
    def all_ready() -> bool:
        return [one["state"] for one in watched.state()["stages"]] == ["ready"] * 5

    wait_until(all_ready, "all stages to be ready")
    state = watched.state()
    assert {one["stage"] for one in state["stages"]} == {
        "capture", "detector", "classifier", "recorder", "display",
    }  # fmt: skip
    for account in state["accounts"]:
        terms = (*account["dropped"], *account["lost"], *account["lost_with_process"])
        gone = sum(one["count"] for one in terms)
        left = account["captured"] - account["answered"] - gone
        assert account["in_flight"] == left
        assert -5 <= left <= 30, account


def test_the_sum_of_the_pixels_holds_after_recording_was_off_and_on(watched: Watched) -> None:
    record_for_a_while(watched)
    record_for_a_while(watched)
    watched.command("record", True)
    watched.wait_for(recording=True)

    def holds() -> bool:
        now = pixel_sum(watched)
        return now is not None and -5 <= now["in_flight"] <= 30

    wait_until(holds, "the sum to hold")
    account = pixel_sum(watched)
    assert account is not None
    assert account["lost"] == []
    assert {one["reason"] for one in account["dropped"]} <= {"late", "backlog"}
    watched.command("record", False)
