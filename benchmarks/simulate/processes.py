"""The parts of the simulation: a stage's process with its inbox, shared cores, and a link."""

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias, cast

import simpy

from emostream.shared.inbox import LiveInbox
from emostream.shared.messages import Message

# The time slice of a process.
SLICE_S: Final = 0.003
# A pause shorter than this has no further effect.
SHORTEST_PAUSE_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class _Header:
    is_data: bool = True


HEADER: Final = _Header()


@dataclass(slots=True)
class Work:
    """A frame in transit: its stream's topic, its capture time (s), and its faces.

    It has the message fields that an inbox reads.
    """

    topic: str
    captured: float
    faces: int
    header: _Header = field(default=HEADER)


# A process of the simulation.
Steps: TypeAlias = Generator[simpy.Event, Any, None]
# The CPU time of a batch after a pause, both in s.
Cost: TypeAlias = Callable[[list[Work], float], float]
HandOn: TypeAlias = Callable[[Work], None]


class Cores(Protocol):
    """The cores that processes compute on."""

    def work(self, seconds: float) -> Steps:
        """Compute for this long."""


class OwnCores:
    """A core for each process."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env

    def work(self, seconds: float) -> Steps:
        """Compute for this long."""
        yield self._env.timeout(seconds)


class SharedCores:
    """A number of cores shared by all processes in turn; other programs take `others` of them."""

    def __init__(
        self, env: simpy.Environment, count: int, others: float, chance: random.Random
    ) -> None:
        self._env = env
        self._cores = simpy.Resource(env, count)
        self._chance = chance
        for _ in range(count):
            env.process(self._other(min(others / count, 0.95)))

    def _other(self, share: float) -> Steps:
        """Take a share of a core at random times."""
        while share:
            yield from self.work(SLICE_S)
            yield self._env.timeout(self._chance.expovariate(share / (1 - share) / SLICE_S))

    def work(self, seconds: float) -> Steps:
        """Compute for this long, waiting for a core before each slice."""
        while seconds > 0:
            with self._cores.request() as turn:
                yield turn
                step = min(seconds, SLICE_S)
                yield self._env.timeout(step)
            seconds -= step


@dataclass(frozen=True)
class PauseEffect:
    """How much slower a process is after a pause, when the caches hold the data of others.

    CPU time grows with the power `exponent` of the pause; it is as given after `usual` s.
    """

    usual: float
    exponent: float

    def factor(self, pause: float) -> float:
        """Return the factor of the CPU time after a pause in s."""
        return float((max(pause, SHORTEST_PAUSE_S) / self.usual) ** self.exponent)


class Server:
    """A stage's process: takes waiting frames, processes them, and passes them on.

    `limit` and `linger` (s) are those of its loop; `cost` is the CPU time of a batch in s. `busy`
    is its total computing time. While it `is_away`, arriving frames are `lost`.
    """

    def __init__(
        self,
        env: simpy.Environment,
        cores: Cores,
        inbox: LiveInbox,
        cost: Cost,
        hand_on: HandOn,
        *,
        limit: int = 1,
        linger: float = 0.0,
    ) -> None:
        self._env = env
        self._cores = cores
        self.inbox = inbox
        self._cost = cost
        self._hand_on = hand_on
        self._limit = limit
        self._linger = linger
        self._arrival = env.event()
        self.busy = 0.0
        self.is_away = False
        self.lost: HandOn = lambda work: None
        env.process(self._run())

    def put(self, work: Work) -> None:
        """Accept a frame."""
        if self.is_away:
            self.lost(work)
            return
        self.inbox.put(cast("Message", work))
        if not self._arrival.triggered:
            self._arrival.succeed()

    def clear(self) -> None:
        """Lose all waiting frames, like a killed process."""
        while taken := self._take():
            for work in taken:
                self.lost(work)

    def _take(self) -> list[Work]:
        return cast("list[Work]", self.inbox.take(self._limit, 0.0))

    def _run(self) -> Steps:
        ended = 0.0
        while True:
            if not len(self.inbox):
                self._arrival = self._env.event()
                yield self._arrival
            if self._linger and len(self.inbox) < self._limit:
                yield self._env.timeout(self._linger)
            taken = self._take()
            if not taken:
                continue
            seconds = self._cost(taken, self._env.now - ended)
            yield from self._cores.work(seconds)
            ended = self._env.now
            self.busy += seconds
            for work in taken:
                (self.lost if self.is_away else self._hand_on)(work)


class Link:
    """A link with a limited rate (bit/s) and delay (s), which carries messages one after the other.

    Messages that would wait for longer than `max_wait` s are `dropped`, as subscribers behind a
    slow link do. A rate of 0 means unlimited.
    """

    def __init__(
        self,
        env: simpy.Environment,
        rate: float,
        delay: float,
        max_wait: float,
        dropped: HandOn,
    ) -> None:
        self._env = env
        self._rate = rate
        self._delay = delay
        self._max_wait = max_wait
        self._dropped = dropped
        self._free = 0.0

    def send(self, work: Work, size: float, arrive: HandOn) -> None:
        """Carry a message of `size` bytes, and call `arrive` at the other end."""
        now = self._env.now
        wait = max(0.0, self._free - now)
        if self._rate and wait > self._max_wait:
            self._dropped(work)
            return
        self._free = max(now, self._free) + (8 * size / self._rate if self._rate else 0.0)
        due = self._free + self._delay - now if self._rate else self._delay
        if due <= 0:
            arrive(work)
            return
        arrival = self._env.timeout(due, work)
        arrival.callbacks.append(lambda event: arrive(event.value))
