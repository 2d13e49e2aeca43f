"""Synthetic video says truly who is where, and what is found in it is scored rightly."""

import itertools
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from emostream.models.evaluation.scenes import HEIGHT, WIDTH, SceneStyle
from emostream.models.evaluation.video_scenes import (
    MOVING_FRAMES,
    STILL_FRAMES,
    TrueFaces,
    moving_video,
    still_video,
)
from emostream.models.evaluation.video_scores import (
    FoundFaces,
    VideoScores,
    match_centers,
    score_video,
    summarize,
)
from emostream.services.cli.evaluation.videos import (
    KINDS,
    VideoKind,
    analysis_settings,
    measure_video,
    read_observations,
)
from tests.average_faces import load_average_faces

ROOT = Path(__file__).parents[2]
BRIGHT = np.full((3, 48, 48), 255, np.uint8)
PLAIN = SceneStyle(turn=0)


def test_still_scenes_stand_for_eight_frames() -> None:
    frames = list(still_video(BRIGHT, 1))
    people = [truth.people.tolist() for _, truth in frames]
    assert len(frames) % STILL_FRAMES == 0
    for start in range(0, len(frames), STILL_FRAMES):
        assert people[start : start + STILL_FRAMES] == [people[start]] * STILL_FRAMES
    assert sorted(set(itertools.chain(*people))) == [0, 1, 2]
    assert all(truth.counts.all() for _, truth in frames)


def test_each_face_enters_crosses_and_leaves() -> None:
    seen: dict[int, list[int]] = {}
    for number, (picture, truth) in enumerate(moving_video(BRIGHT, 2, PLAIN)):
        assert picture.shape == (HEIGHT, WIDTH, 3)
        for person in truth.people[truth.counts].tolist():
            seen.setdefault(person, []).append(number)
    assert sorted(seen) == [0, 1, 2]
    for frames in seen.values():
        assert frames == list(range(frames[0], frames[-1] + 1)) or len(frames) > 20
        assert frames[0] % MOVING_FRAMES > 0


def test_a_face_is_drawn_where_the_truth_says() -> None:
    compared = 0
    for picture, truth in itertools.islice(moving_video(BRIGHT[:1], 3, PLAIN), MOVING_FRAMES):
        for square, counts in zip(truth.squares, truth.counts, strict=True):
            if counts:
                x, y = (square[:2] + square[2:] / 2).astype(int).clip(0, (WIDTH - 1, HEIGHT - 1))
                assert picture[y, x].min() > 180
                compared += 1
    assert compared > 10


def test_the_seed_alone_decides() -> None:
    def frame(seed: int) -> np.ndarray:
        return next(itertools.islice(moving_video(BRIGHT, seed), 30, None))[0]

    assert (frame(4) == frame(4)).all()
    assert (frame(4) != frame(5)).any()


def test_no_face_gives_no_video() -> None:
    assert list(moving_video(BRIGHT[:0], 1)) == list(still_video(BRIGHT[:0], 1)) == []


def truth(*squares: tuple[float, float, float], uncounted: int = 0) -> TrueFaces:
    """Faces at x, y with a side; the last `uncounted` need not be found."""
    count = len(squares)
    numbers = np.arange(count)
    rows = np.array([(x, y, side, side) for x, y, side in squares]).reshape(-1, 4)
    return TrueFaces(numbers, numbers, rows, numbers < count - uncounted)


