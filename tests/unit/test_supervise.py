"""The supervisor's limit on restarts (its processes are tested with real ones)."""

from emostream.services.cli.processes.supervise import RESTARTS, WITHIN, RestartLimit


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_five_restarts_in_a_minute_are_allowed_and_no_sixth() -> None:
    limit = RestartLimit(Clock())
    assert [limit.allows() for _ in range(RESTARTS + 1)] == [True] * RESTARTS + [False]


def test_restarts_that_are_far_apart_never_end() -> None:
    clock = Clock()
    limit = RestartLimit(clock)
    for _ in range(100):
        assert limit.allows()
        clock.now += WITHIN / RESTARTS + 1
