"""A running classifier takes another model, as a real process, and loses no frame."""

import os
import re
import shutil
import signal
import subprocess
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from emostream.models.labels import LABELS
from emostream.models.spec import spec_path
from emostream.models.weights import find
from emostream.shared.bus import Bus
from emostream.shared.messages import Emotion, Event
from tests.system.conftest import wait_until
from tests.system.test_stages import Stage, faces_message, free_endpoint, listen, publisher

# Keras on saving a model with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SEVEN = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
# As many are on their way at any time, so that some always are when a model takes over.
AT_ONCE = 3
CROPS = np.random.default_rng(0).integers(0, 255, (2, 64, 64), np.uint8)


class Running:
    """A classifier with its own model that is always given the next frame."""

    def __init__(self, stack: ExitStack, folder: Path, *settings: str) -> None:
        self.model = folder / "model.keras"
        shutil.copy(find("alexnet-fer", "keras"), self.model)
        shutil.copy(spec_path(find("alexnet-fer", "keras")), spec_path(self.model))
        bus = stack.enter_context(Bus("test"))
        self._source = publisher(stack, bus)
        bind = free_endpoint()
        self.stage = Stage(
            *("classifier", folder / "log", f"classifier.bind={bind}"),
            *(f"classifier.model={self.model}", f'connect.faces=["{self._source.endpoint}"]'),
            # A machine that is busy with other things must lose none because of those.
            *("live.max_age_ms=60000", *settings),
        )
        stack.callback(self.stage.close)
        self._inbox = listen(stack, bus, bind, "")
        self._sent = 0
        self.emotions: list[Emotion] = []
        self.events: list[Event] = []
        wait_until(self._send_until_heard, "the classifier's first answer", 90)

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Let frames flow until the condition holds."""

        def holds() -> object:
            self._flow()
            return condition()

        wait_until(holds, what, 60)

    def frames(self, count: int) -> None:
        """Let so many more frames be answered."""
        end = len(self.emotions) + count
        self.until(lambda: len(self.emotions) >= end, f"{count} answers")

    def metric(self, name: str) -> str:
        """Return the lines of a metric."""
        with urllib.request.urlopen(f"{self.stage.url()}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return "\n".join(line for line in lines if line.startswith(f"emostream_{name}"))

    def sha256(self) -> str:
        """Return that of the model that answers."""
        found = re.search(r'sha256="(\w+)"', self.metric("model_info"))
        return found[1] if found else ""

    def _send_until_heard(self) -> bool:
        self._send()
        self._take()
        return bool(self.emotions)

    def _flow(self) -> None:
        while self._sent <= self.emotions[-1].seq + AT_ONCE:
            self._send()
        self._take()

    def _send(self) -> None:
        self._source.send(faces_message(CROPS, self._sent))
        self._sent += 1

    def _take(self) -> None:
        for message in self._inbox.take(100, timeout=0.2):
            match message.header:
                case Emotion() as emotion:
                    self.emotions.append(emotion)
                case Event() as event:
                    self.events.append(event)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def no_frame_is_missing(emotions: list[Emotion]) -> bool:
    seqs = [emotion.seq for emotion in emotions]
    return seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def with_other_bytes(model: Path) -> Path:
    """Return a copy of the file next to it that differs, with the same model in it."""
    copy = model.with_name("copy")
    shutil.copy(model, copy)
    with zipfile.ZipFile(copy, "a") as archive:
        archive.writestr("note.txt", "another file")
    return copy


def seven_labels(folder: Path) -> tuple[Path, Path]:
    """Write a small network with seven labels; return its weights and its TOML."""
    import keras

    net = keras.Sequential(
        [
            keras.Input((48, 48, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(7, activation="softmax"),
        ]
    )
    net.save(folder / "seven.keras")
    toml = folder / "seven.toml"
    names = ", ".join(f'"{label}"' for label in SEVEN)
    toml.write_text(f'labels = [{names}]\nsize = [48, 48]\nscaling = "0..1"\n', "utf-8")
    return folder / "seven.keras", toml


def test_models_are_swapped_and_refused_while_frames_flow(stack: ExitStack, tmp_path: Path) -> None:
    running = Running(stack, tmp_path)
    first = running.sha256()
    copy = with_other_bytes(running.model)

    # A broken file, instead of the good one.
    running.model.write_bytes(b"no model")
    running.until(lambda: 'result="refused"} 1.0' in running.metric("model_swaps"), "a refusal")
    assert running.sha256() == first
    assert running.stage.text().count("the new model is rejected, model stays in use: ") == 1
    assert running.stage.get("/readyz")[0] == 200
    running.frames(20)

    # A good one with other bytes: tracks continue.
    copy.rename(running.model)
    running.until(lambda: running.sha256() != first, "the other file's model")
    running.frames(20)
    assert [event.kind for event in running.events] == ["enter", "enter"]

    # The same again, because somebody asks for it.
    os.kill(running.stage.process.pid, signal.SIGHUP)
    running.until(lambda: 'result="swapped"} 2.0' in running.metric("model_swaps"), "a reload")

    # One with other labels.
    weights, toml = seven_labels(tmp_path)
    toml.rename(spec_path(running.model))
    weights.rename(running.model)
    running.until(
        lambda: tuple(running.emotions[-1].faces[0].smoothed) == SEVEN, "the seven labels"
    )
    running.frames(20)

    assert no_frame_is_missing(running.emotions)
    assert all(len(e.faces) == 2 and not e.degraded for e in running.emotions)
    assert [event.kind for event in running.events] == ["enter"] * 2 + ["leave"] * 2 + ["enter"] * 2
    assert {event.label for event in running.events[:4]} <= set(LABELS)
    assert {event.label for event in running.events[4:]} <= set(SEVEN)
    assert "Traceback" not in running.stage.text()


@pytest.mark.evidence
def test_a_baseline_needs_a_label_for_it(stack: ExitStack, tmp_path: Path) -> None:
    weights, toml = seven_labels(tmp_path)
    toml.write_text(toml.read_text("utf-8").replace("neutral", "calm"), "utf-8")
    stage = Stage(
        *("classifier", tmp_path / "log", "classifier.bind=tcp://127.0.0.1:*"),
        *(f"classifier.model={weights}", "classifier.baseline=true"),
    )
    stack.callback(stage.close)
    assert stage.process.wait(60) == 2
    assert "classifier.baseline: model seven has no label neutral" in stage.text()
    assert stage.text().count("\n") == 1


def test_a_stage_that_has_nothing_to_load_again_survives_being_asked(
    stack: ExitStack, tmp_path: Path
) -> None:
    stage = Stage(
        *("detector", tmp_path / "log", "detector.bind=tcp://127.0.0.1:*"),
        *("detector.backend=haar", f'connect.frame=["{free_endpoint()}"]'),
    )
    stack.callback(stage.close)
    assert stage.get("/livez")[0] == 200
    os.kill(stage.process.pid, signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        stage.process.wait(1)
    assert stage.get("/livez")[0] == 200
