"""The accounts of all streams at one stage, and the metrics that show them."""

import threading
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from emostream.shared.account import ANSWERED, LOST_WITH_PROCESS, Account
from emostream.shared.messages import (
    AnyHeader,
    Header,
    Message,
    topic_name,
)
from emostream.shared.metric_names import MetricName
from emostream.shared.sequences import frames_before, stream_part

# The stage that publishes each topic.
UPSTREAM: Final = {"frame": "capture", "faces": "detector", "emotion": "classifier"}


class Part(NamedTuple):
    """The key of an account: a part of a stream on a topic."""

    topic: str
    stream: str
    part: int


class _Kept(msgspec.Struct):
    """The saved state of an account, stored next to its stream, run and `seq`."""

    publisher: str
    reported: dict[str, int]
    known: int
    fates: list[tuple[str, str, int]]


class Accounts(Collector):
    """The accounts of a stage's input. Thread-safe.

    They count nothing until the first `take`, which lossless delivery never calls.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._lock = threading.Lock()
        self._accounts: dict[Part, Account] = {}
        self._captured: dict[str, tuple[str, int]] = {}

    def note(self, message: Message, fate: str, count: int = 1, *, before: bool = False) -> None:
        """Record the message's frame, or `count` frames `before` it, as not passed on."""
        if part := _part(message.header):
            seq = frames_before(message.header) - before
            with self._lock:
                self._account(part).note(message.header.run, seq, fate, count)

    def take(self, header: AnyHeader) -> Mapping[str, int]:
        """Account for all frames up to a message; return the counts to send with its answer.

        Take the messages of a stream in processing order.
        """
        part = _part(header)
        if part is None:
            return {}
        with self._lock:
            account = self._account(part)
            account.take(header)
            return dict(account.missed)

    def captured(self, header: AnyHeader) -> None:
        """Record that this process captured the frame and all earlier frames of its run."""
        with self._lock:
            self._captured[header.stream] = (header.run, header.seq + 1)

    def written(self, header: Header, frames: int) -> None:
        """Record that the first `frames` frames of a run were written (lossless delivery).

        Parts are not counted separately: a frame is written once all of them are there.
        """
        part = Part("emotion", header.stream, 0)
        with self._lock:
            account = self._accounts[part] = Account(self._stage, UPSTREAM["emotion"])
            account.run, account.next_seq = header.run, frames
            account.answer_all()

    def forget(self, stream: str) -> None:
        """Close the accounts of a stream."""
        with self._lock:
            for part in [part for part in self._accounts if part.stream == stream]:
                del self._accounts[part]

    def states(self) -> Iterator[tuple[str, str, int, str, bytes]]:
        """Yield stream, run, next `seq`, and a name and bytes for `restore`."""
        with self._lock:
            kept = [(part, account, _packed(account)) for part, account in self._accounts.items()]
        for part, account, state in kept:
            yield part.stream, account.run, account.next_seq, f"{part.topic}/{part.part}", state

    def restore(
        self,
        stream: str,
        run: str,
        seq: int,
        name: str,
        state: bytes,
        rows: tuple[int, int] | None = None,
    ) -> None:
        """Continue from the state that an earlier process of this stage saved before it was killed.

        `rows` is the number of answers that it wrote afterward, and the last one's `seq`. Raises
        ValueError for an invalid state.
        """
        topic, _, number = name.partition("/")
        try:
            kept = msgspec.msgpack.decode(state, type=_Kept)
            account = Account(self._stage, UPSTREAM[topic], run, seq, kept.publisher, kept.reported)
        except (msgspec.MsgspecError, KeyError) as error:
            raise ValueError(f"not an account state: {error}") from error
        account.known, account.restored = kept.known, True
        account.fates.update({(stage, fate): count for stage, fate, count in kept.fates})
        if rows:
            account.note(run, rows[1], ANSWERED, rows[0])
        with self._lock:
            self._accounts[Part(topic, stream, int(number))] = account

    def collect(self) -> Iterator[Metric]:
        """Yield a consistent snapshot of all accounts."""
        with self._lock:
            yield from self._metrics()

    def _account(self, part: Part) -> Account:
        account = self._accounts.get(part)
        if account is None:
            account = self._accounts[part] = Account(self._stage, UPSTREAM[part.topic])
        return account

    def _metrics(self) -> list[Metric]:
        labels = ("stage", "topic", "stream", "part")
        known = GaugeMetricFamily(
            MetricName.FRAMES_KNOWN, "Frames captured, as far as the stage knows", labels=labels
        )
        run_frames = GaugeMetricFamily(
            MetricName.RUN_FRAMES, "Frames of the current run", labels=(*labels, "run")
        )
        accounted = GaugeMetricFamily(
            MetricName.FRAMES_ACCOUNTED,
            "Frames by what happened to them",
            labels=(*labels, "at", "fate"),
        )
        with_process = CounterMetricFamily(
            MetricName.FRAMES_LOST_WITH_PROCESS,
            "Frames lost with a process that was killed",
            labels=(*labels, "process"),
        )
        for stream, (run, frames) in self._captured.items():
            run_frames.add_metric([self._stage, "frame", stream, "0", run], frames)
        for (topic, stream, part), account in self._accounts.items():
            if not account.known:
                continue
            where = [self._stage, topic, stream, str(part)]
            known.add_metric(where, account.known)
            run_frames.add_metric([*where, account.run], account.next_seq)
            for (stage, fate), count in account.fates.items():
                if fate == LOST_WITH_PROCESS:
                    with_process.add_metric([*where, stage], count)
                else:
                    accounted.add_metric([*where, stage, fate], count)
        return [known, run_frames, accounted, with_process]


def _part(header: AnyHeader) -> Part | None:
    part = stream_part(header)
    return None if part is None else Part(topic_name(header), header.stream, part)


def _packed(account: Account) -> bytes:
    fates = [(stage, fate, count) for (stage, fate), count in account.fates.items()]
    kept = _Kept(account.publisher or "", dict(account.reported), account.known, fates)
    return msgspec.msgpack.encode(kept)
