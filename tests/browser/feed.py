"""A display that plays the demo with its true boxes and labels, without a pipeline."""

import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from emostream.models.labels import LABELS
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.display.commands import CommandHandler
from emostream.services.display.display_state import DisplayState
from emostream.services.display.metrics import DisplayMetrics
from emostream.services.display.page_sink import PageSink
from emostream.services.display.stage import DisplayStage
from emostream.services.display.status_poller import StatusPoller
from emostream.services.display.viewers import ViewerPool
from emostream.services.display.web.access import Access
from emostream.services.display.web.app import DEFAULTS, application
from emostream.services.display.web.server import PageServer
from emostream.shared.config import Config
from emostream.shared.control import StreamSwitch
from emostream.shared.messages import (
    Control,
    Emotion,
    EmotionFace,
    EmotionPrior,
    Event,
    Frame,
    LeftOut,
    Message,
)

FPS = 25
CONFIDENCE = 0.86
# The first pictures, which each test shows, are drawn once and kept: 3 MB each.
KEPT = 75


@functools.cache
def demo() -> DemoScene:
    """Return the demo; its people take a second to draw, once."""
    return DemoScene()


def picture(seq: int) -> bytes:
    """Return the demo's picture, the same for all streams; drawing takes longest of all."""
    return _kept_picture(seq) if seq < KEPT else _picture(seq)


@functools.lru_cache(maxsize=1)
def _picture(seq: int) -> bytes:
    return demo().frame(seq).tobytes()


@functools.cache
def _kept_picture(seq: int) -> bytes:
    return _picture(seq)


class Feed:
    """Shows the streams on its own page until closed.

    What a test changes: `answering` (whether results come), `standby` (whether a standby gives
    them), `answer_every` (of how many frames one gets them), `playing` (the streams that continue),
    `faces` (whether there are any), `broken` (whether pictures can be decoded), `left_out` (why the
    first face counts for nothing, "" if it counts), `named` (what the model calls the demo's
    emotions; faces with one that it does not have are not sent), `report` (what the stages say),
    `prior` (what the model states), `obedient` (whether there is a recorder that records when told
    to), `capture_time` (the `t` of frame number `seq`, in ns; by default when it is sent).

    `frames` counts what was shown of all streams.
    """

    def __init__(
        self,
        *streams: str,
        access: Access | None = None,
        config: Config = DEFAULTS,
        left_out: LeftOut = "",
    ) -> None:
        self.demo = demo()
        self.answering, self.faces, self.broken = True, True, False
        self.standby = False
        self.answer_every = 1
        self.playing = set(streams)
        self.frames, self.obedient = 0, True
        self.left_out = left_out
        self.capture_time: Callable[[int], int] = lambda seq: time.time_ns()
        self.named = {label: label for label in LABELS}
        self.registry = CollectorRegistry()
        self.prior: EmotionPrior | None = None
        self._streams = streams
        metrics = DisplayMetrics(self.registry)
        pool = ViewerPool(metrics.count_skipped, metrics.viewers.set)
        state = DisplayState()
        self.commands = CommandHandler(StreamSwitch(False))
        self._stage = DisplayStage(
            [PageSink(pool, metrics, self.commands.blur)], state, self.commands, metrics,
            lambda error: None, wait=0.2,
        )  # fmt: skip
        self._labels: dict[tuple[str, int], str] = {}
        self._stop = threading.Event()
        self.poller = StatusPoller({}, lambda: False)
        self.report(recording=dict.fromkeys(streams, False))
        access = access or Access()
        site = application(pool, state, self.commands, self.poller, access, self._stop, config)
        self.server = PageServer("display", "127.0.0.1", 0, site)
        self._thread = threading.Thread(target=self._play)

    def __enter__(self) -> "Feed":
        self.server.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.server.__exit__()

    def metric(self, name: str) -> float:
        return self.registry.get_sample_value(f"emostream_display_{name}") or 0.0

    def report(self, **changes: Any) -> None:
        """Have the stages say something else."""
        self.poller.status = msgspec.structs.replace(self.poller.status, **changes)

    def _play(self) -> None:
        for seq in count():
            if self._stop.wait(1 / FPS):
                return
            for stream in self._streams:
                if stream in self.playing:
                    self._obey(self._stage(list(self._messages(stream, seq))))
                    self.frames += 1
            self._obey(self._stage([]))

    def _obey(self, messages: Sequence[Message]) -> None:
        """Do what a recorder does with commands."""
        for message in messages:
            header = message.header
            if isinstance(header, Control) and header.command == "record" and self.obedient:
                on = bool(header.arguments["on"])
                self.report(recording={**self.poller.status.recording, header.stream: on})

    def _messages(self, stream: str, seq: int) -> Iterator[Message]:
        common: dict[str, Any] = {
            "stream": stream, "run": "r", "seq": seq, "t": self.capture_time(seq),
            "pts": seq * 10**9 // FPS, "marks": {},
        }  # fmt: skip
        yield Message(*self._picture(common, seq))
        if not self.answering or seq % self.answer_every:
            return
        truth = [face for face in self.demo.truth(seq) if self.faces and face.label in self.named]
        faces = tuple(emotion_face(face, self.named) for face in truth)
        if self.left_out:
            poor = {"label": "", "confidence": 0.0, "left_out": self.left_out}
            faces = (msgspec.structs.replace(faces[0], **poor), *faces[1:])
        for face in faces:
            if face.left_out:
                continue
            previous = self._labels.get((stream, face.track), "")
            if previous != face.label:
                self._labels[stream, face.track] = face.label
                yield Message(
                    Event(
                        **common, kind="change" if previous else "enter", track=face.track,
                        label=face.label, previous=previous, confidence=CONFIDENCE, since=0,
                    )
                )  # fmt: skip
        yield Message(
            Emotion(
                **common, model="true", faces=faces, part=0, parts=1, degraded=False,
                prior=self.prior, standby=self.standby,
            )
        )  # fmt: skip

    def _picture(self, common: dict[str, Any], seq: int) -> tuple[Frame, bytes]:
        size: dict[str, Any] = {"width": self.demo.width, "height": self.demo.height}
        if self.broken:
            return Frame(**common, **size, encoding="jpeg"), b"no jpeg"
        return Frame(**common, **size, encoding="bgr8"), picture(seq)


def track_of(person: int) -> int:
    """Return an id as the detector gives it: 1,700,000,000 s since the epoch, and a number."""
    return (1_700_000_000 << 20) + person + 1


def emotion_face(face: Any, named: dict[str, str]) -> EmotionFace:
    rest = (1 - CONFIDENCE) / (len(named) - 1)
    shares = {name: CONFIDENCE if label == face.label else rest for label, name in named.items()}
    label = named[face.label]
    return EmotionFace(track_of(face.person), face.box, shares, shares, label, CONFIDENCE)
