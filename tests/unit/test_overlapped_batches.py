"""The next batch is put together while the model works on one, and each is answered in order."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from emostream.services.classifier.overlap import OverlappedBatch
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Emotion, Message
from emostream.shared.overlapped_work import gather
from tests.unit.test_classifier_stage import Bench, Model, faces


class Slow(Model):
    """Answers once it is let; `begun` has the faces of each call."""

    def __init__(self, name: str = "slow") -> None:
        super().__init__(name=name)
        self.begun: list[int] = []
        self.works, self.may_answer = threading.Event(), threading.Event()

    def predict(self, crops: np.ndarray) -> np.ndarray:
        self.begun.append(len(crops))
        self.works.set()
        assert self.may_answer.wait(10)
        return super().predict(crops)


@pytest.fixture
def worker() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as worker:
        yield worker


def emotions(answers: list[Message]) -> list[Emotion]:
    return [answer.header for answer in answers if isinstance(answer.header, Emotion)]


def test_the_next_batch_comes_together_while_one_is_worked_on(worker: ThreadPoolExecutor) -> None:
    model = Slow()
    bench, inbox = Bench(64, model), FifoInbox()

    def begin(messages: list[Message]) -> OverlappedBatch:
        return OverlappedBatch(messages, messages, bench.stage, worker, list)

    first = begin([faces(0, 1, 2)])
    assert model.works.wait(10)
    waiting = [faces(seq, 1, 2) for seq in (1, 2, 3)]
    came = threading.Thread(target=lambda: [*map(inbox.put, waiting)])
    came.start()
    gathered = gather(inbox, 3, first)
    assert [message.header.seq for message in gathered] == [1, 2, 3], "while the first is worked on"
    second = begin(gathered)
    assert model.begun == [2], "the model works on one batch at a time"
    model.may_answer.set()
    answers = emotions([*first.answer(first.messages), *second.answer(second.messages)])
    assert [answer.seq for answer in answers] == [0, 1, 2, 3]
    assert model.begun == [2, 6]
    came.join()


def test_gathering_ends_with_the_work(worker: ThreadPoolExecutor) -> None:
    model, inbox = Slow(), FifoInbox()
    messages = [faces(0, 1)]
    running = OverlappedBatch(messages, messages, Bench(64, model).stage, worker, list)
    threading.Timer(0.05, model.may_answer.set).start()
    assert gather(inbox, 64, running) == []
    assert running.wait(0)


def test_a_model_that_takes_over_answers_what_was_begun(worker: ThreadPoolExecutor) -> None:
    bench = Bench(64, Model(name="old"))
    seven = Model(tuple("abcdefg"), name="new")
    messages = [faces(0, 1)]
    batch = OverlappedBatch(
        messages, messages, bench.stage, worker, lambda: bench.stage.switch_model(seven)
    )
    (emotion,) = emotions(batch.answer(batch.messages))
    assert (emotion.model, [*emotion.faces[0].probabilities]) == ("new", [*seven.labels])


def test_a_stream_that_went_is_not_answered(worker: ThreadPoolExecutor) -> None:
    messages = [faces(0, 1, label=2, stream="gone"), faces(0, 1, label=3)]
    batch = OverlappedBatch(messages, messages, Bench(64).stage, worker, list)
    (emotion,) = emotions(batch.answer(messages[1:]))
    assert (emotion.stream, emotion.faces[0].label) == ("cam1", "sadness")


def test_what_another_classifier_has_answered_is_neither_classified_nor_answered(
    worker: ThreadPoolExecutor,
) -> None:
    model = Slow()
    model.may_answer.set()
    messages = [faces(0, 1, 2), faces(1, 1)]
    batch = OverlappedBatch(messages, messages[1:], Bench(64, model).stage, worker, list)
    assert [answer.seq for answer in emotions(batch.answer(messages))] == [1]
    assert model.begun == [1]
    assert batch.messages == messages, "all of them are accounted for"
