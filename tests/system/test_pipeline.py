"""The whole pipeline as a user starts it."""

import math
import re
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import av
import msgpack
import psutil
import pytest
import zmq

from emostream.services.capture.demo.scene import DemoScene
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.bus import Bus, Subscription
from emostream.shared.config import load
from emostream.shared.frame_counts import frame_counts
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Emotion, Message
from emostream.shared.metric_samples import Scrape
from emostream.shared.scraping import scrape
from emostream.shared.shipped_files import ROOT
from tests.boxes import iou
from tests.builders import header_of
from tests.conftest import fail_with
from tests.system.conftest import DEFAULT, wait_until

LOOKED_AT = 300  # faces with one emotion: two looks of 4 s


def listen(pipeline: Pipeline, topic: str, count: int, timeout: float = 30.0) -> list[Message]:
    """Return the next messages on the results' topic."""
    inbox = FifoInbox()
    with Bus("test") as bus:
        receiver = bus.receiver(
            [Subscription(pipeline.config.connect.emotion, [topic], 0)], inbox.put, fail_with
        )
        deadline = time.monotonic() + timeout
        got: list[Message] = []
        while len(got) < count and time.monotonic() < deadline:
            got += inbox.take(count, timeout=0.2)
        receiver.close()
    assert len(got) >= count, f"{len(got)} messages in {timeout} s"
    return got


def is_logged(pipeline: Pipeline, line: re.Pattern[str]) -> bool:
    return line.search(pipeline.log.read_text("utf-8")) is not None


def is_ready(pipeline: Pipeline, stage: str) -> bool:
    return not pipeline.missing(stage)


def runs_again(pipeline: Pipeline, stage: str, before: psutil.Process) -> bool:
    """Whether the stage has another process than before."""
    now = pipeline.stage_processes().get(stage)
    return now is not None and now != before


def test_every_stage_says_that_it_is_ready_and_where_to_look(pipeline: Pipeline) -> None:
    for stage in STAGES:
        line = re.compile(rf"{stage}\.1 .*ready after [\d.]+ s")
        wait_until(partial(is_logged, pipeline, line), line.pattern)
    log = pipeline.log.read_text("utf-8")
    for stage in STAGES:
        assert getattr(pipeline.config, stage).metrics in log
    assert f"http://{pipeline.config.display.page}" in log
    assert pipeline.config.classifier.bind in log
    assert "Traceback" not in log


def test_the_faces_of_the_demo_are_found_where_they_are_and_named_as_they_look(
    pipeline: Pipeline,
) -> None:
    demo = DemoScene()
    right: Counter[bool] = Counter()

    def nearly_all_are_found() -> bool:
        found, true = 0, 0
        for message in listen(pipeline, "emotion/demo/", 100):
            header = header_of(message, Emotion)
            for face in demo.truth(header.seq):
                true += 1
                seen = [one for one in header.faces if iou(one.box, face.box) > 0.5]
                found += len(seen) == 1
                if seen and face.label is not None and max(face.mix.values()) == 1:
                    shares = seen[0].probabilities
                    right[max(shares, key=shares.__getitem__) == face.label] += 1
        # Each look of 4 s shows each person with one emotion or two.
        return found / true > 0.97 and right.total() > LOOKED_AT

    # A busy machine drops frames, and a face that was lost meanwhile is found again a little later.
    wait_until(nearly_all_are_found, "97% of the faces to be found")
    assert right[True] / right.total() > 0.6


def test_probabilities_sum_to_one_and_the_marks_tell_the_way(pipeline: Pipeline) -> None:
    for message in listen(pipeline, "emotion/", 5):
        header = message.header
        assert isinstance(header, Emotion)
        ways = [header.marks[stage] for stage in ("capture", "detector", "classifier")]
        times = [header.t, *(moment for way in ways for moment in way)]
        assert times[1:] == sorted(times[1:])
        for face in header.faces:
            assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-4)
            assert face.confidence == face.smoothed[face.label]


