"""The loop of a gateway: batches side by side, answered in order, and the rest left to age."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
from prometheus_client import CollectorRegistry

from emostream.services.classifier.overlap import OverlappedBatch
from emostream.shared.bad_messages import BadMessages
from emostream.shared.config import Live
from emostream.shared.health import Health
from emostream.shared.inbox import LiveInbox
from emostream.shared.intake import Intake
from emostream.shared.messages import Emotion, Faces, Message
from emostream.shared.metrics import StageMetrics
from emostream.shared.sums import Sums
from emostream.shared.work_loop import WorkLoop
from tests.builders import Clock
from tests.unit.test_classifier_stage import Bench, Model, faces

PLACES = 2


class Held(Model):
    """Answers a batch once the test lets it; `running` has the frames, by their brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.running: list[int] = []
        self.began = threading.Condition()
        self.may_answer = [threading.Event() for _ in range(8)]

    def predict(self, crops: np.ndarray) -> np.ndarray:
        number = int(crops[0, 0, 0])
        with self.began:
            self.running.append(number)
            self.began.notify_all()
        assert self.may_answer[number].wait(10)
        return super().predict(crops)


class Loop:
    """A loop on its own thread, whose places are `PLACES`."""

    def __init__(self) -> None:
        self.model = Held()
        self.bench = Bench(1, self.model)
        metrics, health = StageMetrics("classifier", CollectorRegistry()), Health(10)
        intake = Intake(metrics, health, Live(), Faces, counts_losses=False)
        self.stop = threading.Event()
        self.dropped: Counter[str] = Counter()
        self.clock = Clock()
        self.inbox = LiveInbox(self._drop, backlog=3, clock=self.clock)
        self.answers: list[Emotion] = []
        self.answered, self.looked = threading.Condition(), threading.Condition()
        self.looks = 0
        self.loop = WorkLoop(
            "classifier", Faces, False, metrics, health, intake, Sums(metrics.accounts, Faces),
            BadMessages(metrics), self.stop, lambda: None,
        )  # fmt: skip
        self.worker = ThreadPoolExecutor(4)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def send(self, message: Message) -> None:
        """Publish an answer."""
        if isinstance(message.header, Emotion) and message.header.is_data:
            with self.answered:
                self.answers.append(message.header)
                self.answered.notify_all()

    def put(self, *numbers: int) -> None:
        """Let frames come whose one face is that bright."""
        for number in numbers:
            self.loop.intake.take(faces(number, 1, label=number), self.inbox, Faces)

    def wait_for(self, *running: int) -> None:
        """Wait until the model has begun with these frames, in whatever order."""
        with self.model.began:
            assert self.model.began.wait_for(lambda: len(self.model.running) >= len(running), 10)
            assert sorted(self.model.running) == sorted(running)

    def wait_answers(self, count: int) -> list[int]:
        """Wait for so many answers; return their numbers."""
        with self.answered:
            assert self.answered.wait_for(lambda: len(self.answers) >= count, 10)
            return [answer.seq for answer in self.answers]

    def end(self) -> None:
        """Let everything be answered, and stop."""
        for event in self.model.may_answer:
            event.set()
        self.stop.set()
        self.thread.join(10)
        self.worker.shutdown()
        assert not self.thread.is_alive()

    def wait_for_looks(self, count: int) -> None:
        """Wait until the loop has looked for a free place so many times more."""
        with self.looked:
            end = self.looks + count
            assert self.looked.wait_for(lambda: self.looks >= end, 10)

    def _places(self) -> int:
        with self.looked:
            self.looks += 1
            self.looked.notify_all()
        return PLACES

    def _drop(self, message: Message, reason: str) -> None:
        self.dropped[reason] += 1

    def _run(self) -> None:
        def begin(messages: list[Message]) -> OverlappedBatch:
            return OverlappedBatch(messages, messages, self.bench.stage, self.worker, list)

        self.loop.run_in_flight(
            self.inbox, begin, cast(Any, self), limit=1, linger=0.0, places=self._places
        )


def test_batches_run_side_by_side_and_are_answered_in_order() -> None:
    loop = Loop()
    try:
        loop.put(0, 1)
        loop.wait_for(0, 1)
        loop.model.may_answer[1].set()
        assert loop.answers == [], "the one before it comes first"
        loop.model.may_answer[0].set()
        assert loop.wait_answers(2) == [0, 1]
    finally:
        loop.end()


def test_what_finds_no_place_waits_in_the_inbox_and_is_dropped_there() -> None:
    loop = Loop()
    try:
        loop.put(0, 1)
        loop.wait_for(0, 1)
        loop.put(2, 3)
        loop.wait_for_looks(2)
        loop.clock.now += 0.1
        assert len(loop.inbox) == 2
        assert round(loop.inbox.longest_wait(), 3) == 0.1
        loop.put(4, 5)
        assert loop.dropped == {"backlog": 3}, "the newest one wins"
        loop.wait_for(0, 1)
        for event in loop.model.may_answer:
            event.set()
        assert loop.wait_answers(3) == [0, 1, 5]
    finally:
        loop.end()


def test_what_was_begun_is_answered_before_the_end() -> None:
    loop = Loop()
    loop.put(0, 1)
    loop.wait_for(0, 1)
    loop.stop.set()
    assert loop.thread.is_alive()
    loop.end()
    assert [answer.seq for answer in loop.answers] == [0, 1]