def found(*rows: tuple[int, float, float, float], label: str = "fear") -> FoundFaces:
    """Boxes with a track, and a middle and a side."""
    boxes = [(x - side / 2, y - side / 2, side, side) for _, x, y, side in rows]
    return FoundFaces(
        np.array([row[0] for row in rows], np.int64),
        np.array(boxes).reshape(-1, 4),
        (label,) * len(rows),
    )


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([(truth(), found())], (0, 0, 0, 0)),
        ([(truth((0, 0, 100)), found((1, 50, 50, 30)))], (1, 1, 0, 0)),
        ([(truth((0, 0, 100)), found((1, 99, 1, 30)))], (1, 1, 0, 0)),
        ([(truth((0, 0, 100)), found((1, 101, 50, 90)))], (1, 0, 1, 0)),
        ([(truth((0, 0, 100)), found((1, 50, 50, 9), (2, 60, 60, 9)))], (1, 1, 1, 0)),
        ([(truth((0, 0, 100), uncounted=1), found((1, 50, 50, 90)))], (0, 0, 0, 0)),
        ([(truth((0, 0, 100), uncounted=1), found())], (0, 0, 0, 0)),
        (
            [(truth((0, 0, 100)), found((track, 50, 50, 90))) for track in (1, 1, 2, 2)],
            (4, 4, 0, 1),
        ),
    ],
)
def test_frames_are_scored(
    frames: list[tuple[TrueFaces, FoundFaces]], expected: tuple[int, int, int, int]
) -> None:
    scores = score_video(frames)
    assert (scores.faces, scores.found, scores.false_boxes, scores.switches) == expected


def test_each_box_goes_to_the_face_that_it_fits_best() -> None:
    squares = np.array([(0, 0, 100, 100), (60, 0, 100, 100)], float)
    boxes = np.array([(85, 25, 50, 50), (20, 25, 50, 50)], float)
    assert sorted(match_centers(boxes, squares)) == [(0, 1), (1, 0)]


def test_the_first_box_may_come_late_or_never() -> None:
    faces = truth((0, 0, 100), (300, 0, 100))
    frames = [(faces, found()), (faces, found()), (faces, found((1, 50, 50, 90), label="anger"))]
    scores = score_video(frames)
    assert (scores.delays, scores.missed, scores.people) == ([2], 1, 2)
    report = summarize("late", scores, ["anger", "fear"], ["fear", "fear"])
    assert (report.delay_ms, report.bare, report.right) == (80, 0, 1)
    assert report.recall == pytest.approx(1 / 6)


def test_a_video_in_which_nothing_is_found_has_no_figures_of_labels() -> None:
    report = summarize("nothing", VideoScores(frames=5, faces=3, people=1, missed=1), ["fear"], [])
    assert (report.recall, report.delay_ms, report.bare, report.right) == (0, None, None, None)


def test_the_table_of_an_analysis_is_read(tmp_path: Path) -> None:
    table = tmp_path / "observations.csv"
    table.write_text(
        "seq,track,x,y,width,height,label,p_fear,p_anger,smoothed_fear\n"
        "0,,,,,,,,,\n"
        "1,1,10,20,30,40,anger,0.7,0.3,0.1\n"
        "1,2,50,20,30,40,anger,0.2,0.8,0.9\n"
    )
    first, second, third = read_observations(table, 3)
    assert len(first.tracks) == len(third.boxes) == 0
    assert second.tracks.tolist() == [1, 2]
    assert second.boxes.tolist() == [[10, 20, 30, 40], [50, 20, 30, 40]]
    assert second.labels == ("fear", "anger")


def options(**changed: object) -> Namespace:
    usual = {"backend": "auto", "model": "alexnet-fer", "engine": "auto", "weights": None}
    return Namespace(**usual | {"tiles": None, "score": None, "long_side": None} | changed, seed=0)


def test_what_is_not_asked_for_stays_as_it_ships() -> None:
    assert analysis_settings(options()) == ["detector.backend=auto"]
    changed = options(backend="haar", model="own.onnx", tiles=0, weights=Path("/w"))
    assert analysis_settings(changed) == [
        *("detector.backend=haar", "classifier.model=own.onnx", "classifier.engine=auto"),
        *("detector.weights=/w", "detector.tiles=0"),
    ]


def test_the_kinds_have_names_of_their_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) == 4


@pytest.mark.slow
def test_real_faces_in_video_are_found_by_an_analysis() -> None:
    faces = load_average_faces()[:4]
    scores = measure_video(
        faces, VideoKind("still", still_video, SceneStyle(smallest=150), 1), options()
    )
    assert scores.people == 4
    assert scores.recall > 0.9
    assert scores.false_boxes <= 2
