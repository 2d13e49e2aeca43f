"""The model: streams through detectors, links and classifiers to the subscribers."""

import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, cast

import numpy as np
import simpy

from benchmarks.simulate.figures import Failure, Figures, Plant
from benchmarks.simulate.outcome import Outcome
from benchmarks.simulate.processes import (
    Cores,
    HandOn,
    Link,
    OwnCores,
    PauseEffect,
    Server,
    SharedCores,
    Steps,
    Work,
)
from emostream.shared.config import Config
from emostream.shared.inbox import LiveInbox
from emostream.shared.messages import Message

# The interval in which faces come and go.
FACES_STAY_S: Final = 5.0
# How many messages of an unanswered stream a standby holds.
HELD: Final = 40
HAND_BACK_S: Final = 3.0
# The standard deviation of a frame's capture time, in s.
JITTER: Final = 0.002


class Simulation:
    """All streams of a plant for `seconds` after `warm_up`."""

    def __init__(
        self, figures: Figures, plant: Plant, seconds: float, warm_up: float, seed: int = 1
    ) -> None:
        self._figures = figures
        self._plant = plant
        self._from, self._until = warm_up, warm_up + seconds
        self._random = random.Random(seed)
        self._live = Config().live
        self._takeover_s = Config().classifier.takeover_after
        self._env = simpy.Environment()
        self._outcome = Outcome(seconds)
        env = self._env
        self._cores: Cores = OwnCores(env)
        if plant.cores:
            self._cores = SharedCores(env, plant.cores, plant.other_cores, self._random)
        self._consumer = self._server("consumer", self._consumer_cost, self._answered, 8)
        self._classifiers = [self._answering("classifier") for _ in range(plant.classifiers)]
        self._standbys = [self._answering("standby") for _ in range(plant.standbys)]
        self._held: dict[int, dict[str, deque[Work]]] = {}
        self._taken_over: set[int] = set()
        count = -(-plant.streams // plant.streams_per_detector)
        self._detectors = [self._detector(number) for number in range(count)]
        for number in range(plant.streams):
            env.process(self._stream(number))
        for failure in plant.failures:
            env.process(self._failure(failure))

    def run(self) -> Outcome:
        """Run the simulation, and return its outcome."""
        self._env.run(self._from)
        servers = (self._detectors, self._classifiers)
        before = [[server.busy for server in kind] for kind in servers]
        self._env.run(self._until)
        shares = [
            [
                (server.busy - busy) / self._outcome.seconds
                for server, busy in zip(kind, values, strict=True)
            ]
            for kind, values in zip(servers, before, strict=True)
        ]
        # Give frames in transit time to arrive.
        self._env.run(self._until + 2.0)
        detectors, classifiers = (np.array(values) for values in shares)
        self._outcome.busy = (
            *(float(detectors.max()), float(detectors.mean())),
            *(float(classifiers.max()), float(classifiers.mean())),
        )
        return self._outcome

    def _server(
        self,
        place: str,
        cost: Callable[[list[Work]], float],
        hand_on: HandOn,
        limit: int = 1,
        linger: float = 0.0,
    ) -> Server:
        inbox = LiveInbox(
            partial(self._dropped, place),
            10**6 if place in ("consumer", "standby") else self._live.backlog,
            10**6 if place in ("consumer", "standby") else self._live.max_age_ms / 1000,
            lambda: cast("float", self._env.now),
        )
        effect = PauseEffect(self._figures.usual_pause_ms / 1000, self._figures.pause_exponent)

        def slowed(works: list[Work], pause: float) -> float:
            return cost(works) * effect.factor(pause)

        server = Server(self._env, self._cores, inbox, slowed, hand_on, limit=limit, linger=linger)
        server.lost = partial(self._count_lost, f"{place} away")
        return server

    def _answering(self, place: str) -> Server:
        """Return a classifier or standby."""
        plant = self._plant
        return self._server(
            place, self._classifier_cost, self._result, plant.max_batch, plant.max_wait_ms / 1000
        )

    def _detector(self, number: int) -> Server:
        plant = self._plant
        link = Link(
            self._env,
            plant.link_mbit * 1e6,
            plant.link_ms / 1000 + self._figures.hop_ms / 1000,
            self._live.max_age_ms / 1000,
            partial(self._count_lost, "link"),
        )
        classifier = number % plant.classifiers
        figures = self._figures

        def send(work: Work) -> None:
            size = figures.faces_message_bytes + figures.face_bytes * work.faces
            link.send(work, size, partial(self._to_classifier, classifier))

        return self._server("detector", self._detector_cost, send)

    def _stream(self, number: int) -> Steps:
        """Capture frames of a stream; their faces change at intervals."""
        plant, env = self._plant, self._env
        detector = self._detectors[number // plant.streams_per_detector]
        topic, step = f"frame/{number}/", 1 / plant.fps
        due = (plant.phases[number] if plant.phases else self._random.random()) * step
        yield env.timeout(due)
        faces, change = self._faces(), self._random.random() * FACES_STAY_S
        while env.now < self._until:
            if env.now >= change:
                faces, change = self._faces(), env.now + self._random.expovariate(1 / FACES_STAY_S)
            work = Work(topic, env.now, faces)
            if self._is_measured(work):
                self._outcome.captured += 1
            env.process(self._capture(work, detector))
            due += step
            yield env.timeout(max(0.0, due + self._random.gauss(0, JITTER) - env.now))

    def _capture(self, work: Work, detector: Server) -> Steps:
        """Pass on a frame, and decode the next one, whose age starts after that.

        Each source has a separate thread, so no other source waits.
        """
        self._env.process(self._cores.work(self._figures.capture_ms / 1000))
        yield self._env.timeout(self._figures.hop_ms / 1000)
        detector.put(work)

    def _faces(self) -> int:
        """Return a random number of faces in a stream (Poisson)."""
        mean = self._plant.faces
        if not self._plant.vary:
            return round(mean)
        limit, count, product = np.exp(-mean), 0, self._random.random()
        while product > limit:
            count, product = count + 1, product * self._random.random()
        return count

    def _detector_cost(self, works: list[Work]) -> float:
        figures = self._figures
        faces = sum(work.faces for work in works)
        return (figures.detector_ms * len(works) + figures.detector_face_ms * faces) / 1000

    def _classifier_cost(self, works: list[Work]) -> float:
        figures = self._figures
        faces = sum(work.faces for work in works)
        return (figures.classifier_ms * len(works) + figures.classifier_face_ms * faces) / 1000

    def _consumer_cost(self, works: list[Work]) -> float:
        return self._figures.consumer_ms * len(works) / 1000

    def _to_classifier(self, number: int, work: Work) -> None:
        if number in self._taken_over:
            self._standbys[number % len(self._standbys)].put(work)
        elif number in self._held:
            streams = self._held[number]
            held = streams.setdefault(work.topic, deque())
            held.append(work)
            if len(held) > HELD:
                self._count_lost("standby", held.popleft())
        else:
            self._classifiers[number].put(work)

    def _result(self, work: Work) -> None:
        arrival = self._env.timeout((self._plant.link_ms + self._figures.hop_ms) / 1000, work)
        arrival.callbacks.append(lambda event: self._arrived(event.value))

    def _arrived(self, work: Work) -> None:
        """Count an answer at the subscribers, and pass it to recorder and display."""
        if self._is_measured(work):
            self._outcome.answered += 1
        if self._from <= self._env.now < self._until:
            self._outcome.ages.append(self._env.now - work.captured)
        if self._plant.cores:
            self._consumer.put(work)

    def _answered(self, work: Work) -> None:
        """Do nothing: the recorder and display are done with it."""

    def _failure(self, failure: Failure) -> Steps:
        """Kill a classifier; a standby takes over, and hands back."""
        env, number = self._env, failure.classifier
        classifier = self._classifiers[number]
        yield env.timeout(failure.at_s)
        classifier.clear()
        classifier.is_away = True
        if not self._standbys:
            yield env.timeout(failure.away_s)
            classifier.is_away = False
            return
        self._held[number] = {}
        yield env.timeout(min(failure.away_s, self._takeover_s))
        self._taken_over.add(number)
        for held in self._held.pop(number).values():
            for work in held:
                self._to_classifier(number, work)
        yield env.timeout(max(0.0, failure.away_s - self._takeover_s) + HAND_BACK_S)
        classifier.is_away = False
        self._taken_over.discard(number)

    def _dropped(self, place: str, message: Message, reason: str) -> None:
        self._count_lost(f"{place} {reason}", cast("Work", message))

    def _count_lost(self, place: str, work: Work) -> None:
        if self._is_measured(work):
            self._outcome.dropped[place] += 1

    def _is_measured(self, work: Work) -> bool:
        return self._from <= work.captured < self._until
