"""The JSON Schemas: made from the code, and true of what the stages really say."""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgpack
import pytest
from jsonschema import Draft202012Validator, ValidationError
from prometheus_client import CollectorRegistry

from docs.schemas import generate as schema
from emostream.models import load
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.capture.framer import Framer
from emostream.services.capture.lossless.credit_window import CreditWindow
from emostream.services.capture.picture import Picture
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.stage import ClassifierStage
from emostream.services.detector.backends import create
from emostream.services.detector.stage import DetectorStage
from emostream.services.detector.tiling import Tiling
from emostream.services.detector.tracking import track_ids
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.config import Lossless
from emostream.shared.messages import KINDS, Control, Credit, Message, stamped
from emostream.shared.replay_sequence import ReplaySequence
from emostream.shared.wire import encode
from tests.builders import COMMON
from tests.conftest import fail_with
from tests.recorders import lossless_recorder

# A message's kind and its header as a program without emostream reads it.
Told: TypeAlias = tuple[str, dict[str, Any]]
FRAMES = 12
SIZE = (640, 360)


def as_json(value: object) -> Any:
    """Return what msgpack gave in the form that JSON has for it: bytes as base64."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {key: as_json(item) for key, item in value.items()}
        case list():
            return [as_json(item) for item in value]
        case _:
            return value


def told(message: Message) -> Told:
    topic, header, *_ = encode(message)
    return bytes(topic).decode().partition("/")[0], as_json(msgpack.unpackb(bytes(header)))


def check(kind: str, header: Mapping[str, Any]) -> None:
    read = json.loads((schema.FOLDER / f"{kind}.json").read_text("utf-8"))
    Draft202012Validator(read).validate(header)


class Run:
    """A film's way through the real stages, in lossless delivery, which has every kind of message.

    Lists stand instead of the sockets.
    """

    def __init__(self, folder: Path) -> None:
        self.messages: list[Message] = []
        detector = DetectorStage(create("blazeface"), track_ids(time.time()), tiling=Tiling(0, 1))
        metrics = ClassifierMetrics(CollectorRegistry())
        classifier = ClassifierStage(load(), metrics, SmoothingRules(), 32)
        self.stages = {
            "detector": ReplaySequence("detector", detector, detector, 4),
            "classifier": ReplaySequence(
                "classifier", classifier, lambda one: classifier([one]), 4
            ),
        }
        self.archive = ArchiveWriter(folder / "emostream.db")
        self.recorder = lossless_recorder(self.archive, fail_with)
        self.framer = Framer("bgr8", 90)
        self.window = CreditWindow(
            [self.framer.template("film")], Lossless(credit_from=("recorder",))
        )

    def go(self) -> list[Message]:
        pictures = self.pictures()
        while not self.window.is_done:
            self.pass_on(self.window.due())
            if self.window.has_room:
                self.pass_on(self.window.add(next(pictures)))
        self.archive.close()
        return self.messages

    def pictures(self) -> Iterator[Message]:
        demo = DemoScene(*SIZE)
        for n in range(FRAMES):
            yield self.framer.frame("film", Picture(demo.frame(n), n * 40_000_000))
        yield self.framer.end("film", "it ended early")

    def pass_on(self, messages: list[Message]) -> None:
        waiting = [stamped(message, "capture", time.time_ns()) for message in messages]
        self.messages += waiting
        for name, sequence in self.stages.items():
            waiting = [
                stamped(answer, name, time.time_ns())
                for message in waiting
                for answer in (
                    sequence.work(message)
                    if sequence.expects(message)
                    else sequence.repeat(message)
                )
            ]
            self.messages += waiting
        credits = self.recorder(waiting)
        self.messages += credits
        for credit in credits:
            assert isinstance(credit.header, Credit)
            self.window.record_credit(credit.header)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    """The kind and the header of all that a run says, and of a control message."""
    messages = Run(tmp_path_factory.mktemp("run")).go()
    messages.append(Message(Control(**COMMON, command="blur", arguments={"on": True})))
    return [told(message) for message in messages]


def test_the_schemas_are_those_of_the_code() -> None:
    written = {path.stem: path.read_text("utf-8") for path in schema.FOLDER.glob("*.json")}
    made = {name: schema.text(name) for name in KINDS}
    assert written == made, "write them again with: python -m docs.schemas.generate"


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one_and_describes_every_key(kind: str) -> None:
    made = schema.schema(kind)
    Draft202012Validator.check_schema(made)
    for part in (made, *made.get("$defs", {}).values()):
        assert all(value["description"] for value in part["properties"].values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_and_the_schema_name_the_same_keys(kind: str) -> None:
    meanings = schema.meanings(schema.COMMON) | schema.meanings(f"`{kind}/`")
    assert set(schema.schema(kind)["properties"]) == set(meanings)
    for part, described in schema.schema(kind).get("$defs", {}).items():
        assert set(described["properties"]) == set(schema.meanings(f"`{part}` in `{kind}/`"))


def test_all_that_a_run_says_follows_its_schema(said: list[Told]) -> None:
    for kind, header in said:
        check(kind, header)


def test_the_run_said_everything(said: list[Told]) -> None:
    seen = {kind: [header for name, header in said if name == kind] for kind in KINDS}
    assert all(seen.values())
    for kind in ("frame", "faces", "emotion"):
        assert {"probe", "end", "pid", "frames", "error"} <= set().union(*seen[kind])
        assert sum(not ({"probe", "end"} & header.keys()) for header in seen[kind]) == FRAMES
    assert {event["kind"] for event in seen["event"]} == {"enter", "leave"}
    for kind in ("emotion", "credit"):
        assert any("states" in header for header in seen[kind])
    assert any(header["faces"] for header in seen["emotion"] if "end" not in header)


def first(said: list[Told], kind: str) -> dict[str, Any]:
    return next(header for name, header in said if name == kind and not {"probe"} & header.keys())


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *((kind, {"seq": -2}) for kind in KINDS),
        *((kind, {"v": 2}) for kind in KINDS),
        *((kind, {"stream": "Front Door"}) for kind in KINDS),
        *((kind, {"run": None}) for kind in KINDS),
        ("frame", {"encoding": "png"}),
        ("frame", {"width": 0}),
        ("faces", {"faces": [{"track": 1}]}),
        ("faces", {"crop": [64]}),
        ("emotion", {"faces": 3}),
        ("emotion", {"degraded": 0}),
        ("event", {"kind": "arrive"}),
        ("event", {"track": "7"}),
        ("credit", {"consumer": 1}),
        ("control", {"arguments": []}),
    ],
)
def test_a_wrong_message_does_not(said: list[Told], kind: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check(kind, first(said, kind) | change)


@pytest.mark.parametrize("kind", KINDS)
def test_no_key_may_be_missing_and_others_may_come(said: list[Told], kind: str) -> None:
    header = first(said, kind)
    check(kind, header | {"exposure": 3})
    for key in ("v", "stream", "marks"):
        with pytest.raises(ValidationError, match=f"'{key}' is a required property"):
            check(kind, {name: value for name, value in header.items() if name != key})
