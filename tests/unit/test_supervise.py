"""The rules of starting a stage again (with real processes: tests/system/test_supervise.py)."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from emostream.services.cli.processes.launchers import Launchers, lives
from emostream.services.cli.processes.restarts import (
    LONGEST_WAIT_S,
    RESTARTS,
    RULES,
    WITHIN_S,
    End,
    Restart,
    RestartPolicy,
    end_of,
)
from emostream.shared.errors import ExitCode
from emostream.shared.logs import HONCHO_PROCESS
from tests.builders import Clock

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
NOW = Restart(0.0, is_down=False)


class Stage:
    """A stage of a pipeline or an analysis that runs for some seconds and ends."""

    def __init__(self, kind: Any = "pipeline") -> None:
        self.clock = Clock()
        self.policy = RestartPolicy(kind, self.clock)

    def ends(self, end: End = End.SIGNAL, after: float = 0.0) -> Restart | None:
        """Return what follows; the stage is restarted after the wait."""
        self.clock.now += after
        restart = self.policy.after(end)
        self.clock.now += restart.wait if restart else 0.0
        self.policy.started()
        return restart


def test_the_table_of_the_documentation_is_that_of_the_code() -> None:
    text = OPERATIONS.read_text("utf-8")
    table = text[text.index("| ended by |") :].partition("\n\n")[0]
    rows = [tuple(re.split(r" *\| *", line)[1:4]) for line in table.splitlines()[2:]]
    assert rows == [
        (end.value, rule.pipeline.value, rule.analysis.value) for end, rule in RULES.items()
    ]
    assert list(RULES) == list(End)


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (-15, End.SIGNAL), (-9, End.SIGNAL), (-11, End.SIGNAL), (ExitCode.OK, End.OK),
        (ExitCode.FAILURE, End.FAILURE), (ExitCode.USAGE, End.USAGE),
        (ExitCode.UNAVAILABLE, End.UNAVAILABLE), (ExitCode.STOPPED, End.STOPPED),
        (ExitCode.INCOMPLETE, End.FAILURE), (ExitCode.INTERRUPTED, End.FAILURE), (7, End.FAILURE),
    ],
)  # fmt: skip
def test_an_exit_code_says_how_it_ended(code: int, end: End) -> None:
    assert end_of(code) is end


@pytest.mark.parametrize("end", [End.SIGNAL, End.OK, End.FAILURE])
def test_after_five_restarts_in_a_minute_it_is_down_and_waits_longer_and_longer(end: End) -> None:
    stage = Stage()
    assert [stage.ends(end) for _ in range(RESTARTS)] == [NOW] * RESTARTS
    waits = [stage.ends(end) for _ in range(9)]
    assert waits == [
        Restart(wait, is_down=True) for wait in (1, 2, 4, 8, 16, 32, 60, 60, LONGEST_WAIT_S)
    ]


def test_waits_have_a_bound_however_often_it_ends() -> None:
    stage = Stage()
    for _ in range(2000):
        last = stage.ends()
    assert last == Restart(LONGEST_WAIT_S, is_down=True)


def test_a_stage_that_ran_for_a_minute_is_down_no_more() -> None:
    stage = Stage()
    for _ in range(RESTARTS + 3):
        stage.ends()
    stage.clock.now += WITHIN_S - 1
    assert not stage.policy.recovers()
    stage.clock.now += 1
    assert stage.policy.recovers()
    assert not stage.policy.recovers()
    assert stage.ends() == NOW


def test_restarts_that_are_far_apart_never_count() -> None:
    stage = Stage()
    assert {stage.ends(after=WITHIN_S / RESTARTS + 1) for _ in range(100)} == {NOW}


def test_what_may_come_is_waited_for_and_is_down_after_five_tries() -> None:
    stage = Stage()
    tries = [stage.ends(End.UNAVAILABLE) for _ in range(7)]
    waits = (1, 2, 4, 8, 16, 32, 60)
    assert tries == [Restart(w, is_down=n >= RESTARTS) for n, w in enumerate(waits)]


@pytest.mark.parametrize("end", [End.USAGE, End.STOPPED])
def test_what_a_restart_cannot_fix_is_final(end: End) -> None:
    assert Stage().ends(end) is None
    assert Stage("analysis").ends(end) is None


def test_an_analysis_ends_where_a_stage_cannot_come_back() -> None:
    stage = Stage("analysis")
    assert [stage.ends() for _ in range(RESTARTS + 1)] == [NOW] * RESTARTS + [None]
    assert Stage("analysis").ends(End.UNAVAILABLE) is None


class Ancestor(psutil.Process):
    """A process above this one; `vanishes` says at which look it is found to be gone."""

    def __init__(self, above: "Ancestor | None" = None, *, vanishes: bool = False) -> None:
        super().__init__()
        self.above = above
        self.vanishes = vanishes

    def parent(self) -> psutil.Process | None:
        if self.vanishes:
            raise psutil.NoSuchProcess(1)
        return self.above

    def is_running(self) -> bool:
        return not self.vanishes

    def status(self) -> Any:
        if self.vanishes:
            raise psutil.NoSuchProcess(1)
        return psutil.STATUS_SLEEPING


@pytest.mark.parametrize(
    ("process", "live"),
    [
        # Above honcho anything may come and go; nobody looks at it.
        (Ancestor(Ancestor(Ancestor(Ancestor(vanishes=True)))), True),
        (Ancestor(Ancestor(vanishes=True)), False),
        (Ancestor(Ancestor(None)), False),
        (Ancestor(vanishes=True), False),
        (Ancestor(Ancestor(Ancestor(vanishes=True))), False),
    ],
    ids=["above honcho", "the worker", "orphan", "itself", "honcho"],
)
def test_an_ancestor_that_vanishes_at_any_moment_is_no_crash(
    process: Ancestor, live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HONCHO_PROCESS, "capture.1")
    launchers = Launchers(process)
    assert launchers.exist
    assert launchers.live is live


def test_without_honcho_no_ancestor_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HONCHO_PROCESS, raising=False)
    launchers = Launchers(psutil.Process())
    assert (launchers.exist, launchers.live) == (False, True)


def test_a_process_that_ended_before_the_look_is_no_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(HONCHO_PROCESS, "capture.1")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = psutil.Process(child.pid)
    child.communicate()
    assert not Launchers(process).live
    assert not lives(process)


def test_a_process_that_may_not_be_looked_at_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: psutil.Process) -> str:
        raise psutil.AccessDenied(1)

    monkeypatch.setattr(psutil.Process, "status", refuse)
    assert lives(psutil.Process())
