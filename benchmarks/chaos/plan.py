"""The schedule of faults, deterministic for a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from emostream.services.cli.processes.stages import STAGES

# Seconds between two faults of a process.
PAUSE_S: Final = (5.0, 15.0)
# How long the recorder cannot use its disk or database.
HOLD_S: Final = 30.0


class Kind(Enum):
    """A fault, as the table names it."""

    KILL = "kill -9"
    TERMINATE = "SIGTERM"
    STOP = "SIGSTOP"
    FULL_DISK = "full disk"
    LOCKED_DATABASE = "locked database"

    @property
    def is_of_process(self) -> bool:
        """Whether it affects one process, and is over immediately."""
        return self not in (Kind.FULL_DISK, Kind.LOCKED_DATABASE)


@dataclass(frozen=True)
class Fault:
    """A fault of a stage, `pause` s after the previous one."""

    kind: Kind
    stage: str
    pause: float


def faults(seed: int, seconds: float, *, disk: bool) -> Iterator[Fault]:
    """Yield faults endlessly; each fault of the recorder's files once, one in each half.

    Without `disk`, there is no full disk.
    """
    dice = random.Random(seed)
    held = [Kind.FULL_DISK, Kind.LOCKED_DATABASE] if disk else [Kind.LOCKED_DATABASE]
    dice.shuffle(held)
    due = [(n + 0.25) * seconds / len(held) for n in range(len(held))]
    passed = 0.0
    while True:
        pause = dice.uniform(*PAUSE_S)
        passed += pause
        if held and passed >= due[0]:
            passed += HOLD_S
            due.pop(0)
            yield Fault(held.pop(0), "recorder", pause)
        else:
            kind = dice.choice([kind for kind in Kind if kind.is_of_process])
            yield Fault(kind, dice.choice(list(STAGES)), pause)
