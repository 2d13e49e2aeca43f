"""The steps of a frame, as functions of its number, on the frames of one clip."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
from prometheus_client import CollectorRegistry

from benchmarks.frames import ping_pong
from emostream.models import load
from emostream.models.alignment import align
from emostream.models.quality import assess_all
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.capture.ffmpeg.video_file import video_pictures
from emostream.services.capture.framer import Framer
from emostream.services.capture.picture import Picture
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.stage import ClassifierStage
from emostream.services.detector.backends import Selection
from emostream.services.detector.extra_looks import thumbnail
from emostream.services.detector.process import new_detector, new_tiling, selected
from emostream.services.detector.stage import DetectorStage
from emostream.services.detector.track_windows import NARROW, search_windows, windows_around
from emostream.services.detector.tracking import Tracker, track_ids
from emostream.services.detector.yunet import NetInput, YuNet, shrunk
from emostream.services.recorder.encoding import ENCODERS, VideoTrack, best_encoder
from emostream.shared.annotate import annotate
from emostream.shared.config import Detector as DetectorSettings
from emostream.shared.messages import Emotion, Faces, Message, stamped
from emostream.shared.pixels import Image
from emostream.shared.wire import decode, encode

FRAME_NS = 40_000_000
MODELS = ("alexnet-fer", "alexnet-fer-int8")
KINDS = ("live", "recordings")


@dataclass(frozen=True)
class Step:
    """A step of a `stage`; `run` executes it for the frame with that number."""

    stage: str
    name: str
    run: Callable[[int], object]


class Clip:
    """The frames of a clip and the stages' results for them, each with default settings."""

    def __init__(self, path: Path, frames: int) -> None:
        self.path = path
        self.pictures = [each.pixels for each in _first(video_pictures(str(path), print), frames)]
        self.height, self.width = self.pictures[0].shape[:2]
        framer = Framer("bgr8", 90, recorded=())
        self.messages = [
            framer.frame("clip", Picture(pixels, number * FRAME_NS, t=number * FRAME_NS))
            for number, pixels in enumerate(self.pictures)
        ]
        self.settings = DetectorSettings()
        self.chosen = selected(self.settings)
        stage = detector_stage(self.settings, self.chosen, live=True)
        self.faces = [stage(message)[0] for message in self.messages]
        self.model = load(MODELS[1], intra_op=1)
        self.emotions = [classifier_stage(self.model)([each])[-1] for each in self.faces]

    def header(self, number: int) -> Faces:
        """Return the detections in a frame."""
        header = self.faces[number].header
        assert isinstance(header, Faces)
        return header


def steps(clip: Clip) -> list[Step]:
    """Return all steps, in pipeline order."""
    return [*_capture(clip), *_detector(clip), *_classifier(clip), *_recorder(clip)]


def detector_stage(
    settings: DetectorSettings, chosen: Selection, *, live: bool, **changes: Any
) -> DetectorStage:
    """Return a stage with one thread."""
    tiling = new_tiling(settings, chosen, live=live)
    return DetectorStage(new_detector(settings, chosen), track_ids(1), tiling=tiling, **changes)


def classifier_stage(model: Any) -> ClassifierStage:
    """Return a stage with a model."""
    return ClassifierStage(model, ClassifierMetrics(CollectorRegistry()), SmoothingRules(), 32)


def _capture(clip: Clip) -> Iterator[Step]:
    scene, framer, serial = DemoScene(faces=3), Framer("bgr8", 90), count()
    decoded, converted = (
        _endless(lambda: _decoded(clip.path)),
        _endless(lambda: video_pictures(str(clip.path), print)),
    )

    def sent(number: int) -> object:
        picture = Picture(clip.pictures[number], next(serial), t=1)
        return encode(stamped(framer.frame("clip", picture), "capture", 1))

    yield Step("capture", "decode alone", lambda number: next(decoded))
    yield Step("capture", "decode and convert to BGR", lambda number: next(converted))
    yield Step("capture", "draw the demo", lambda number: scene.frame(next(serial)))
    yield Step("capture", "message", sent)


