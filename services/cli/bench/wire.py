"""Measures a classifier process that receives crops over the wire, as from a detector."""

import contextlib
import queue
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np

from emostream.models.synthetic_faces import synthetic_faces
from emostream.services.cli.processes.child_process import stage_command, start, stop
from emostream.shared.address_file import read_addresses
from emostream.shared.bus import Bus, Subscription
from emostream.shared.errors import EmostreamError
from emostream.shared.messages import Emotion, Face, Faces, Message

# One batch is processed while the next one is in transit.
IN_FLIGHT: Final = 2
START_WITHIN_S: Final = 300.0
ANSWER_WITHIN_S: Final = 120.0
FRAME_NS: Final = 40_000_000
SETTINGS: Final = (
    *("classifier.metrics=127.0.0.1:0", "classifier.bind=tcp://127.0.0.1:*"),
    # Nothing is too old, and nothing is dropped: only the processing time counts.
    *("live.max_age_ms=1000000", "live.backlog=1000", "live.hung_after=600"),
)


class Speed(NamedTuple):
    """The median ms from a batch to its answer, and faces/s."""

    ms: float
    faces_per_s: float


class WiredClassifier:
    """A classifier process with batches of `faces`, as a context manager.

    Raises EmostreamError, with its last line of output, if it exits or does not answer.
    """

    def __init__(self, faces: int, settings: Sequence[str], folder: Path) -> None:
        self._faces, self._settings, self._folder = faces, settings, folder
        self._stack = contextlib.ExitStack()
        self._answers: queue.SimpleQueue[tuple[int, float]] = queue.SimpleQueue()
        self._crops = np.resize(synthetic_faces(min(faces, 32)), (faces, 64, 64)).tobytes()
        self._found = tuple(Face(n, (0.0, 0.0, 64.0, 64.0), 1.0, ()) for n in range(faces))
        self._seq = 0
        self._sent: dict[int, float] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def measure(self, seconds: float) -> Speed:
        """Keep it busy for this long, and for at least three batches."""
        times: list[float] = []
        began = now = time.perf_counter()
        while now - began < seconds or len(times) < 3:
            while len(self._sent) < IN_FLIGHT:
                self._send(self._found)
            seq, now = self._answer(ANSWER_WITHIN_S)
            times.append(now - self._sent.pop(seq))
        while self._sent:
            self._sent.pop(self._answer(ANSWER_WITHIN_S)[0])
        return Speed(statistics.median(times) * 1000, len(times) * self._faces / (now - began))

    def _start(self) -> None:
        bus = self._stack.enter_context(Bus("bench"))
        self._publisher = bus.publisher("tcp://127.0.0.1:*", 0)
        self._stack.callback(self._publisher.close)
        log = self._stack.enter_context((self._folder / "log").open("wb"))
        addresses = self._folder / "addresses"
        addresses.unlink(missing_ok=True)
        source = f'connect.faces=["{self._publisher.endpoint}"]'
        given = (*SETTINGS, source, f"classifier.max_batch={self._faces}", *self._settings)
        words = [word for setting in given for word in ("--set", setting)]
        # Without the configuration in this folder, if there is one.
        empty = self._folder / "empty.toml"
        empty.touch()
        command = stage_command("classifier", "--config", str(empty), *words)
        self._process = start(command, log=log, addresses=addresses)
        self._stack.callback(stop, [self._process])
        endpoint = self._wait_for_endpoint(addresses)
        receiver = bus.receiver([Subscription([endpoint], ["emotion/"], 0)], self._deliver, _bad)
        self._stack.callback(receiver.close)
        self._wait_for_answer()

    def _wait_for_endpoint(self, addresses: Path) -> str:
        until = time.monotonic() + START_WITHIN_S
        while time.monotonic() < until:
            found = read_addresses(addresses)
            if found and found.endpoints:
                return found.endpoints[0]
            self._check()
            time.sleep(0.02)
        raise EmostreamError(f"the classifier did not start in {START_WITHIN_S:g} s")

    def _wait_for_answer(self) -> None:
        """Send frames without faces, which cost nothing, until it answers all of them."""
        until = time.monotonic() + START_WITHIN_S
        heard = False
        while time.monotonic() < until:
            if not heard:
                self._send(())
            try:
                seq, _ = self._answers.get(timeout=0.2)
            except queue.Empty:
                self._check()
                continue
            heard = True
            if seq == self._seq - 1:
                self._sent.clear()
                return
        raise EmostreamError(f"the classifier did not answer in {START_WITHIN_S:g} s")

    def _send(self, found: tuple[Face, ...]) -> None:
        header = Faces(
            stream="bench", run="bench", seq=self._seq, t=time.time_ns(),
            pts=self._seq * FRAME_NS, marks={}, width=1280, height=720, faces=found,
            crop=(64, 64), part=0, parts=1,
        )  # fmt: skip
        self._sent[self._seq] = time.perf_counter()
        self._publisher.send(Message(header, self._crops if found else None))
        self._seq += 1

    def _answer(self, seconds: float) -> tuple[int, float]:
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            self._check()
            raise EmostreamError(f"the classifier did not answer in {seconds:g} s") from None

    def _check(self) -> None:
        if self._process.poll() is not None:
            lines = (self._folder / "log").read_text("utf-8", "replace").splitlines() or ["nothing"]
            raise EmostreamError(f"the classifier exited with: {lines[-1]}")

    def _deliver(self, message: Message) -> None:
        if isinstance(message.header, Emotion) and message.header.is_data:
            self._answers.put((message.header.seq, time.perf_counter()))


def _bad(error: Exception) -> None:
    raise error
