"""Lossless delivery inside a stage: the expected frames in order, and earlier answers repeated."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from emostream.shared.messages import AnyHeader, Event, Header, Message
from emostream.shared.sequences import sequence_part


class Stateful(Protocol):
    """What a stage must offer so that a restart leaves no trace in its results."""

    def state(self, header: Header) -> bytes:
        """Return all that it remembers of the header's stream (and part) after that frame."""

    def restore(self, header: Header, state: bytes | None) -> None:
        """Replace what it remembers by that; None forgets the stream (and part)."""


@dataclass(slots=True)
class _PartProgress:
    """One part of one stream: its run, the `seq` that comes next, and the last answers."""

    run: str
    expected: int
    answers: OrderedDict[int, list[Message]] = field(default_factory=OrderedDict)


class ReplaySequence:
    """Makes a stage work on each frame once, in order, whatever is sent again.

    A probe's `base` is the lowest `seq` to expect. A stage that is behind it, because it was
    started in the meantime, restores the `states` that the probe brings: what the stage of this
    `name` remembered after the frame before `base`. So does one that is further beyond it than its
    answers go back, which only a false probe can bring about. What was answered among the last
    `window` frames, and the end after them, is answered again without work; all else that is not
    expected is discarded. Each answer carries the stage's state after its frame, next to those of
    the stages before.
    """

    def __init__(
        self, name: str, stage: Stateful, work: Callable[[Message], list[Message]], window: int
    ) -> None:
        self._name = name
        self._stage = stage
        self._work = work
        # The end comes after a whole window of frames.
        self._kept = window + 1
        self._parts: dict[tuple[str, int], _PartProgress] = {}

    def expects(self, message: Message) -> bool:
        """Whether the message is the frame, or the end, whose turn it is."""
        header = message.header
        progress = self._progress(header)
        return not header.probe and progress is not None and progress.expected == header.seq

    def work(self, message: Message) -> list[Message]:
        """Work on the message, which must be the expected one, and return the answers."""
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
        """Return what is to be sent for a message that is not the expected one."""
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
    # Events go with the answer of their frame, which carries it.
    states = {} if isinstance(answer.header, Event) else states
    header = msgspec.structs.replace(answer.header, states=states)
    return Message(header, answer.payload, answer.shard)