def _detector(clip: Clip) -> Iterator[Step]:
    net = new_detector(clip.settings, clip.chosen)
    small = [shrunk(picture, clip.settings.long_side) for picture in clip.pictures]
    ready, found = NetInput(small[0]), [net.detect(picture) for picture in clip.pictures]
    windows = [
        windows_around([each.box for each in faces], clip.width, clip.height, NARROW)
        for faces in found
    ]
    crops = [align(*each) for each in zip(clip.pictures, found, strict=True)]
    tracker, serial = Tracker(track_ids(1)), count()
    stages = {
        kind: detector_stage(clip.settings, clip.chosen, live=kind == "live") for kind in KINDS
    }
    parts = [[bytes(part) for part in encode(message)[:2]] for message in clip.messages]

    def quality(number: int) -> object:
        return assess_all(crops[number], found[number], clip.width, clip.height)

    def taken(number: int) -> object:
        payload = clip.messages[number].payload
        assert payload is not None
        return decode([*parts[number], payload])

    yield Step("detector", "read the message", taken)
    yield Step(
        "detector", "shrink the frame", lambda n: shrunk(clip.pictures[n], clip.settings.long_side)
    )
    yield Step("detector", "the net's input", lambda n: ready.fill(small[n]))
    if isinstance(net, YuNet):
        yield Step("detector", "network alone", lambda n: net.run(ready.fill(small[0])))
    yield Step("detector", "search the frame", lambda n: net.detect(clip.pictures[n]))
    yield Step(
        "detector", "search windows", lambda n: search_windows(net, clip.pictures[n], windows[n])
    )
    yield Step("detector", "compare cells", lambda n: thumbnail(clip.pictures[n]))
    yield Step("detector", "track", lambda n: tracker.update(found[n], next(serial) * FRAME_NS))
    yield Step("detector", "align", lambda n: align(clip.pictures[n], found[n]))
    yield Step("detector", "quality", quality)
    yield Step("detector", "message", lambda n: encode(stamped(clip.faces[n], "detector", 1)))
    for kind, stage in stages.items():
        yield Step("detector", f"whole stage, {kind}", _in_turn(stage, clip.messages))


def _classifier(clip: Clip) -> Iterator[Step]:
    parts = [[bytes(part) for part in encode(message)] for message in clip.faces]
    crops = [
        np.frombuffer(message.payload or b"", np.uint8).reshape(-1, *clip.header(n).crop)
        for n, message in enumerate(clip.faces)
    ]
    yield Step("classifier", "read the message", lambda n: decode(parts[n]))
    for name in MODELS:
        model = load(name, intra_op=1)
        yield Step("classifier", f"network alone, {name}", _predict(model, crops))
    stage = classifier_stage(clip.model)
    run = _in_turn(lambda message: stage([message]), clip.faces)
    yield Step("classifier", "whole stage, alexnet-fer-int8", run)
    yield Step("classifier", "message", lambda n: encode(stamped(clip.emotions[n], "x", 1)))


def _recorder(clip: Clip) -> Iterator[Step]:
    container = av.open("/dev/null", "w", format="null")
    name, serial = best_encoder(), count()
    track = VideoTrack(container, clip.width, clip.height, name, ENCODERS[name])

    def faces(number: int) -> Any:
        header = clip.emotions[number].header
        assert isinstance(header, Emotion)
        return header.faces

    yield Step("recorder", "draw", lambda n: annotate(clip.pictures[n], faces(n)))
    yield Step(
        "recorder", "encode", lambda n: track.encode(clip.pictures[n], next(serial) * FRAME_NS)
    )


def _predict(model: Any, crops: list[Image]) -> Callable[[int], object]:
    return lambda number: model.predict(crops[number])


def _in_turn(work: Callable[[Message], object], messages: list[Message]) -> Callable[[int], object]:
    """Yield the messages back and forth, with continuing times, so that nothing jumps."""
    serial = count()

    def run(number: int) -> object:
        seq = next(serial)
        message = messages[ping_pong(seq, len(messages))]
        header = msgspec.structs.replace(message.header, seq=seq, pts=seq * FRAME_NS)
        return work(Message(header, message.payload, message.shard))

    return run


def _decoded(path: Path) -> Iterator[Any]:
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def _endless(begin: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    while True:
        yield from begin()


def _first(pictures: Iterator[Picture], frames: int) -> Iterator[Picture]:
    for picture, _ in zip(pictures, range(frames), strict=False):
        yield picture
