"""A stage that is behind asks for single frames, as it has room; every frame is accounted for."""

from collections import Counter

import pytest
from prometheus_client import CollectorRegistry

from emostream.shared.asking import PATIENCE_AT_MOST_S, Asking
from emostream.shared.config import Live
from emostream.shared.health import Health
from emostream.shared.inbox import LiveInbox
from emostream.shared.intake import Intake
from emostream.shared.link_pacing import LinkPacer
from emostream.shared.messages import Frame
from emostream.shared.metrics import StageMetrics
from emostream.shared.requests import Requests
from tests.builders import Clock, frame
from tests.frame_fates import frame_fates

STEP_S = 0.002
MAX_AGE_S = 0.2


class Stage:
    """Cameras of the given frames/s, and a stage that takes `seconds` for each frame."""

    def __init__(self, cameras: list[float], seconds: float) -> None:
        self.seconds = seconds
        self.clock = Clock()
        self.registry = CollectorRegistry()
        self.metrics = StageMetrics("detector", self.registry)
        self.intake = Intake(
            self.metrics, Health(10.0, clock=self.clock), Live(), Frame, counts_losses=True,
            clock=self.clock, wall=self.wall,
        )  # fmt: skip
        self.inbox = LiveInbox(self.intake.dropped, 3, MAX_AGE_S, self.clock)
        self.pacer = LinkPacer(["frame/"], MAX_AGE_S, self.clock, self.wall, self.inbox)
        self.cameras = cameras
        self.due = [self.clock.now + number / 97 for number in range(len(cameras))]
        self.knows_requests = True
        self.requests = Requests()
        self.subscribed: frozenset[str] = frozenset()
        self.free_at = 0.0
        self.sent: Counter[str] = Counter()
        self.reset()

    def reset(self) -> None:
        """Forget what was seen so far."""
        self.received = 0
        self.answered: Counter[str] = Counter()
        self.ages: list[float] = []
        self.modes = [self.pacer.is_asking]

    def wall(self) -> int:
        return round(1e9 * (self.clock.now + 1000))

    def run(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now += STEP_S
            self._subscribe()
            for number, rate in enumerate(self.cameras):
                if rate and self.clock.now >= self.due[number]:
                    self.due[number] = max(self.due[number], self.clock.now - 1) + 1 / rate
                    self._publish(f"cam{number}")
            self._work()
            if self.pacer.is_asking != self.modes[-1]:
                self.modes.append(self.pacer.is_asking)

    def _subscribe(self) -> None:
        wanted = self.pacer.wanted()
        for topic in self.subscribed - wanted:
            self.requests.remove(topic)
        for topic in wanted - self.subscribed if self.knows_requests else ():
            self.requests.add(topic, 1)
        self.subscribed = wanted

    def _publish(self, stream: str) -> None:
        now, count = self.wall(), self.sent[stream]
        marks = {"capture": (now, now)}
        message = frame(count, stream=stream, sent=count, publisher="p", t=now, marks=marks)
        self.sent[stream] += 1
        for topic in [message.topic, *self.requests.take(message.topic)]:
            if topic.startswith(tuple(self.subscribed)):
                self.received += 1
                self.pacer.answered(topic.encode())
                if not self.pacer.skips(message):
                    self.intake.take(message, self.inbox, Frame, self.pacer)
                self._subscribe()

    def _work(self) -> None:
        if self.clock.now < self.free_at:
            return
        for message in self.inbox.take(1, 0):
            self.free_at = self.clock.now + self.seconds
            self.metrics.accounts.take(message.header)
            self.answered[message.header.stream] += 1
            self.ages.append(self.free_at + 1000 - message.header.t / 1e9)

    def unfairness(self) -> float:
        counts = [self.answered[f"cam{number}"] for number in range(len(self.cameras))]
        return max(counts) / min(counts)

    def check_accounts(self) -> None:
        """Every frame up to the last one of each stream has one fate, and none was lost."""
        self.cameras = [0.0] * len(self.cameras)
        self.run(1)
        known, fates = frame_fates(self.metrics.accounts)
        for stream, sent in self.sent.items():
            assert fates[stream].total() == known[stream], fates[stream]
            assert 0 <= sent - known[stream] <= 300
            assert fates[stream]["lost"] == 0
            counted = self.registry.get_sample_value(
                "emostream_frames_dropped_total",
                {"stage": "detector", "stream": stream, "reason": "backlog"},
            )
            assert counted == fates[stream]["backlog"]


@pytest.mark.parametrize(
    ("streams", "fps", "seconds"), [(10, 25, 0.015), (32, 15, 0.008), (4, 25, 0.06), (1, 30, 0.1)]
)
def test_in_overload_a_stage_gets_what_it_can_work_on(
    streams: int, fps: float, seconds: float
) -> None:
    stage = Stage([fps] * streams, seconds)
    stage.run(3)
    stage.reset()
    before = stage.sent.total()
    stage.run(20)
    assert stage.modes == [True]
    assert stage.answered.total() > 0.9 * 20 / (seconds + STEP_S)
    # Only requested messages are sent, except for a quarter of a second in five.
    listened = 0.06 * (stage.sent.total() - before)
    assert stage.received < 1.02 * stage.answered.total() + listened + 3
    assert max(stage.ages) < 0.25
    assert stage.unfairness() < 1.2
    assert stage.inbox.is_behind
    stage.check_accounts()


def test_a_little_too_much_is_dropped_as_before() -> None:
    stage = Stage([25.0] * 3, 0.014)
    stage.run(60)
    assert stage.modes == [False]
    stage.check_accounts()


def test_once_the_stage_keeps_up_it_gets_every_frame_again() -> None:
    stage = Stage([25.0] * 10, 0.015)
    stage.run(5)
    stage.seconds = 0.002
    stage.run(5)
    assert stage.modes == [False, True, False]
    before = stage.answered.total(), stage.sent.total()
    stage.run(30)
    assert stage.modes == [False, True, False]
    assert not stage.inbox.is_behind
    assert stage.answered.total() - before[0] >= stage.sent.total() - before[1] - 2
    stage.check_accounts()


def test_slow_and_silent_cameras_hold_up_no_others() -> None:
    stage = Stage([25.0] * 6 + [1.0] * 4 + [25.0], 0.015)
    stage.run(5)
    stage.cameras[-1] = 0.0
    stage.reset()
    stage.run(20)
    assert stage.answered.total() > 0.9 * 20 / (0.015 + STEP_S)
    assert all(stage.answered[f"cam{number}"] >= 18 for number in range(6, 10))
    stage.check_accounts()


def test_a_new_camera_is_found_by_a_stage_that_is_behind() -> None:
    stage = Stage([25.0] * 10 + [0.0], 0.015)
    stage.run(5)
    stage.cameras[-1] = 25.0
    stage.run(8)
    stage.reset()
    stage.run(10)
    assert stage.unfairness() < 1.2
    stage.check_accounts()


def test_a_new_slow_camera_among_fast_ones_is_found_too() -> None:
    stage = Stage([25.0] * 20 + [0.0], 0.015)
    stage.run(5)
    stage.cameras[-1] = 2.0
    stage.run(20)
    stage.reset()
    stage.run(10)
    assert stage.modes == [True]
    assert stage.answered["cam20"] >= 18
    stage.check_accounts()


def test_of_a_publisher_that_knows_no_requests_frames_go_on() -> None:
    stage = Stage([25.0] * 10, 0.015)
    stage.knows_requests = False
    stage.run(30)
    assert stage.modes == [False, True, False]
    assert stage.answered.total() > 0.8 * 30 / (0.015 + STEP_S)


def test_of_a_publisher_that_knows_no_requests_any_more_frames_go_on() -> None:
    stage = Stage([25.0] * 10, 0.015)
    stage.run(10)
    stage.knows_requests = False
    stage.requests = Requests()
    stage.reset()
    stage.run(30)
    assert stage.modes == [True, False, True, False]
    assert stage.answered.total() > 0.8 * 30 / (0.015 + STEP_S)


def test_a_stage_that_stood_still_gets_all_frames_again() -> None:
    stage = Stage([25.0] * 4, 0.005)
    stage.run(3)
    stage.free_at = stage.clock.now + 5
    stage.run(15)
    assert not stage.pacer.is_asking
    before = stage.answered.total(), stage.sent.total()
    stage.run(10)
    assert stage.answered.total() - before[0] >= stage.sent.total() - before[1] - 2
    stage.check_accounts()


def test_a_lost_request_is_repeated_after_a_minute_even_if_the_last_answer_took_as_long() -> None:
    clock = Clock()
    asking = Asking(["frame/"], clock)
    # After each lost request, the next one has more time.
    for _ in range(10):
        asking.ask(1, 0.25)
        clock.now += PATIENCE_AT_MOST_S + 1
    asking.ask(1, 0.25)
    (pending,) = asking.subscriptions
    clock.now += PATIENCE_AT_MOST_S - 1
    asking.answered(f"{pending}cam0/")
    asking.ask(1, 0.25)
    (pending,) = asking.subscriptions
    clock.now += PATIENCE_AT_MOST_S + 1
    asking.ask(1, 0.25)
    assert asking.subscriptions != {pending}
