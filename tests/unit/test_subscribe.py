"""What `emostream subscribe` prints, and when it ends."""

import argparse
from typing import Any

import pytest

from emostream.services.cli.numbered_faces import NumberedFaces
from emostream.services.cli.subscribe import command as subscribe
from emostream.shared.errors import BusError, ConfigError
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import EmotionFace, Event, Message
from tests import builders
from tests.builders import Clock, face, header_of

TRACK = (1_760_000_000 << 20) | 7
T = 1_760_000_000_123_456_789
FACE = face(TRACK, "sadness", confidence=0.7)
OTHER = face(TRACK + 4711, "fear", confidence=0.6)


def event(kind: str = "enter", label: str = "happiness", previous: str = "") -> Message:
    told = {"track": TRACK, "label": label, "previous": previous, "confidence": 0.714}
    return Message(builders.event(3, kind, t=T, **told))


def emotion(*faces: EmotionFace, **fields: Any) -> Message:
    return Message(builders.emotion(3, *faces, t=T, **fields))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (event("enter"), "cam1 #1 enter happiness 71%"),
        (event("change", "fear", "happiness"), "cam1 #1 change happiness -> fear 71%"),
        (event("leave", "fear"), "cam1 #1 leave fear 71%"),
        (emotion(FACE), "cam1 frame 3 #1 sadness 70%"),
        (emotion(FACE, OTHER), "cam1 frame 3 #1 sadness 70%, #2 fear 60%"),
        (emotion(), "cam1 frame 3 no face"),
        (emotion(part=1, parts=2), "cam1 frame 3 part 2 of 2 no face"),
        (emotion(FACE, standby=True), "cam1 frame 3 #1 sadness 70% (standby)"),
        (emotion(degraded=True), "cam1 frame 3 the model fails"),
    ],
)
def test_a_line_reads_well(message: Message, words: str) -> None:
    time, *rest = subscribe.line(message, NumberedFaces()).plain.split()
    assert rest == words.split()
    assert time.endswith(".123")


def test_lines_stand_below_each_other() -> None:
    numbered = NumberedFaces()
    lines = [
        subscribe.line(message, numbered).plain
        for message in (event("enter"), event("change", "contempt", "happiness"), event("leave"))
    ]
    assert len({line.index("71%") for line in lines}) == 1
    assert len({line.index("#1") for line in lines}) == 1


class Waits(FifoInbox):
    """An inbox in which messages come at given seconds, on a clock that is not real."""

    def __init__(self, clock: Clock, arrivals: list[float]) -> None:
        super().__init__()
        self.clock, self.arrivals = clock, arrivals

    def take(self, limit: int, timeout: float, linger: float = 0.0) -> list[Message]:
        assert timeout > 0
        self.clock.now += timeout
        due = [when for when in self.arrivals if 100.0 + when <= self.clock.now]
        self.arrivals = self.arrivals[len(due) :]
        return [event() for _ in due]


@pytest.mark.parametrize(
    ("arrivals", "timeout", "hints", "messages"),
    [
        ([], 4.9, 0, 0),
        ([], 30.0, 1, 0),
        ([1.0], 30.0, 0, 1),
        ([7.0, 8.0, 29.0], 30.0, 1, 3),
        ([7.0, 31.5], 30.0, 1, 1),
    ],
)
def test_silence_is_explained_once(
    arrivals: list[float], timeout: float, hints: int, messages: int
) -> None:
    clock, said = Clock(), list[float]()
    inbox = Waits(clock, arrivals)
    came = list(subscribe.listen(inbox, timeout, lambda: said.append(clock.now), clock))
    assert (len(said), len(came)) == (hints, messages)
    assert clock.now == pytest.approx(100.0 + timeout)
    assert said == [105.0] * hints


def test_probes_and_ends_are_not_printed() -> None:
    inbox = FifoInbox()
    for message in (emotion(end=True, frames=3), emotion(probe=True, pid=1), event()):
        inbox.put(message)
    came = subscribe.listen(inbox, None, lambda: None)
    assert header_of(next(came), Event).kind == "enter"


@pytest.mark.parametrize(("count", "printed", "code"), [(None, 3, 0), (2, 2, 0), (9, 3, 1)])
def test_the_exit_code_says_whether_enough_came(
    capsys: pytest.CaptureFixture[str], count: int | None, printed: int, code: int
) -> None:
    messages = iter([event()] * 3)
    assert subscribe.print_all(messages, lambda _: "x", count) == code
    assert capsys.readouterr().out == "x\n" * printed


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    subscribe.add_options(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("words", [("--count", "0"), ("--count", "x"), ("--timeout", "-1")])
def test_numbers_below_one_are_refused(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parsed(*words)
    assert f"argument {words[0]}: {words[1]!r} is not a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("--stream", "Cam 1"), ConfigError, "--stream Cam 1"),
        (("--endpoint", "nonsense"), BusError, "nonsense"),
    ],
)
def test_bad_input_gets_a_clear_error(
    words: tuple[str, ...], error: type[Exception], said: str
) -> None:
    options = parsed(*words)
    with pytest.raises(error, match=said):
        subscribe.run(options)
