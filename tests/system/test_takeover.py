"""A standby next to an active classifier that is killed, as real processes that encrypt."""

from pathlib import Path

from benchmarks.takeover import LONGEST_GAP_S, event_faults, run, with_keys
from emostream.shared.config import load
from tests import builders
from tests.system.conftest import DEFAULT


def test_a_standby_takes_over_and_hands_back_over_encrypted_connections(tmp_path: Path) -> None:
    config = with_keys(load(DEFAULT), tmp_path / "keys")
    heard, (killed,), unexplained = run(config, tmp_path, kills=1, seed=1)
    assert heard.longest_gap(killed, heard.answers[-1][0]) <= LONGEST_GAP_S
    answers = sorted((one for _, one in heard.answers), key=lambda one: one.t)
    assert any(one.standby for one in answers), "nobody took over"
    assert not answers[-1].standby, "nobody handed back"
    assert len({one.seq for one in answers}) == len(answers)
    implied, missing, doubled = event_faults(answers, heard.events)
    assert (missing, doubled) == (0, 0), implied
    assert unexplained == 0


def test_events_that_do_not_fit_the_answers_are_found() -> None:
    """The measure itself: what is missing and what is doubled."""
    labels = ("fear", "fear", "anger")
    answers = [builders.emotion(n, builders.face(label=one)) for n, one in enumerate(labels)]
    enter, change = builders.event(0, "enter"), builders.event(2, "change", label="anger")
    assert event_faults(answers, [enter, change]) == (2, 0, 0)
    assert event_faults(answers, [enter]) == (2, 1, 0)
    assert event_faults(answers, [enter, enter, change]) == (2, 0, 1)
