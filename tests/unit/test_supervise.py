"""The supervisor's limit on restarts (its processes are tested with real ones)."""

from emostream.services.cli.processes.restarts import FINAL, RESTARTS, WITHIN, RestartLimit
from emostream.shared.errors import ExitCode
from tests.builders import Clock


def test_five_restarts_in_a_minute_are_allowed_and_no_sixth() -> None:
    limit = RestartLimit(Clock())
    assert [limit.allows(1) for _ in range(RESTARTS + 1)] == [True] * RESTARTS + [False]


def test_restarts_that_are_far_apart_never_end() -> None:
    clock = Clock()
    limit = RestartLimit(clock)
    for _ in range(100):
        assert limit.allows(1)
        clock.now += WITHIN / RESTARTS + 1


def test_what_a_restart_cannot_fix_is_not_restarted_and_counts_for_nothing() -> None:
    limit = RestartLimit(Clock())
    assert not any(limit.allows(code) for code in FINAL for _ in range(RESTARTS + 1))
    assert limit.allows(-9)


def test_a_restart_helps_only_after_a_failure_or_a_signal() -> None:
    assert set(FINAL) == {ExitCode.USAGE, ExitCode.UNAVAILABLE, ExitCode.STOPPED}
