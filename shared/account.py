"""The account of one part of a stream at one stage: what happened to every captured frame."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from emostream.shared.messages import AnyHeader
from emostream.shared.sequences import frames_before

# Counts by (stage, fate).
Fates = Counter[tuple[str, str]]
ANSWERED = "answered"
LATE = "late"
LOST = "lost"
LOST_WITH_PROCESS = "lost_with_process"
# Maximum number of runs with frames that are not accounted for yet.
MAX_RUNS: Final = 8


@dataclass(frozen=True, slots=True)
class _Noted:
    """`count` frames of a run, up to `seq`, that did not get through this stage."""

    seq: int
    fate: str
    count: int


@dataclass
class Account:
    """Balances at every message, even after a kill: `known` equals the sum of `fates`.

    `seq` says how many frames were captured. Each frame was either answered here, or noted as
    dropped or lost here, or counted by an earlier stage, whose counts arrive with its messages
    (`missed`). If another process takes over upstream (`publisher`), or this one was restored, the
    frames of the gap without an explanation were lost with the old process: they were in its queues
    or sockets, or were sent before its successor was connected. The first frame that arrives shows
    how many came before this stage listened.

    `fates` counts by (stage, fate) since the process started. `missed` counts everything that did
    not get through since then, and is passed on downstream. `upstream` is the previous stage.
    """

    stage: str
    upstream: str
    run: str = ""
    next_seq: int = 0
    publisher: str | None = None
    reported: Mapping[str, int] = field(default_factory=dict)
    known: int = 0
    fates: Fates = field(default_factory=Counter)
    missed: dict[str, int] = field(default_factory=dict)
    # Whether the fields above come from an earlier process of this stage that was killed.
    restored: bool = False
    # By run: a message of the next run may arrive while one of this run waits.
    _noted: dict[str, list[_Noted]] = field(default_factory=dict)

    def note(self, run: str, seq: int, fate: str, count: int = 1) -> None:
        """Record `count` frames up to `seq` that did not get through this stage.

        If they were already taken, they no longer count as answered.
        """
        if count == 0:
            return
        if run == self.run and seq < self.next_seq and fate != LOST:
            self.fates[self.stage, ANSWERED] -= count
            self._add(Counter({(self.stage, fate): count}))
            return
        self._noted.setdefault(run, []).append(_Noted(seq, fate, count))

    def take(self, header: AnyHeader) -> None:
        """Account for all frames up to a message. Call it in processing order."""
        seq, left = frames_before(header), Fates()
        if self._is_next(header, seq):
            self._answer()
            return
        if header.run != self.run:
            if self.restored:
                # Nothing continued in the meantime, so the restored state is of an earlier
                # pipeline.
                self._begin_again()
            left = self._left_of_earlier_runs(header)
            self.run, self.next_seq = header.run, 0
        elif seq < self.next_seq:
            return
        gap = seq - self.next_seq
        fates = self._explained(header)
        fates.update(self._noted_before(header, seq))
        if not self._goes_on(header):
            # Counts from another process may belong to frames before this gap.
            fates = _first(fates, gap)
        if (rest := gap - fates.total()) > 0 and (cause := self._cause_of_rest(header)):
            fates[cause] += rest
        # Earlier stages may report counts of an earlier run only now.
        self.known += max(gap, fates.total()) + left.total()
        fates.update(left)
        self._add(fates)
        self.publisher, self.reported, self.restored = header.publisher, header.missed, False
        self.next_seq = seq
        if header.is_data:
            self._answer()

    def answer_all(self) -> None:
        """Count every frame of the run so far as answered, and none of another run."""
        self.known = self.next_seq
        self.fates = Counter({(self.stage, ANSWERED): self.next_seq})

    def _is_next(self, header: AnyHeader, seq: int) -> bool:
        """Whether the message is the next frame, and there is nothing to say about others.

        This is nearly every message, and this check takes a fraction of the time of the rest.
        """
        return (
            header.is_data
            and header.run == self.run
            and seq == self.next_seq
            and self._goes_on(header)
            and header.run not in self._noted
            and header.missed == self.reported
        )

    def _answer(self) -> None:
        self.known += 1
        self.fates[self.stage, ANSWERED] += 1
        self.next_seq += 1

    def _begin_again(self) -> None:
        self.publisher, self.restored, self.known = None, False, 0
        self.fates.clear()

    def _goes_on(self, header: AnyHeader) -> bool:
        """Whether sender and receiver are the same processes as for the previous message."""
        return header.publisher == self.publisher and not self.restored

    def _explained(self, header: AnyHeader) -> Fates:
        """Return what earlier stages report about the frames since the last message."""
        if self.publisher is None:
            # They were before this stage listened.
            reported: Mapping[str, int] = header.missed
        else:
            reported = self.reported if header.publisher == self.publisher else {}
        fates = Fates()
        for key, count in header.missed.items():
            stage, _, fate = key.partition("/")
            fates[stage, fate] = max(0, count - reported.get(key, 0))
        return fates

    def _noted_before(self, header: AnyHeader, seq: int) -> Fates:
        """Remove and return what was noted about the run's frames before `seq`."""
        noted = self._noted.pop(header.run, [])
        if waiting := [one for one in noted if one.seq >= seq]:
            self._noted[header.run] = waiting
        return self._fates_of([one for one in noted if one.seq < seq], header)

    def _left_of_earlier_runs(self, header: AnyHeader) -> Fates:
        """Remove and return what was noted about the finished run and untaken earlier runs."""
        over = {self.run} | {*list(self._noted)[:-MAX_RUNS]} - {header.run}
        noted = [one for run in over for one in self._noted.pop(run, [])]
        return self._fates_of(noted, header)

    def _fates_of(self, noted: Sequence[_Noted], header: AnyHeader) -> Fates:
        fates = Fates()
        for one in noted:
            fates[self._cause_of(one.fate, header)] += one.count
        return fates

    def _cause_of(self, fate: str, header: AnyHeader) -> tuple[str, str]:
        if self.restored and fate in (LATE, LOST):
            return self.stage, LOST_WITH_PROCESS
        if fate == LOST and self.publisher not in (None, header.publisher):
            # Sent by a process that took over, before this one was connected to it.
            return self.upstream, LOST_WITH_PROCESS
        return self.stage, fate

    def _cause_of_rest(self, header: AnyHeader) -> tuple[str, str] | None:
        if self.publisher is None:
            return self.stage, LATE
        if header.publisher != self.publisher:
            return self.upstream, LOST_WITH_PROCESS
        return (self.stage, LOST_WITH_PROCESS) if self.restored else None

    def _add(self, fates: Fates) -> None:
        self.fates.update(fates)
        for (stage, fate), count in fates.items():
            # Frames from before the start of this process are counted by its predecessor.
            if count and fate != ANSWERED and (stage, fate) != (self.stage, LATE):
                key = f"{stage}/{fate}"
                self.missed[key] = self.missed.get(key, 0) + count


def _first(fates: Fates, limit: int) -> Fates:
    """Return the counts, cut off where their sum reaches `limit`."""
    kept = Fates()
    for key, count in fates.items():
        kept[key] = min(count, limit - kept.total())
    return kept
