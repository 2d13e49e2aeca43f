"""A classifier on Ray whose actors are killed while faces come: answers are whole and in time."""

import re
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
import pytest

from emostream.models import LABELS, load
from emostream.shared.bus import Bus
from emostream.shared.messages import Emotion
from tests.system.conftest import wait_until
from tests.system.test_stages import Stage, faces_message, free_endpoint, listen, publisher

pytestmark = [pytest.mark.evidence, pytest.mark.timeout(300, func_only=True)]

INTERVAL_S = 0.05
WITHIN_S = 3.0
CROPS = np.random.default_rng(0).integers(0, 255, (50, 2, 64, 64), np.uint8)


class Gateway:
    """A classifier with two actors, and the frames that it is sent, one after the other."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        bus = stack.enter_context(Bus("test"))
        self._source = publisher(stack, bus)
        bind = free_endpoint()
        self.stage = Stage(
            *("classifier", folder / "log", f"classifier.bind={bind}"),
            *("classifier.engine=ray", "classifier.ray_cpus=0.5"),
            *("classifier.ray_min_actors=2", "classifier.ray_max_actors=2"),
            f'connect.faces=["{self._source.endpoint}"]',
            # None may be dropped here, however busy the machine is: each must be answered in time.
            *("live.max_age_ms=60000", "live.backlog=1000"),
        )
        stack.callback(self.stage.close)
        self._inbox = listen(stack, bus, bind, "emotion/")
        self.sent: dict[int, float] = {}
        self.answers: list[tuple[float, Emotion]] = []

    def frame(self) -> bool:
        """Send a frame, and take what comes until it is time for the next; return if any has."""
        seq = len(self.sent)
        self.sent[seq] = time.monotonic()
        self._source.send(faces_message(CROPS[seq % len(CROPS)], seq))
        while (left := self.sent[seq] + INTERVAL_S - time.monotonic()) > 0:
            for message in self._inbox.take(1, left):
                if isinstance(message.header, Emotion) and message.header.is_data:
                    self.answers.append((time.monotonic(), message.header))
        return bool(self.answers)

    def until(self, *lines: str) -> None:
        """Send frames until the metrics have these lines."""

        def holds() -> bool:
            for _ in range(10):
                self.frame()
            status, metrics = self.stage.get("/metrics")
            return status == 200 and all(line in metrics for line in lines)

        wait_until(holds, f"{lines}", 120)

    def kill(self, *actors: psutil.Process, restarts: int) -> None:
        """Kill actors, and send frames until all are back, which is so many restarts in all."""
        for actor in actors:
            actor.kill()
        back = f"emostream_ray_actor_restarts_total {restarts}.0"
        self.until(back, 'emostream_ray_actors{state="warm"} 2.0')

    def count(self, name: str) -> int:
        """Return the value of a counter of the gateway."""
        found = re.search(rf"emostream_ray_{name}_total (\d+)", self.stage.get("/metrics")[1])
        assert found
        return int(found[1])

    def actors(self) -> list[psutil.Process]:
        """Return the processes of the actors."""
        every = psutil.Process(self.stage.process.pid).children(recursive=True)
        return [each for each in every if "ModelActor" in " ".join(each.cmdline())]


def test_killed_actors_cost_no_answer_and_no_order(tmp_path: Path) -> None:
    with ExitStack() as stack:
        gateway = Gateway(stack, tmp_path)
        wait_until(gateway.frame, "the first answer", 120)
        gateway.until('emostream_ray_actors{state="warm"} 2.0')
        assert gateway.stage.get("/readyz")[0] == 200
        gateway.answers.clear()
        begin = len(gateway.sent)
        one, other = gateway.actors()
        # One of the two is given the frames, as one is enough.
        gateway.kill(one, restarts=1)
        gateway.kill(other, restarts=2)
        assert gateway.count("replaced_batches") > 0
        gateway.kill(*gateway.actors(), restarts=4)
        assert gateway.count("gateway_batches") > 0
        end = len(gateway.sent)

        def has_ended() -> bool:
            return gateway.frame() and gateway.answers[-1][1].seq >= end

        wait_until(has_ended, "the last answers")
        check(gateway, begin, end)
        family = psutil.Process(gateway.stage.process.pid).children(recursive=True)
        gateway.stage.process.send_signal(signal.SIGINT)
        assert gateway.stage.process.wait(30) == 0
        psutil.wait_procs(family, 10)
        assert not [each for each in family if each.is_running()]
    assert "Traceback" not in gateway.stage.text()


def check(gateway: Gateway, begin: int, end: int) -> None:
    """Check that the frames were answered in order, in time, and as the plain engine does."""
    answers = [(at, each) for at, each in gateway.answers if begin <= each.seq < end]
    assert [each.seq for _, each in answers] == list(range(begin, end))
    assert max(at - gateway.sent[each.seq] for at, each in answers) < WITHIN_S
    model = load("alexnet-fer", intra_op=1)
    for _, each in answers:
        given = [[face.probabilities[label] for label in LABELS] for face in each.faces]
        expected = model.predict(CROPS[each.seq % len(CROPS)])
        np.testing.assert_allclose(given, expected, atol=1e-5)
