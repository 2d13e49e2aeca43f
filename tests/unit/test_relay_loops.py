"""A relay knows by marks that come back which of its sources are in a loop, and when no longer."""

from emostream.shared.clocks import TOPIC
from emostream.shared.relay_loops import FREE_AFTER_S, RelayLoops
from tests.builders import Clock


def test_a_source_is_in_a_loop_while_its_mark_comes_back_and_some_seconds_after() -> None:
    clock = Clock()
    loops = RelayLoops(["a", "b"], clock)
    loops.look({"emotion/"})
    assert not loops.has("a")
    for _ in range(60):
        loops.look({"emotion/", loops.marks["a"]})
        assert (loops.has("a"), loops.has("b")) == (True, False)
        clock.now += 1
    loops.look({"emotion/"})
    clock.now += FREE_AFTER_S[0] - 1.1
    assert loops.has("a")
    clock.now += FREE_AFTER_S[1]
    assert not loops.has("a")


def test_its_own_marks_go_no_further_and_those_of_others_do() -> None:
    loops, others = RelayLoops(["a"]), RelayLoops(["a"])
    asked = frozenset({"emotion/", loops.marks["a"], others.marks["a"]})
    assert loops.others(asked) == {"emotion/", others.marks["a"]}
    assert loops.is_mark(loops.marks["a"])
    assert not loops.is_mark(others.marks["a"])


def test_every_peer_may_ask_for_a_mark() -> None:
    marks = RelayLoops([f"tcp://host-{number}:5553" for number in range(1000)]).marks.values()
    assert all(map(TOPIC.fullmatch, marks))
    assert len(set(marks)) == 1000
