"""What the benchmark of batches makes of its samples."""

from benchmarks.batch.__main__ import at_quarters
from benchmarks.batch.processes import ACTORS, Sample


def sample(done: int, *kinds: str, seconds: float = 0.0) -> Sample:
    return Sample(seconds, done, dict.fromkeys(("driver", *kinds), 100.0))


def test_memory_is_shown_at_each_quarter_of_the_work_while_there_are_actors() -> None:
    starting = [sample(0), sample(0, ACTORS)]
    # The second half takes ten times as long as the first one.
    working = [sample(done, ACTORS) for done in (1, 20, 40, 60, *[61] * 50, 81, *[90] * 50, 101)]
    ending = [sample(102), sample(102)]
    shown = at_quarters([*starting, *working, *ending])
    assert [one.done for one in shown] == [1, 40, 60, 81, 101]
    assert all(ACTORS in one.memory for one in shown)


def test_without_progress_nothing_is_shown() -> None:
    assert at_quarters([sample(0), sample(0, ACTORS)]) == []
