"""Single stages as real processes: what they make of good input and of bad."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import msgpack
import numpy as np
import pytest
import zmq

from emostream.models import LABELS
from emostream.models.weights import find
from emostream.shared.bus import Bus, Publisher, Subscription
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Emotion, Face, Message
from emostream.shared.metric_names import MetricName
from emostream.shared.shipped_files import ROOT
from tests import builders
from tests.average_faces import load_average_faces
from tests.builders import header_of
from tests.certificates import certificate
from tests.conftest import fail_with, require_tool
from tests.http_get import get
from tests.system.conftest import wait_until


class Stage:
    """One stage's process; its ports are free ones that it says itself."""

    def __init__(self, name: str, log: Path, *settings: str) -> None:
        ports = [f"{name}.metrics=127.0.0.1:0"]
        words = [word for setting in [*ports, *settings] for word in ("--set", setting)]
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "emostream", name, *words],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait(10)

    def text(self) -> str:
        """Return what it printed."""
        return self.log.read_text("utf-8")

    def url(self) -> str:
        """Return where it answers, once it says so."""
        found: list[str] = []

        def says() -> bool:
            assert self.process.poll() is None, self.text()
            found[:] = re.findall(r"(http://127\.0\.0\.1:\d+)/metrics", self.text())
            return bool(found)

        wait_until(says, "the stage to be ready", 60)
        return found[0]

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and body of its answer."""
        return get(self.url() + path)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def publisher(stack: ExitStack, bus: Bus) -> Publisher:
    made = bus.publisher("tcp://127.0.0.1:*", 0)
    stack.callback(made.close)
    return made


def listen(stack: ExitStack, bus: Bus, endpoint: str, topic: str) -> FifoInbox:
    inbox = FifoInbox()
    receiver = bus.receiver([Subscription([endpoint], [topic], 0)], inbox.put, fail_with)
    stack.callback(receiver.close)
    return inbox


def free_endpoint() -> str:
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
    return f"tcp://127.0.0.1:{port}"


def faces_message(crops: np.ndarray, seq: int) -> Message:
    found = tuple(Face(track, (0.0, 0.0, 64.0, 64.0), 1.0, ()) for track in range(len(crops)))
    return Message(builders.faces(seq, *found), crops.tobytes())


def test_training_and_serving_agree(stack: ExitStack, tmp_path: Path) -> None:
    """The original trains on pixels 0..255 and serves 0..1; here both give the same."""
    crops = np.stack([cv2.resize(face, (64, 64)) for face in load_average_faces()])
    bus = stack.enter_context(Bus("test"))
    source = publisher(stack, bus)
    bind = free_endpoint()
    stage = Stage(
        *("classifier", tmp_path / "log", f"classifier.bind={bind}"),
        f'connect.faces=["{source.endpoint}"]',
        # The network alone: a prior comes after it.
        "classifier.prior_strength=0",
    )
    stack.callback(stage.close)
    inbox = listen(stack, bus, bind, "emotion/")
    answers: list[Message] = []

    def answered() -> bool:
        source.send(faces_message(crops, len(answers)))
        answers.extend(inbox.take(1, timeout=0.2))
        return bool(answers)

    wait_until(answered, "the classifier's answer", 90)
    header = answers[0].header
    assert isinstance(header, Emotion)
    served = [[face.probabilities[label] for label in LABELS] for face in header.faces]
    # Only where it is needed: other tests import from this file.
    import keras

    trained = keras.saving.load_model(find("alexnet-fer", "keras"), compile=False)
    wanted = np.asarray(trained(crops, training=False))
    np.testing.assert_allclose(served, wanted, atol=1e-3)  # as exports may differ


def test_a_stage_survives_messages_that_are_broken(stack: ExitStack, tmp_path: Path) -> None:
    context = stack.enter_context(zmq.Context())
    junk = stack.enter_context(context.socket(zmq.PUB))
    port = junk.bind_to_random_port("tcp://127.0.0.1")
    stage = Stage(
        *("detector", tmp_path / "log", "detector.bind=tcp://127.0.0.1:*"),
        *("detector.backend=haar", f'connect.frame=["tcp://127.0.0.1:{port}"]'),
    )
    stack.callback(stage.close)
    header = {
        "v": 1, "stream": "s", "run": "r", "seq": 0, "t": 0, "pts": 0, "marks": {}, "width": 1,
        "height": 1, "encoding": "bgr8",
    }  # fmt: skip
    good = [b"frame/s/", msgpack.packb(header), b"\0\0\0"]
    broken = [
        [b"frame/s/", b"\xc1", b""],
        [b"frame/s/", msgpack.packb({**header, "width": "wide"}), b""],
        [b"frame/s/", msgpack.packb({"v": 1}), b""],
        [b"frame/s/", msgpack.packb({**header, "encoding": "jpeg"}), b"no jpeg"],
        [b"frame/s/", msgpack.packb(header), b"\0"],
    ]

    def ready() -> bool:
        for parts in (*broken, good):
            junk.send_multipart(parts)
        return "ready after" in stage.text()

    wait_until(ready, "the detector to be ready")
    _, metrics = stage.get("/metrics")
    for reason in ("msgpack", "header", "payload"):
        assert f'emostream_bad_messages_total{{reason="{reason}",stage="detector"}}' in metrics
    assert stage.text().count("violates the wire format") == 1
    assert "Traceback" not in stage.text()


def test_a_camera_that_is_not_there_is_said_and_tried_again(
    stack: ExitStack, tmp_path: Path
) -> None:
    stage = Stage(
        *("capture", tmp_path / "log", "capture.bind=tcp://127.0.0.1:*"),
        'capture.sources=[{name="door", url="camera:97"}]',
    )
    stack.callback(stage.close)
    wait_until(lambda: "trying again" in stage.text(), "the camera to be missed")
    assert "Traceback" not in stage.text()
    assert stage.process.poll() is None


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["classifier.model=/nowhere/model.keras"], "/nowhere/model.keras"),
        (["classifier.metrics=0.0.0.0:0"], 'mode = "disabled"'),
        (
            ["classifier.bind=tcp://0.0.0.0:5599", "security.folder=/nowhere/keys"],
            "emostream keys init",
        ),
        (["classifier.bind=tcp://127.0.0.1:*", "connect.faces=[]"], "connect.faces"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_line(
    settings: list[str], named: str, tmp_path: Path, stack: ExitStack
) -> None:
    stage = Stage("classifier", tmp_path / "log", "classifier.bind=tcp://127.0.0.1:*", *settings)
    stack.callback(stage.close)
    assert stage.process.wait(60) in (2, 3)
    assert named in stage.text()
    assert stage.text().count("\n") == 1


@pytest.mark.heavy
def test_the_pipeline_works_split_over_two_hosts(stack: ExitStack, tmp_path: Path) -> None:
    """configs/remote-gpu.toml as it ships: the classifier on 127.0.0.2."""
    require_tool("ip")
    if (
        "127.0.0.1/8"
        not in subprocess.run(["ip", "address"], capture_output=True, text=True).stdout
    ):
        pytest.skip("this system's loopback does not answer for 127.0.0.2")
    config = ROOT / "configs" / "remote-gpu.toml"
    # Ports of their own, so that a pipeline that runs next to the tests is left alone.
    frame, faces = free_endpoint(), free_endpoint()
    emotion = free_endpoint().replace("127.0.0.1", "127.0.0.2")
    connect = [
        f'connect.frame=["{frame}"]', f'connect.faces=["{faces}"]', f'connect.emotion=["{emotion}"]'
    ]  # fmt: skip
    shipped = config.read_text("utf-8")
    assert shipped.count("127.0.0.2:") == 3
    for name, bind in (("capture", frame), ("detector", faces), ("classifier", emotion)):
        host = bind.split(":")[1].removeprefix("//")
        stage = Stage(
            name, tmp_path / name, f"{name}.bind={bind}", f"{name}.metrics={host}:0", *connect
        )
        stack.callback(stage.close)
    bus = stack.enter_context(Bus("test"))
    inbox = listen(stack, bus, emotion, "emotion/demo/")
    got: list[Message] = []

    def faces_came() -> bool:
        got.extend(inbox.take(1, timeout=0.2))
        return any(header_of(message, Emotion).faces for message in got)

    wait_until(faces_came, "emotions from the other host", 90)


def test_a_stage_without_input_says_so_and_is_not_ready(stack: ExitStack, tmp_path: Path) -> None:
    stage = Stage(
        *("detector", tmp_path / "log", "detector.bind=tcp://127.0.0.1:*"),
        *("detector.backend=haar", f'connect.frame=["{free_endpoint()}"]'),
    )
    stack.callback(stage.close)
    status, body = stage.get("/readyz")
    assert "waiting: no input yet; metrics on" in stage.text()
    assert (status, json.loads(body)["missing"]) == (503, {"input": "no input yet"})
    assert stage.get("/livez")[0] == 200


def test_a_display_says_when_the_certificate_of_its_page_expires(
    stack: ExitStack, tmp_path: Path
) -> None:
    pair = certificate(tmp_path)
    stage = Stage(
        *(
            "display",
            tmp_path / "log",
            "display.page=127.0.0.1:0",
            "display.bind=tcp://127.0.0.1:*",
        ),
        *(f"display.tls_cert={pair.cert}", f"display.tls_key={pair.key}"),
    )
    stack.callback(stage.close)
    series = MetricName.CERTIFICATE_EXPIRY + '{address="page",stage="display"} '
    told = [line for line in stage.get("/metrics")[1].splitlines() if line.startswith(series)]
    assert [float(line.split()[1]) for line in told] == pytest.approx(
        [time.time() + 30 * 86_400], abs=3600
    )


def test_a_file_goes_as_fast_as_the_pipeline_takes_it_and_none_is_dropped(
    stack: ExitStack, tmp_path: Path
) -> None:
    frames = 200
    film = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(frames):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    frame, faces, emotion = free_endpoint(), free_endpoint(), free_endpoint()
    connect = [
        f'connect.frame=["{frame}"]', f'connect.faces=["{faces}"]', f'connect.emotion=["{emotion}"]'
    ]  # fmt: skip
    bus = stack.enter_context(Bus("test"))
    inbox = listen(stack, bus, emotion, "emotion/film/")

    def start(name: str, bind: str, *settings: str) -> Stage:
        stage = Stage(name, tmp_path / name, f"{name}.bind={bind}", *connect, *settings)
        stack.callback(stage.close)
        return stage

    classifier = start("classifier", emotion)
    start("detector", faces, "detector.backend=haar")
    wait_until(lambda: "publishing emotions on" in classifier.text(), "the classifier", 60)
    start("capture", frame, f'capture.sources=[{{name="film", url="{film}", pace="fast"}}]')
    got: list[Message] = []

    def ended() -> bool:
        got.extend(inbox.take(100, timeout=0.1))
        return bool(got) and got[-1].header.end

    wait_until(ended, "the end of the film", 60)
    seqs = [message.header.seq for message in got if message.header.is_data]
    assert got[-1].header.frames == frames
    # What was given before the detector listened is gone; from then on every frame is answered.
    assert seqs == list(range(seqs[0], frames))
    assert len(seqs) >= frames - 3


def test_a_capture_tells_its_sources_in_order_with_state_and_reason(
    stack: ExitStack, tmp_path: Path
) -> None:
    sources = ['{name="yard", url="camera:97"}', '{name="demo", url="demo"}']
    # It is not ready, so its log would only say after a while where it answers.
    address = free_endpoint().removeprefix("tcp://")
    capture = Stage(
        *("capture", tmp_path / "log", f"capture.metrics={address}"),
        'capture.bind="tcp://127.0.0.1:*"',
        f"capture.sources=[{', '.join(sources)}]",
    )
    stack.callback(capture.close)

    def states() -> list[list[str]]:
        status, body = get(f"http://{address}/sources")
        sources = json.loads(body)["sources"] if status == 200 else []
        return [list(source.values()) for source in sources]

    reason = "camera 97 cannot be opened: is it plugged in, free, and permitted?"
    expected = [["yard", "lost", reason], ["demo", "open", ""]]
    wait_until(lambda: states() == expected, "the camera to be given up")


def test_large_batches_answer_every_frame_in_order(stack: ExitStack, tmp_path: Path) -> None:
    bus = stack.enter_context(Bus("test"))
    source = publisher(stack, bus)
    bind = free_endpoint()
    stage = Stage(
        *("classifier", tmp_path / "log", f"classifier.bind={bind}", "classifier.max_batch=64"),
        *(f'connect.faces=["{source.endpoint}"]', "live.max_age_ms=60000", "live.backlog=1000"),
    )
    stack.callback(stage.close)
    inbox = listen(stack, bus, bind, "emotion/")
    crops = np.zeros((3, 64, 64), np.uint8)
    seqs: list[int] = []
    sent = 0

    def take() -> int:
        seqs.extend(message.header.seq for message in inbox.take(100, timeout=0.1))
        return len(seqs)

    def heard() -> bool:
        nonlocal sent
        source.send(faces_message(crops, sent))
        sent += 1
        return take() > 0

    wait_until(heard, "the classifier's first answer", 90)
    for seq in range(sent, sent + 300):
        source.send(faces_message(crops, seq))
    wait_until(lambda: take() and seqs[-1] == sent + 299, "the last answer", 60)
    assert seqs == list(range(seqs[0], sent + 300))
    _, metrics = stage.get("/metrics")
    sizes = re.findall(r'emostream_batch_size_bucket\{le="(?:32.0|64.0)"\} (\S+)', metrics)
    assert float(sizes[1]) > float(sizes[0]), "some had more than 32 faces"
