"""A stage whose clock is an hour wrong: no latency, drop or event is another."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import pytest

from emostream.shared.bus import Bus, Subscription
from emostream.shared.clocks import Clocks
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Faces
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape
from emostream.shared.scraping import scrape
from tests import builders
from tests.conftest import fail_with, require_tool
from tests.system.conftest import wait_until
from tests.system.test_stages import Stage

FRAMES: Final = 20
EVERY_S: Final = 0.05
LONGEST_S: Final = 10.0


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def wrong_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes that are started have a clock that differs by what the test says."""
    require_tool("faketime")
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        pytest.skip("libfaketime is not where Debian has it")
    for name, value in (
        ("LD_PRELOAD", str(libraries[0])),
        ("FAKETIME", request.param),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ):
        monkeypatch.setitem(os.environ, name, value)


@pytest.mark.evidence
@pytest.mark.parametrize("wrong_clock", ["+3600s"], indirect=True)
def test_a_detector_with_a_wrong_clock_answers_as_ever(
    wrong_clock: None, stack: ExitStack, tmp_path: Path
) -> None:
    bus = stack.enter_context(Bus("capture"))
    frames = stack.enter_context(closing(bus.publisher("tcp://127.0.0.1:*", 0)))
    settings = (
        f'connect.frame=["{frames.endpoint}"]',
        "detector.bind=ipc://" + str(tmp_path / "faces"),
        "detector.backend=haar",
    )
    detector = stack.enter_context(closing(Stage("detector", tmp_path / "log", *settings)))
    inbox = FifoInbox()
    subscription = Subscription([f"ipc://{tmp_path}/faces"], ["faces/"], 0)
    receiver = bus.receiver([subscription], inbox.put, fail_with, clocks=Clocks())
    stack.enter_context(closing(receiver))
    answers: list[Faces] = []
    seq = 0

    def answered() -> bool:
        nonlocal seq
        now = time.time_ns()
        fields = {"t": now, "marks": {"capture": (now, now)}}
        frames.send(builders.frame(seq, width=64, height=64, **fields))
        seq += 1
        time.sleep(EVERY_S)
        answers.extend(builders.header_of(m, Faces) for m in inbox.take(100, 0))
        return len(answers) >= FRAMES

    wait_until(answered, "the frames to be answered", 60)
    known = [each for each in answers if each.clock_uncertainty < 1e9]
    assert len(known) > FRAMES / 2
    # On their way back the frames are as old as they are.
    assert all(abs(each.clock_offset) < 1e9 for each in known)
    page = scrape(f"{detector.url()}/metrics")
    assert isinstance(page, Scrape)
    count = page.total(f"{MetricName.LATENCY_SECONDS}_count")
    assert count > FRAMES / 2
    assert 0 < page.observed(MetricName.LATENCY_SECONDS) / count < LONGEST_S
    (offset,) = page.samples[MetricName.CLOCK_OFFSET].values()
    assert abs(offset) == pytest.approx(3600, abs=1)
    assert not page.total("emostream_frames_dropped_total", reason="stale")
    assert not page.total("emostream_bad_messages_total")
