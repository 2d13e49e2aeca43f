"""Lossless delivery inside a stage: the expected frames in order, and answers given again."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from emostream.shared.messages import AnyHeader, Event, Faces, Header, Message


class Stateful(Protocol):
    """What a stage must be able to do so that it can be killed without a trace."""

    def state(self, header: Header) -> bytes:
        """Return all that it remembers of the header's stream (and part) after that frame."""

    def restore(self, header: Header, state: bytes | None) -> None:
        """Remember that again in place of what it knew; None forgets the stream (and part)."""


@dataclass(slots=True)
class _Lane:
    """One part of one stream: its run, the `seq` that comes next, and the last answers."""

    run: str
    expected: int
    answers: OrderedDict[int, list[Message]] = field(default_factory=OrderedDict)


class Sequence:
    """Sees to it that a stage works on each frame once, in order, whatever is sent again.

    A probe's `base` is the lowest `seq` to expect. A stage that stands behind it, because it was
    started in the meantime, takes up the `states` that the probe brings: what the stage of this
    `name` remembered after the frame before `base`. What was answered among the last `window`
    frames is answered again without work; all else that is not expected is discarded. Each
    answer carries the stage's state after its frame, beside those of the stages before.
    """

    def __init__(
        self, name: str, stage: Stateful, work: Callable[[Message], list[Message]], window: int
    ) -> None:
        self._name = name
        self._stage = stage
        self._work = work
        self._window = window
        self._lanes: dict[tuple[str, int], _Lane] = {}

    def expects(self, message: Message) -> bool:
        """Whether the message is the frame, or the end, whose turn it is."""
        header = message.header
        lane = self._lane(header)
        return not header.probe and lane is not None and lane.expected == header.seq

    def work(self, message: Message) -> list[Message]:
        """Work on the message, which must be the expected one, and return the answers."""
        header = message.header
        lane = self._lane(header)
        assert lane is not None
        answers = self._work(message)
        state = {self._key(header): self._stage.state(header)}
        answers = [_with_state(answer, header.states | state) for answer in answers]
        lane.answers[header.seq] = answers
        if len(lane.answers) > self._window:
            lane.answers.popitem(last=False)
        lane.expected += 1
        return answers

    def repeat(self, message: Message) -> list[Message]:
        """Return what is to be sent for a message that is not the expected one."""
        header = message.header
        if header.probe:
            self._adopt(header)
            return self._work(message)
        lane = self._lane(header)
        return lane.answers.get(header.seq, []) if lane else []

    def _adopt(self, header: AnyHeader) -> None:
        lane = self._lane(header)
        if lane is None or header.base > lane.expected:
            self._stage.restore(header, header.states.get(self._key(header)))
            self._lanes[header.stream, _part(header)] = _Lane(header.run, header.base)

    def _lane(self, header: AnyHeader) -> _Lane | None:
        lane = self._lanes.get((header.stream, _part(header)))
        return lane if lane and lane.run == header.run else None

    def _key(self, header: AnyHeader) -> str:
        return f"{self._name}/{_part(header)}"


def _part(header: AnyHeader) -> int:
    return header.part if isinstance(header, Faces) else 0


def _with_state(answer: Message, states: dict[str, bytes]) -> Message:
    # Events go with the answer of their frame, which carries it.
    states = {} if isinstance(answer.header, Event) else states
    header = msgspec.structs.replace(answer.header, states=states)
    return Message(header, answer.payload, answer.shard)
