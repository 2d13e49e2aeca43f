"""A stage that is behind asks for single frames on real sockets; other subscribers get them all."""

import contextlib
import threading
import time
from collections import Counter, defaultdict
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from emostream.shared.bus import Bus, Publisher, Subscription, frames_hwm
from emostream.shared.config import Live
from emostream.shared.health import Health
from emostream.shared.inbox import FifoInbox, LiveInbox
from emostream.shared.intake import Intake
from emostream.shared.link_pacing import LinkPacer
from emostream.shared.messages import Frame, Message, stamped
from emostream.shared.metrics import StageMetrics
from tests import builders
from tests.conftest import fail_with
from tests.frame_fates import frame_fates

STREAMS = [f"cam{number}" for number in range(8)]
FPS = 25
WORK_S = 0.02
DEADLINE_S = 20.0
MOST_BYTES = 64 * 64 * 3
QUEUE = 10_000


class Cameras(threading.Thread):
    """Publishes frames of all streams until stopped."""

    def __init__(self, publisher: Publisher) -> None:
        super().__init__()
        self._publisher = publisher
        self.stop = threading.Event()
        self.start()

    def run(self) -> None:
        count = 0
        while not self.stop.wait(1 / FPS / len(STREAMS)):
            seq, number = divmod(count, len(STREAMS))
            now = time.time_ns()
            message = builders.frame(seq, stream=STREAMS[number], width=64, height=64, t=now)
            self._publisher.send(stamped(message, "capture", now))
            count += 1

    def end(self) -> None:
        """Publish no more."""
        self.stop.set()
        self.join()


class Detector:
    """A stage that takes longer for a frame than there is."""

    def __init__(self, bus: Bus, endpoint: str) -> None:
        self.metrics = StageMetrics("detector", CollectorRegistry())
        self.intake = Intake(self.metrics, Health(10.0), Live(), Frame, counts_losses=True)
        self.inbox = LiveInbox(self.intake.dropped)
        self.pacer = LinkPacer(["frame/"], 0.2, inbox=self.inbox)
        self.received = 0
        self.answered: Counter[str] = Counter()
        hwm = frames_hwm(len(STREAMS))
        subscription = Subscription([endpoint], ["frame/"], hwm)
        self.receiver = bus.receiver(
            [subscription], self._take, fail_with, self.pacer, self.metrics.clocks
        )

    def _take(self, message: Message) -> None:
        self.received += 1
        self.intake.take(message, self.inbox, Frame, self.pacer)

    def work(self, most: int = 1) -> None:
        """Work on so many frames, or fewer where no more come."""
        for _ in range(most):
            for message in self.inbox.take(1, 0.5):
                self.metrics.accounts.take(message.header)
                self.answered[message.header.stream] += 1
                time.sleep(WORK_S)
                break
            else:
                return

    def fates(self) -> tuple[Counter[str], dict[str, Counter[str]]]:
        """Return the frames that are known of each stream, and how they ended."""
        return frame_fates(self.metrics.accounts)


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_stage_that_is_behind_is_sent_what_it_can_work_on_and_others_everything(
    is_shared: bool,
) -> None:
    everything = FifoInbox()
    local: list[None] = []
    count = partial(local.append, None) if is_shared else None
    with (
        Bus("capture", count_local=count, max_message=MOST_BYTES) as capture,
        Bus("detector", count_local=count, max_message=MOST_BYTES) as bus,
        contextlib.ExitStack() as stack,
    ):
        # With such a queue, a busy machine loses nothing.
        publisher = capture.publisher("tcp://127.0.0.1:*", QUEUE, has_frames=True)
        stack.callback(publisher.close, 0)
        all_of_it = Subscription([publisher.endpoint], ["frame/"], 0)
        stack.callback(bus.receiver([all_of_it], everything.put, fail_with).close)
        detector = Detector(bus, publisher.endpoint)
        stack.callback(detector.receiver.close)
        cameras = Cameras(publisher)
        stack.callback(cameras.end)
        deadline = time.monotonic() + DEADLINE_S
        while not detector.pacer.is_asking:
            assert time.monotonic() < deadline
            detector.work()
        # What had come before is worked off.
        detector.work(2 * len(STREAMS))
        detector.received, detector.answered = 0, Counter()
        local.clear()
        detector.work(10 * len(STREAMS))
        # A fourth of what was sent, and little more.
        assert detector.received < 1.2 * detector.answered.total()
        assert len(local) >= detector.answered.total() * is_shared
        assert max(detector.answered.values()) < 1.5 * min(detector.answered.values())
        cameras.end()
        detector.work(1000)
    known, fates = detector.fates()
    assert {stream: fates[stream].total() for stream in STREAMS} == dict(known)
    assert all(fates[stream]["backlog"] > 10 for stream in STREAMS), fates
    seqs = defaultdict[str, list[int]](list)
    for message in everything.take(100_000, 0):
        seqs[message.header.stream].append(message.header.seq)
    for stream in STREAMS:
        first = seqs[stream][0]
        assert seqs[stream] == list(range(first, first + len(seqs[stream])))
        assert first + len(seqs[stream]) >= known[stream]
