"""The progress bar: what a terminal shows, and what is left in a log."""

import io
import re

import pytest
from rich.console import Console

from emostream.shared.progress import ProgressBar
from tests.builders import Clock


class Terminal(io.StringIO):
    """What a terminal shows."""

    def isatty(self) -> bool:
        return True

    def states(self) -> list[str]:
        """Each state of the line, without colors and the bar itself."""
        plain = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", self.getvalue())
        return [re.sub(r" [━╸╺][━╸╺ ]*", " ", line).strip() for line in plain.split("\r")]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")


def bar(out: io.StringIO, clock: Clock, title: str, total: int | None, unit: str) -> ProgressBar:
    console = Console(file=out, width=100)
    return ProgressBar(title, total, unit, console=console, clock=clock)


def test_a_terminal_shows_one_line_that_changes_five_times_a_second(clock: Clock) -> None:
    out = Terminal()
    with bar(out, clock, "epoch 1", 100, "steps") as shown:
        for done in range(1, 101):
            clock.now += 0.0625
            shown.update(done, note=f"loss {1 / done:.2f}")
    states = out.states()
    assert states[0] == "epoch 1 0/100 steps"
    assert states[1] == "epoch 1 4/100 steps, 16.0/s, 0:00:06 left, loss 0.25"
    assert states[-2] == "epoch 1 100/100 steps, 16.0/s, loss 0.01"
    assert 25 <= len(states) <= 28
    assert out.getvalue().count("\n") == 1


def test_a_log_gets_a_line_each_half_minute_and_one_at_the_end(clock: Clock) -> None:
    out = io.StringIO()
    with bar(out, clock, "epoch 1", 100, "steps") as shown:
        for done in range(1, 101):
            clock.now += 1.0
            shown.update(done, note="loss 1.0")
        shown.update(100)
    assert out.getvalue().splitlines() == [
        "epoch 1: 30/100 steps, 1.0/s, 0:01:10 left, loss 1.0",
        "epoch 1: 60/100 steps, 1.0/s, 0:00:40 left, loss 1.0",
        "epoch 1: 90/100 steps, 1.0/s, 0:00:10 left, loss 1.0",
        "epoch 1: 100/100 steps, 1.0/s, loss 1.0",
    ]


def test_a_low_rate_is_shown_per_minute(clock: Clock) -> None:
    out = io.StringIO()
    with bar(out, clock, "simulating", 4, "plants") as shown:
        for _ in range(2):
            clock.now += 40.0
            shown.advance()
    assert out.getvalue().splitlines()[-1] == "simulating: 2/4 plants, 1.5/min, 0:01:20 left"


def test_without_a_known_end_it_counts_and_leaves_a_whole_line(clock: Clock) -> None:
    out = Terminal()
    with bar(out, clock, "film[1].mp4: frames", None, "") as shown:
        for done in (5, 9):
            clock.now += 1.0
            shown.update(done)
    assert [*out.states()[1:3]] == ["film[1].mp4: frames 5, 5.0/s", "film[1].mp4: frames 9, 4.5/s"]
    assert out.getvalue().count("\n") == 1


def test_a_total_that_was_estimated_too_low_is_passed(clock: Clock) -> None:
    out = Terminal()
    with bar(out, clock, "film", 10, "frames") as shown:
        clock.now += 1.0
        shown.update(25)
    assert out.states()[1] == "film 25/10 frames, 25.0/s"


def test_the_total_may_be_learned_on_the_way(clock: Clock) -> None:
    out = io.StringIO()
    with bar(out, clock, "judging", None, "faces") as shown:
        clock.now += 40.0
        shown.update(1000, 3000)
        shown.advance()
        clock.now += 30.0
        shown.advance()
    assert out.getvalue().splitlines() == [
        "judging: 1,000/3,000 faces, 25.0/s, 0:01:20 left",
        "judging: 1,002/3,000 faces, 14.3/s, 0:02:20 left",
    ]


def test_a_narrow_terminal_cuts_the_title_and_not_the_figures(clock: Clock) -> None:
    out = Terminal()
    console = Console(file=out, width=60)
    title = "a long name of an interview.mp4: annotated video"
    with ProgressBar(title, 3000, "frames", console=console, clock=clock) as shown:
        clock.now += 1.0
        shown.update(20)
    assert out.states()[1].endswith("20/3,000 frames, 20.0/s, 0:02:29 left")


def test_results_on_stdout_stay_there(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("work", 1) as shown:
        print("a result")
        shown.advance()
    printed = capsys.readouterr()
    assert printed.out == "a result\n"
    assert printed.err.startswith("work: 1/1")
