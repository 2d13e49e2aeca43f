"""What `emostream subscribe` prints, and when it ends."""

import argparse

import pytest

from emostream.services.cli.subscribe import command as subscribe
from emostream.shared.errors import BusError, ConfigError
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Emotion, EmotionFace, Event, Message

TRACK = (1_760_000_000 << 20) | 7
FACE = EmotionFace(
    track=TRACK, box=(1.0, 2.0, 3.0, 4.0), probabilities={"sadness": 1.0},
    smoothed={"sadness": 0.7, "fear": 0.3}, label="sadness", confidence=0.7,
)  # fmt: skip


def header(stream="cam1", **fields):
    return {
        "stream": stream, "run": "r", "seq": 3, "t": 1_760_000_000_123_456_789, "pts": 5,
        "marks": {},
    } | fields  # fmt: skip


def event(kind="enter", label="happiness", previous="", **fields):
    return Message(
        Event(
            **header(**fields), kind=kind, track=TRACK, label=label, previous=previous,
            confidence=0.714, since=0,
        )
    )  # fmt: skip


def emotion(*faces, degraded=False, **fields):
    return Message(
        Emotion(**header(**fields), model="m", faces=faces, part=0, parts=1, degraded=degraded)
    )


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (event("enter"), "cam1 #7 enter happiness 71%"),
        (event("change", "fear", "happiness"), "cam1 #7 change happiness -> fear 71%"),
        (event("leave", "fear"), "cam1 #7 leave fear 71%"),
        (emotion(FACE), "cam1 frame 3 #7 sadness 70%"),
        (emotion(FACE, FACE), "cam1 frame 3 #7 sadness 70%, #7 sadness 70%"),
        (emotion(), "cam1 frame 3 no face"),
        (emotion(degraded=True), "cam1 frame 3 the model fails"),
    ],
)
def test_a_line_reads_well(message, words):
    time, *rest = subscribe.line(message).plain.split()
    assert rest == words.split()
    assert time.endswith(".123")


def test_lines_stand_below_each_other():
    lines = [
        subscribe.line(message).plain
        for message in (event("enter"), event("change", "contempt", "happiness"), event("leave"))
    ]
    assert len({line.index("71%") for line in lines}) == 1
    assert len({line.index("#7") for line in lines}) == 1


class Clock:
    """Time that passes only while someone waits."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Waits(FifoInbox):
    """An inbox in which messages come at given seconds, on a clock that is not real."""

    def __init__(self, clock, arrivals):
        super().__init__()
        self.clock, self.arrivals = clock, arrivals

    def take(self, limit, timeout, linger=0.0):
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
def test_silence_is_explained_once(arrivals, timeout, hints, messages):
    clock, said = Clock(), []
    inbox = Waits(clock, arrivals)
    came = list(subscribe.listen(inbox, timeout, lambda: said.append(clock.now), clock))
    assert (len(said), len(came)) == (hints, messages)
    assert clock.now == pytest.approx(100.0 + timeout)
    assert said == [105.0] * hints


def test_probes_and_ends_are_not_printed():
    inbox = FifoInbox()
    for message in (emotion(end=True, frames=3), emotion(probe=True, pid=1), event()):
        inbox.put(message)
    came = subscribe.listen(inbox, None, lambda: None)
    assert next(came).header.kind == "enter"


@pytest.mark.parametrize(("count", "printed", "code"), [(None, 3, 0), (2, 2, 0), (9, 3, 1)])
def test_the_exit_code_says_whether_enough_came(capsys, count, printed, code):
    messages = iter([event()] * 3)
    assert subscribe.print_all(messages, lambda _: "x", count) == code
    assert capsys.readouterr().out == "x\n" * printed


def parsed(*words):
    parser = argparse.ArgumentParser()
    subscribe.add_options(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("words", [("--count", "0"), ("--count", "x"), ("--timeout", "-1")])
def test_numbers_below_one_are_refused(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        parsed(*words)
    assert "invalid positive" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("--stream", "Cam 1"), ConfigError, "--stream Cam 1"),
        (("--endpoint", "nonsense"), BusError, "nonsense"),
    ],
)
def test_bad_input_gets_a_clear_error(words, error, said):
    options = parsed(*words)
    with pytest.raises(error, match=said):
        subscribe.run(options)
