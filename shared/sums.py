"""The counts that a stage passes on about unanswered frames, with or without an answer."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from emostream.shared.accounts import Accounts
from emostream.shared.messages import AnyHeader, Faces, Message
from emostream.shared.quiet import QuietTimer
from emostream.shared.sequences import frames_before, stream_part

# Capture sends the counts of a quiet stream sooner, and stages pass them on. This is for a stream
# whose capture is gone.
REPEAT_AFTER_S: Final = 2.0


class Sums:
    """Accounts for a stage's input of one kind, and adds the counts to its answers.

    The answer to a frame, a probe or an end carries the fate of all frames before it.
    """

    def __init__(
        self,
        accounts: Accounts,
        primary: type[AnyHeader],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._primary = primary
        self._missed: dict[tuple[str, str, int, int | None], Mapping[str, int]] = {}
        self._quiet: QuietTimer[tuple[str, int | None], AnyHeader] = QuietTimer(
            REPEAT_AFTER_S, clock
        )

    def take(self, messages: Sequence[Message]) -> None:
        """Account for the next messages. All earlier messages must have been answered."""
        self._missed.clear()
        for message in messages:
            header = message.header
            missed = self._accounts.take(header)
            if isinstance(header, self._primary):
                self._missed[_key(header, stream_part(header))] = missed
                self._quiet.set((header.stream, stream_part(header)), header)

    def add_to(self, answer: Message) -> Message:
        """Return the answer with the counts up to it, if it answers a message that was taken."""
        header = answer.header
        part = stream_part(header)
        if part is None:
            return answer
        # A detector's answer has parts, and the frame does not.
        whole = self._missed.get(_key(header, 0), {})
        missed = self._missed.get(_key(header, part), whole)
        header = msgspec.structs.replace(header, missed=dict(missed))
        return Message(header, answer.payload, answer.shard)

    def forget(self, stream: str) -> None:
        """Forget the stream."""
        self._accounts.forget(stream)
        self._quiet.forget(lambda key: key[0] == stream)

    def due(self) -> list[Message]:
        """Return a probe for each quiet stream, to be processed like any other."""
        return [_probe(header) for header in self._quiet.take()]


def _probe(last: AnyHeader) -> Message:
    base = frames_before(last) + last.is_data
    probe = msgspec.structs.replace(last, probe=True, base=base, end=False, frames=0, error="")
    if isinstance(probe, Faces):
        # A probe has no payload, so it has no crops.
        probe = msgspec.structs.replace(probe, faces=())
    return Message(probe)


def _key(header: AnyHeader, part: int | None) -> tuple[str, str, int, int | None]:
    return header.stream, header.run, frames_before(header), part
