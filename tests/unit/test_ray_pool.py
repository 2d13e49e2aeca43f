"""The pool of a gateway: who gets which batch, what if an actor dies, and how many there are."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from emostream.models.model_choice import ModelChoice
from emostream.models.ray_pool import member
from emostream.models.ray_pool.cluster import cluster
from emostream.models.ray_pool.member import STUCK_S, ActorLostError
from emostream.models.ray_pool.pool import ActorPool
from emostream.models.ray_pool.scaling import Scaling
from emostream.models.ray_pool.served import ModelNotOpenError, Opened, ServedModel
from emostream.shared.errors import BusError, ModelError, WeightsError
from tests.builders import Clock

FACES = np.zeros((2, 64, 64), np.uint8)
ANSWER = np.full((2, 8), 0.125, np.float32)


def served(number: int = 1) -> ServedModel:
    return ServedModel(number, ModelChoice("alexnet-fer", "litert", "cpu"), "0a1b")


class FakeActor:
    """An actor whose process the test kills; `calls` are the batches that it has not answered."""

    serials = itertools.count()

    def __init__(self) -> None:
        self.models: set[int] = set()
        self.calls: list[Future[Any]] = []
        self.opens: list[Future[Any]] = []
        self.opens_late = self.is_ended = False
        self.batch_seconds = 100.0  # so that nothing takes too long, unless a test says so
        self.process = ""
        self.refuses: Exception | None = None
        self.come_back()

    def come_back(self) -> None:
        self.process, self.models = f"host:{next(self.serials)}", set()

    def open(self, model: ServedModel) -> "Future[Opened]":
        future: Future[Opened] = Future()
        self.opens.append(future)
        if self.refuses:
            future.set_exception(self.refuses)
        elif not self.opens_late:
            self.models.add(model.number)
            future.set_result(Opened(self.process, "cpu", self.batch_seconds))
        return future

    def predict(self, number: int, faces: np.ndarray) -> "Future[Any]":
        future: Future[Any] = Future()
        if number not in self.models:
            future.set_exception(ModelNotOpenError("not here"))
        else:
            self.calls.append(future)
        return future

    def die(self) -> None:
        """Lose the process and what it was given, and come back without a model."""
        lost, self.calls = self.calls, []
        self.come_back()
        for call in lost:
            call.set_exception(ActorLostError("killed"))

    def restart(self) -> None:
        self.die()

    def end(self) -> None:
        self.is_ended = True


class HastyActor(FakeActor):
    """One that says that its batches take no time."""

    def __init__(self) -> None:
        super().__init__()
        self.batch_seconds = 0.0


class Bench:
    """A pool of fake actors, and what it counted."""

    def __init__(
        self, least: int = 2, most: int = 4, make: Callable[[], FakeActor] = FakeActor
    ) -> None:
        self.clock = Clock()
        self.actors: list[FakeActor] = []
        self.make = make
        self.counts = {"restarted": 0, "replaced": 0, "here": 0}
        scaling = Scaling(least, most, 0.05, 30.0, self.clock)
        self.pool = ActorPool(self.start, scaling, self, clock=self.clock)
        self.pool.serve(served())
        self.pool.tend(0.0)
        self.threads = ThreadPoolExecutor(16)

    def start(self) -> FakeActor:
        self.actors.append(self.make())
        return self.actors[-1]

    def begin(self) -> "Future[Any]":
        """Begin a batch, and wait until an actor has it, or nobody can."""
        sent = self.sent
        batch = self.threads.submit(self.pool.predict, 1, FACES)
        while self.sent == sent and not batch.done():
            pass
        return batch

    @property
    def sent(self) -> int:
        return sum(len(actor.calls) for actor in self.actors)

    def restarted(self) -> None:
        self.counts["restarted"] += 1

    def replaced(self) -> None:
        self.counts["replaced"] += 1

    def answered_here(self) -> None:
        self.counts["here"] += 1


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    for call in [call for actor in bench.actors for call in actor.calls]:
        if not call.done():
            call.set_result(ANSWER)
    bench.threads.shutdown()


def answer(actor: FakeActor) -> None:
    actor.calls.pop(0).set_result(ANSWER)


def test_batches_go_to_the_actor_with_the_fewest_and_no_more_than_fit(bench: Bench) -> None:
    assert (bench.pool.warm, bench.pool.places) == (2, 4)
    batches = [bench.begin() for _ in range(4)]
    first, second = bench.actors
    assert (len(first.calls), len(second.calls)) == (2, 2)
    fifth = bench.threads.submit(bench.pool.predict, 1, FACES)
    assert (len(first.calls), len(second.calls)) == (2, 2), "it waits for a place"
    answer(second)
    while len(second.calls) < 2:
        assert not fifth.done()
    for actor in (first, first, second, second):
        answer(actor)
    assert all(np.array_equal(batch.result(10), ANSWER) for batch in [*batches, fifth])


def test_the_batches_of_a_dead_actor_go_to_another_until_it_has_the_model_again(
    bench: Bench,
) -> None:
    batch = bench.begin()
    victim, other = bench.actors
    victim.opens_late = True
    victim.die()
    while not other.calls:
        assert not batch.done()
    answer(other)
    assert np.array_equal(batch.result(10), ANSWER)
    assert bench.counts == {"restarted": 1, "replaced": 1, "here": 0}
    bench.pool.tend(0.0)
    assert (bench.pool.warm, bench.pool.starting) == (1, 1)
    victim.models.add(1)
    victim.opens[-1].set_result(Opened(victim.process, "cpu", 100.0))
    assert (bench.pool.warm, bench.pool.places) == (2, 4)


def test_what_fails_late_of_a_dead_process_does_not_count_against_the_next(bench: Bench) -> None:
    victim, other = bench.actors
    victim.opens_late = True
    batch = bench.begin()
    victim.die()
    while not other.calls:
        assert not batch.done()
    answer(other)
    bench.pool.tend(0.0)
    early = victim.opens[-1]
    bench.clock.now += 1
    bench.pool.tend(0.0)
    assert victim.opens[-1] is not early
    victim.models.add(1)
    victim.opens[-1].set_result(Opened(victim.process, "cpu", 100.0))
    early.set_exception(ActorLostError("it was asked of the dead process"))
    assert (bench.pool.warm, bench.counts["restarted"]) == (2, 1)
    assert np.array_equal(batch.result(10), ANSWER)


def test_an_actor_that_died_unnoticed_is_found_out_by_its_next_batch(bench: Bench) -> None:
    victim, other = bench.actors
    victim.come_back()
    batch = bench.begin()
    answer(other)
    assert np.array_equal(batch.result(10), ANSWER)
    assert bench.counts["restarted"] == 1
    bench.pool.tend(0.0)
    assert victim.models == {1}
    assert bench.pool.warm == 2


def test_an_actor_that_is_silent_gets_nothing_more_and_is_replaced_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(member, "PATIENCE_S", 0.01)
    bench = Bench(make=HastyActor)
    other = bench.actors[1]
    other.batch_seconds = 100.0
    bench.pool.serve(served())
    batch = bench.begin()
    while not other.calls:
        assert not batch.done()
    answer(other)
    assert np.array_equal(batch.result(10), ANSWER)
    assert bench.pool.warm == 1
    bench.pool.tend(0.0)
    assert bench.pool.warm == 1, "it says that it is there, and has not answered"
    assert bench.counts == {"restarted": 0, "replaced": 1, "here": 0}
    bench.clock.now += STUCK_S
    bench.pool.tend(0.0)
    bench.pool.tend(0.0)
    assert bench.counts["restarted"] == 1
    assert bench.pool.warm == 2


def test_an_actor_that_answers_late_gets_batches_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "PATIENCE_S", 0.01)
    bench = Bench(1, 1, HastyActor)
    (slow,) = bench.actors
    assert bench.pool.predict(1, FACES) is None, "the model runs in the gateway"
    assert (bench.pool.warm, bench.pool.places, bench.counts["here"]) == (0, 1, 1)
    answer(slow)
    assert bench.pool.warm == 1


def test_without_an_actor_nobody_waits() -> None:
    bench = Bench()
    for actor in bench.actors:
        actor.opens_late = True
        actor.die()
    bench.pool.tend(0.0)
    assert bench.pool.predict(1, FACES) is None
    assert bench.pool.predict(1, FACES) is None, "both were asked by now"
    assert bench.pool.warm == 0


def test_a_model_that_fails_fails_as_it_does_here(bench: Bench) -> None:
    batch = bench.begin()
    bench.actors[0].calls.pop().set_exception(ModelError("no memory"))
    with pytest.raises(ModelError, match="no memory"):
        batch.result(10)
    assert bench.counts == {"restarted": 0, "replaced": 0, "here": 0}


def test_another_model_is_opened_while_the_first_one_answers(bench: Bench) -> None:
    bench.pool.serve(served(2), within=10)
    for number in (1, 2):
        batch: Future[Any] = bench.threads.submit(bench.pool.predict, number, FACES)
        while not bench.actors[0].calls:
            pass
        answer(bench.actors[0])
        assert np.array_equal(batch.result(10), ANSWER)
    for actor in bench.actors:
        actor.refuses = WeightsError("another sha256")
    with pytest.raises(WeightsError, match="no Ray actor can open the model: another sha256"):
        bench.pool.serve(served(3), within=10)
    assert bench.pool.warm == 2, "with the second model"


def test_the_pool_grows_with_the_age_of_what_waits_and_shrinks_when_one_is_idle() -> None:
    bench = Bench(1, 2)
    assert len(bench.actors) == 1
    for _ in range(3):
        bench.clock.now += 0.5
        bench.pool.tend(0.08)
    assert len(bench.actors) == 2
    for _ in range(16):
        bench.clock.now += 2
        bench.pool.tend(0.0)
    assert [actor.is_ended for actor in bench.actors].count(True) == 1
    assert (bench.pool.warm, bench.pool.starting) == (1, 0)


@pytest.mark.parametrize(
    ("actors", "starting", "age", "busiest", "seconds", "wanted"),
    [
        (2, 0, 0.049, 2, 60, 2),  # young enough, and all of them have work
        (2, 0, 0.051, 2, 2, 3),
        (2, 1, 0.051, 2, 2, 2),  # one more is coming
        (4, 0, 1.0, 8, 2, 4),  # there are no more
        (3, 0, 0.0, 2, 29, 3),
        (3, 0, 0.0, 2, 31, 2),  # two of them were enough
        (3, 0, 0.06, 2, 31, 4),  # not if faces wait
        (1, 0, 0.0, 0, 60, 1),  # the least
        (0, 0, 0.0, 0, 1, 1),
    ],
)
def test_how_many_actors_there_should_be(
    actors: int, starting: int, age: float, busiest: int, seconds: int, wanted: int
) -> None:
    clock = Clock()
    scaling = Scaling(1, 4, 0.05, 30, clock)
    told = []
    for _ in range(10 * seconds):
        clock.now += 0.1
        told.append(scaling.wanted(actors, starting, age, busiest))
    assert wanted in told
    assert all(each in (actors, wanted) for each in told)


def test_looks_count_by_the_time_between_them() -> None:
    clock = Clock()
    scaling = Scaling(1, 4, 0.05, 30, clock)
    told = []
    for _ in range(4):
        for age, seconds in ((0.2, 0.2), *[(0.0, 0.001)] * 100):
            clock.now += seconds
            told.append(scaling.wanted(1, 0, age, 1))
    assert 2 in told, "old for 0.2 of 0.3 s, though one look in a hundred sees it"


def test_one_late_frame_is_no_lack_of_actors() -> None:
    clock = Clock()
    scaling = Scaling(1, 4, 0.05, 30, clock)
    for age in (0.0, 0.0, 0.15, *[0.0] * 20):
        clock.now += 0.1
        assert scaling.wanted(1, 0, age, 1) == 1


def test_an_address_without_a_cluster_is_refused_at_once() -> None:
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1"):
        with pytest.raises(BusError, match=f"no Ray cluster at {address}: .*refused"):
            with cluster("a test", address):
                pass
