"""The rebuilt loop of the original program, and the clips that it is measured on."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import make_clips, original_loop
from benchmarks.frames import ping_pong
from emostream.shared.errors import SourceError
from tests.conftest import DATA

CLIPS = DATA / "clips"


class Model:
    """Counts what it is asked, and finds every face happy."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def predict(self, faces: np.ndarray, verbose: int) -> np.ndarray:
        assert verbose == 0
        self.asked.append(faces)
        return np.eye(len(original_loop.LABELS))[[original_loop.LABELS.index("happy")] * len(faces)]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    fake = Model()
    monkeypatch.setattr(original_loop, "build_model", lambda: fake)
    return fake


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = make_clips.make_clip(
        tmp_path_factory.mktemp("clips"), 2 / make_clips.FPS, Path("/nowhere")
    )
    assert (clip.frames, clip.people, clip.shows) == (2, 3, "the three people of the demo")
    return Path(clip.path)


def pictures(path: Path) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    while (answer := capture.read())[0]:
        yield answer[1]


def test_each_face_is_a_call_of_its_own(model: Model, video: Path) -> None:
    program = original_loop.OriginalLoop()
    model.asked.clear()
    timing, faces = original_loop.time_loop(video, 2, program)
    assert timing.frames == 2
    # The cascade may take something else for a face too: that is a call as well.
    assert faces == len(model.asked) >= 6
    for face in model.asked:
        assert face.shape == (1, 48, 48, 1)
        assert 0 <= face.min() < 0.5 < face.max() <= 1


def test_boxes_and_labels_are_drawn_on_the_frame(model: Model) -> None:
    plain = next(make_clips.demo_frames())
    drawn = plain.copy()
    assert original_loop.OriginalLoop().frame(drawn) >= 3
    green = (drawn == original_loop.GREEN).all(axis=2)
    white = (drawn == original_loop.WHITE).all(axis=2)
    assert green.sum() > 1000
    assert white.sum() > 500
    assert not (plain == original_loop.GREEN).all(axis=2).any()


def test_a_video_that_is_too_short_is_refused(model: Model, video: Path) -> None:
    with pytest.raises(SourceError, match=r"demo-2\.mp4: gives 2 frames, 3 are needed"):
        original_loop.time_loop(video, 3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_its_net_costs_what_ours_costs() -> None:
    pytest.importorskip("keras")
    from emostream.models import alexnet
    from tests.unit.test_model_alexnet import flops

    net = original_loop.build_model()
    ours = alexnet.single_head(alexnet.build(), "fer2013")
    assert net.output_shape == (None, 7)
    assert flops(net) == pytest.approx(flops(ours), rel=0.02)


def test_clips_have_their_length_and_are_kept(video: Path) -> None:
    shown = list(pictures(video))
    assert [picture.shape for picture in shown] == [(720, 1280, 3)] * 2
    truth = next(make_clips.demo_frames())
    assert np.abs(shown[0].astype(int) - truth).mean() < 3
    before = video.stat().st_mtime_ns
    assert make_clips.make_clip(video.parent, 2 / make_clips.FPS, Path("/nowhere")).path == str(
        video
    )
    assert video.stat().st_mtime_ns == before


def test_a_clip_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield np.zeros((720, 1280, 3), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_clips.write_video(tmp_path / "clip.mp4", broken())
    assert not list(tmp_path.iterdir())


def test_a_clip_runs_to_and_fro() -> None:
    assert [ping_pong(step, 4) for step in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert ping_pong(5, 1) == 0


@pytest.mark.skipif(not CLIPS.exists(), reason="needs ../shared/data/clips")
def test_the_original_finds_three_real_faces(model: Model) -> None:
    program = original_loop.OriginalLoop()
    shown = islice(make_clips.real_frames(CLIPS / make_clips.MAN), 0, 130, 64)
    assert [program.frame(picture) for picture in shown] == [3, 3, 3]
