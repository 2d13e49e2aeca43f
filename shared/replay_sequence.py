"""Lossless delivery within a stage: frames in order, and repetition of earlier answers."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from emostream.shared.messages import AnyHeader, Event, Header, Message
from emostream.shared.sequences import sequence_part


class Stateful(Protocol):
    """The interface that a stage needs so that a restart does not change its results."""

    def state(self, header: Header) -> bytes:
        """Return the state of the header's stream (and part) after that frame."""

    def restore(self, header: Header, state: bytes | None) -> None:
        """Replace the state; None forgets the stream (and part)."""


@dataclass(slots=True)
class _PartProgress:
    """One part of a stream: its run, the next `seq`, and the last answers."""

    run: str
    expected: int
    answers: OrderedDict[int, list[Message]] = field(default_factory=OrderedDict)


class ReplaySequence:
    """Makes a stage process each frame once, in order, even if frames are sent again.

    A probe's `base` is the lowest `seq` to expect. A stage that is behind it, because it was
    restarted, restores its state from the probe's `states`: the state of the stage `name` after the
    frame before `base`. So does a stage that is ahead of `base` by more than its stored answers,
    which only a forged probe can cause. Frames that were answered among the last `window` frames,
    and the end after them, are answered again without processing; other unexpected messages are
    discarded. Each answer carries the stage's state after its frame, next to those of earlier
    stages.
    """

    def __init__(
        self, name: str, stage: Stateful, work: Callable[[Message], list[Message]], window: int
    ) -> None:
        self._name = name
        self._stage = stage
        self._work = work
        # The end follows a whole window of frames.
        self._kept = window + 1
        self._parts: dict[tuple[str, int], _PartProgress] = {}

    def expects(self, message: Message) -> bool:
        """Whether the message is the expected frame or end."""
        header = message.header
        progress = self._progress(header)
        return not header.probe and progress is not None and progress.expected == header.seq

    def work(self, message: Message) -> list[Message]:
        """Process the message, which must be the expected one, and return the answers."""
        header = message.header
        progress = self._progress(header)
        assert progress is not None
        answers = self._work(message)
        state = {self._key(header): self._stage.state(header)}
        answers = [_with_state(answer, header.states | state) for answer in answers]
        progress.answers[header.seq] = answers
        if len(progress.answers) > self._kept:
            progress.answers.popitem(last=False)
        progress.expected += 1
        return answers

    def repeat(self, message: Message) -> list[Message]:
        """Return what to send for an unexpected message."""
        header = message.header
        if header.probe:
            self._catch_up(header)
            return self._work(message)
        progress = self._progress(header)
        return progress.answers.get(header.seq, []) if progress else []

    def forget(self, stream: str) -> None:
        """Forget the stream."""
        for key in [key for key in self._parts if key[0] == stream]:
            del self._parts[key]

    def _catch_up(self, header: AnyHeader) -> None:
        progress = self._progress(header)
        if progress is None or not 0 <= progress.expected - header.base <= self._kept:
            self._stage.restore(header, header.states.get(self._key(header)))
            key = header.stream, sequence_part(header)
            self._parts[key] = _PartProgress(header.run, header.base)

    def _progress(self, header: AnyHeader) -> _PartProgress | None:
        progress = self._parts.get((header.stream, sequence_part(header)))
        return progress if progress and progress.run == header.run else None

    def _key(self, header: AnyHeader) -> str:
        return f"{self._name}/{sequence_part(header)}"


def _with_state(answer: Message, states: dict[str, bytes]) -> Message:
    # Events accompany the answer to their frame, which carries the state.
    states = {} if isinstance(answer.header, Event) else states
    header = msgspec.structs.replace(answer.header, states=states)
    return Message(header, answer.payload, answer.shard)