def test_the_example_in_the_readme_works_as_it_stands(pipeline: Pipeline) -> None:
    code = re.search(r"```python\n(import msgpack.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert code
    assert len(code[1].splitlines()) <= 8
    port = pipeline.config.classifier.bind.rpartition(":")[2]
    program = subprocess.Popen(
        [sys.executable, "-u", "-c", code[1].replace("5553", port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        line = program.stdout.readline()
    finally:
        program.kill()
        program.communicate()
    assert re.match(r"\d+ [a-z]+ 0?\.?\d+", line)


def test_junk_on_the_bus_is_counted_and_survived(pipeline: Pipeline) -> None:
    """A second publisher that breaks the format, where a subscriber of the results listens."""
    inbox, bad = FifoInbox(), Counter[str]()
    context = zmq.Context()
    junk = context.socket(zmq.PUB)
    port = junk.bind_to_random_port("tcp://127.0.0.1")
    with Bus("test") as bus:
        endpoints = [*pipeline.config.connect.emotion, f"tcp://127.0.0.1:{port}"]
        receiver = bus.receiver(
            [Subscription(endpoints, ["emotion/"], 0)],
            inbox.put,
            lambda error: bad.update([error.reason]),
        )

        def send() -> bool:
            junk.send_multipart([b"emotion/demo/", b"\xc1"])
            junk.send_multipart([b"emotion/demo/", msgpack.packb({"v": 1, "stream": "demo"})])
            return bad["msgpack"] > 0 and bad["header"] > 0

        wait_until(send, "the junk to be seen")
        assert inbox.take(1, timeout=10)
        receiver.close()
    junk.close(linger=0)
    context.term()


def test_the_metrics_tell_what_happened_to_each_frame(pipeline: Pipeline) -> None:
    began = time.monotonic()
    scrapes = [scrape(f"{pipeline.metrics_url(stage)}/metrics") for stage in STAGES]
    meanwhile = math.ceil(25 * (time.monotonic() - began))
    sums = frame_counts([one for one in scrapes if isinstance(one, Scrape)])
    paths = {"emotions", "rows", "pixels to recorder", "pixels to display"}
    assert {one.path for one in sums} == paths
    for one in sums:
        assert one.unexplained == 0
        assert one.captured > 50
        # The five processes are not asked at the same instant.
        assert -5 - meanwhile <= one.in_flight <= 30 + meanwhile, one


def test_a_killed_stage_comes_back_and_frames_flow_again(pipeline: Pipeline) -> None:
    for stage in ("detector", "classifier", "capture"):
        before = pipeline.stage_processes()[stage]
        before.kill()
        wait_until(
            partial(runs_again, pipeline, stage, before),
            f"{stage} to be started again",
        )
        wait_until(partial(is_ready, pipeline, stage), f"{stage} to be ready")
        assert listen(pipeline, "emotion/demo/", 20)


def test_a_stage_that_stands_still_shows_in_the_readiness_of_the_next(pipeline: Pipeline) -> None:
    capture = pipeline.stage_processes()["capture"]
    capture.suspend()
    try:
        wait_until(lambda: "input" in pipeline.missing("detector"), "the detector to notice", 40)
        wait_until(lambda: "input" in pipeline.missing("classifier"), "the classifier to notice")
    finally:
        capture.resume()
    wait_until(lambda: not pipeline.missing("classifier"), "the frames to come back")


def test_ctrl_c_ends_everything_and_leaves_a_recording_that_plays(tmp_path: Path) -> None:
    with Pipeline(load(DEFAULT, ["recorder.video=true"]), tmp_path) as pipeline:
        pipeline.wait_ready()
        listen(pipeline, "emotion/demo/", 50)
        below = pipeline.processes()
        start = time.monotonic()
        assert pipeline.stop() == 130
        assert time.monotonic() - start < 5
        _, alive = psutil.wait_procs(below, timeout=1)
        assert not alive
    log = pipeline.log.read_text("utf-8")
    assert "Traceback" not in log
    assert "SIGKILL" not in log
    (video,) = (tmp_path / "recordings").rglob("*.m[kp][v4]")
    with av.open(str(video)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) >= 40
    assert frames[0].width == 1280


def test_a_port_in_use_is_named_with_who_asks(pipeline: Pipeline) -> None:
    bind = pipeline.config.detector.bind
    done = subprocess.run(
        [
            *(sys.executable, "-m", "emostream", "detector"),
            *("--set", f"detector.bind={bind}", "--set", "detector.metrics=127.0.0.1:0"),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT,
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "detector" in done.stderr
    assert bind in done.stderr
