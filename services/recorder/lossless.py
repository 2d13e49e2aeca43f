"""Lossless recording: writes every frame's answers once, in order, and confirms them."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from emostream.services.recorder.archive.faults import Fault, WriteError
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.fault_status import ROWS, FaultStatus
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.shared.errors import DeliveryError, MessageError
from emostream.shared.messages import Credit, Emotion, Event, Message, common_fields

CONSUMER: Final = "recorder"
# More events than any frame has; events wait for the answer to their frame.
MAX_EVENTS: Final = 10_000


@dataclass(slots=True)
class _PartState:
    """The unwritten messages of one part of a stream."""

    events: list[Event] = field(default_factory=list)
    answers: dict[int, tuple[Emotion, list[Event]]] = field(default_factory=dict)
    probed: int = 0  # the latest pid


@dataclass(slots=True)
class _RunState:
    """One run of a stream: the last written frame, and the stages' states after it."""

    id: str
    written: int
    states: dict[str, bytes]
    ended: bool
    header: Emotion
    parts: defaultdict[int, _PartState] = field(default_factory=lambda: defaultdict(_PartState))


class LosslessRecorder:
    """Writes each frame with its events in one transaction, in order, and then confirms it.

    A frame is written when the answers of all its parts have arrived. Repeated messages that were
    already written are ignored, even after a restart, because the database has the progress. At
    most `window` frames and an end of each part wait for the other parts. `bad` is called with the
    error of a message that cannot be stored. If another program holds a lock, this waits up to
    `patience` s on the steady `clock`, and confirms nothing in the meantime. Raises WriteError if
    nothing can be written.
    """

    topics = ("emotion/", "event/")

    def __init__(
        self,
        archive: ArchiveWriter,
        metrics: RecorderMetrics,
        faults: FaultStatus,
        bad: Callable[[MessageError], None],
        patience: float,
        window: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._archive = archive
        self._metrics = metrics
        self._faults = faults
        self._bad = bad
        self._patience = patience
        self._window = window
        self._clock = clock
        self._locked_since: float | None = None
        self._credits: dict[str, Credit] = {}
        self._runs: dict[str, _RunState] = {}
        self._events: defaultdict[str, list[Event]] = defaultdict(list)

    def __call__(self, messages: Sequence[Message]) -> list[Message]:
        """Record the messages; return `credit/` for written frames, and answers to probes."""
        for message in messages:
            header = message.header
            try:
                if isinstance(header, Event):
                    self._add_event(header)
                elif isinstance(header, Emotion) and (credit := self._take(header)):
                    pid = max(credit.pid, self._credits.get(header.stream, credit).pid)
                    self._credits[header.stream] = msgspec.structs.replace(credit, pid=pid)
            except MessageError as error:
                self._bad(error)
        if not self._commit():
            return []
        credits, self._credits = self._credits, {}
        return [Message(credit) for credit in credits.values()]

    def forget(self, stream: str) -> None:
        """Forget the stream; the database has its progress."""
        self._runs.pop(stream, None)
        self._events.pop(stream, None)

    def _add_event(self, header: Event) -> None:
        events = self._events[header.stream]
        if len(events) >= MAX_EVENTS:
            raise MessageError("leap", f"{header.stream}: {MAX_EVENTS} events without an answer")
        events.append(header)

    def _take(self, header: Emotion) -> Credit | None:
        """Take a part's answer, end or probe; return what to confirm after the commit."""
        run = self._run(header)
        part = run.parts[header.part]
        if header.probe:
            # After a probe, everything unwritten is sent again.
            run.parts[header.part] = _PartState(probed=header.pid)
            probed = [run.parts[number].probed for number in range(header.parts)]
            return _credit(run, pid=header.pid) if min(probed) == header.pid else None
        if header.seq > run.written + self._window + 1:
            raise MessageError("leap", f"{header.stream}: seq {header.seq} after {run.written}")
        events = self._events_of(header)
        if header.seq > run.written and not run.ended:
            part.answers[header.seq] = header, events
        before = (run.written, run.ended)
        for answers in _complete(run, header.parts):
            self._write(run, answers)
        again = header.end and run.ended
        return _credit(run) if again or before != (run.written, run.ended) else None

    def _write(self, run: _RunState, answers: Sequence[tuple[Emotion, list[Event]]]) -> None:
        states: dict[str, bytes] = {}
        for header, events in answers:
            for event in events:
                self._archive.add_event(event)
                self._metrics.count_rows(event)
            states |= header.states
            if header.end:
                run.ended = True
                continue
            self._archive.add_emotion(header)
            self._metrics.count_rows(header)
            run.written = header.seq
        run.header, run.states = answers[0][0], states
        if run.ended:
            self._archive.end_run(run.header)
        self._archive.keep_states(run.header, run.written, states)

    def _commit(self) -> bool:
        """Commit waiting rows; return False while the database is locked."""
        if not self._archive.pending:
            if self._credits:
                self._archive.check()
            return True
        try:
            with self._metrics.commit_seconds.time():
                self._archive.commit()
        except WriteError as error:
            now = self._clock()
            self._locked_since = now if self._locked_since is None else self._locked_since
            if error.fault is not Fault.LOCKED or now - self._locked_since > self._patience:
                raise
            self._faults.begin(ROWS, error, "the analysis is waiting for it")
            return False
        self._locked_since = None
        self._faults.end(ROWS, "writing rows again")
        for run in self._runs.values():
            self._metrics.accounts.written(run.header, run.written + 1)
        return True

    def _run(self, header: Emotion) -> _RunState:
        run = self._runs.get(header.stream)
        if run is None or run.id != header.run:
            written, ended, states = self._archive.position(header.stream, header.run)
            run = _RunState(header.run, written, states, ended, header)
            self._runs[header.stream] = run
        return run

    def _events_of(self, header: Emotion) -> list[Event]:
        """Remove and return the events that arrived before the answer of this part.

        Events that were repeated after a probe are included once.
        """
        mine: list[Event] = []
        others: list[Event] = []
        for event in self._events[header.stream]:
            is_mine = event.track % header.parts == header.part and event.seq <= header.seq
            (mine if is_mine else others).append(event)
        self._events[header.stream] = others
        once = {(event.seq, event.track, event.kind): event for event in mine}
        return [event for event in once.values() if event.run == header.run]


def _complete(run: _RunState, parts: int) -> Iterator[list[tuple[Emotion, list[Event]]]]:
    """Remove and yield the answers of all parts for each frame that is next."""
    while all(run.written + 1 in run.parts[number].answers for number in range(parts)):
        if run.ended:
            return
        yield [run.parts[number].answers.pop(run.written + 1) for number in range(parts)]


def _credit(run: _RunState, pid: int = 0) -> Credit:
    fields = common_fields(run.header) | {
        "seq": run.written, "pid": pid, "probe": False, "base": 0, "states": run.states,
        "end": run.ended, "frames": run.written + 1 if run.ended else 0,
    }  # fmt: skip
    return Credit(**fields, consumer=CONSUMER)


@contextlib.contextmanager
def stopping_delivery() -> Iterator[None]:
    """Convert WriteError to DeliveryError: a restart does not help, and nothing may be skipped."""
    try:
        yield
    except WriteError as error:
        raise DeliveryError(str(error)) from error
