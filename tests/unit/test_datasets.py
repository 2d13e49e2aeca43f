"""Faces to judge a model on, whatever they come as and whatever their classes are called."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from emostream.models import ferplus
from emostream.models.evaluation import datasets
from emostream.models.labels import FER2013, LABELS
from emostream.shared.errors import SourceError
from emostream.shared.label_synonyms import canonical_label

IMAGES = np.arange(4 * 8 * 8, dtype=np.uint8).reshape(4, 8, 8)


def pictures(folder: Path, **classes: int) -> Path:
    for name, count in classes.items():
        (folder / name).mkdir()
        for number in range(count):
            picture = np.full((10 + number, 12, 3), 40 * number, np.uint8)
            cv2.imwrite(str(folder / name / f"{number}.png"), picture)
    return folder


def fer(votes: np.ndarray, own: list[int]) -> ferplus.FerFaces:
    return ferplus.FerFaces(
        np.zeros((len(votes), 48, 48), np.uint8), votes, np.array(own, np.uint8)
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [("happy", "happiness"), ("Angry", "anger"), ("sad", "sadness"), ("SURPRISED", "surprise")],
)
def test_words_for_one_expression_are_one(first: str, second: str) -> None:
    assert canonical_label(first) == canonical_label(second)


def test_a_folder_of_classes(tmp_path: Path) -> None:
    """Names are matched to the model's; what it has no label for is left out and counted."""
    folder = pictures(tmp_path, happy=2, anger=1, boredom=3)
    (tmp_path / "happy" / "notes.txt").write_text("no picture")
    read = datasets.load_dataset(folder, "PublicTest", ("angry", "happiness"))
    assert read.truths["labels"].tolist() == [0, 1, 1]
    assert read.unknown == {"boredom": 3}
    assert [image.shape for image in read.images] == [(10, 12, 3), (10, 12, 3), (11, 12, 3)]


def test_an_archive_with_names(tmp_path: Path) -> None:
    path = tmp_path / "faces.npz"
    np.savez(path, images=IMAGES, labels=np.array(["sad", "joy", "dull", "happy"]))
    read = datasets.load_dataset(path, "PublicTest", LABELS)
    assert read.truths["labels"].tolist() == [3, 1, 1]
    assert (np.asarray(read.images) == IMAGES[[0, 1, 3]]).all()
    assert read.unknown == {"dull": 1}
    assert read.protocol == "labels"


@pytest.mark.parametrize("key", ["names", "label_names"])
def test_an_archive_with_indices_of_its_own_names(tmp_path: Path, key: str) -> None:
    path = tmp_path / "faces.npz"
    named: dict[str, Any] = {key: np.array(["sad", "happy"])}
    np.savez(path, images=IMAGES, labels=np.array([0, 1, 1, 0]), **named)
    assert datasets.load_dataset(path, "", LABELS).truths["labels"].tolist() == [3, 1, 1, 3]


def test_indices_without_names_are_the_model_s(tmp_path: Path) -> None:
    path = tmp_path / "faces.npz"
    np.savez(path, images=IMAGES, labels=np.array([0, 1, 1, 0]))
    assert datasets.load_dataset(path, "", ("a", "b")).truths["labels"].tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"images": IMAGES}, "give images and labels"),
        ({"images": IMAGES.astype(float), "labels": np.zeros(4, int)}, "give uint8"),
        ({"images": IMAGES, "labels": np.zeros(3, int)}, "one label a picture"),
        ({"images": IMAGES, "labels": np.full(4, 9)}, "nor indices of the 8"),
        ({"images": IMAGES, "labels": np.full(4, -1)}, "nor indices of the 8"),
        ({"images": IMAGES, "labels": np.zeros(4)}, "neither names nor indices"),
        ({"images": IMAGES, "labels": np.array(["dull"] * 4)}, "no class that the model has"),
        ({"images": IMAGES[:0], "labels": np.zeros(0, int)}, "no class that the model has"),
    ],
)
def test_a_wrong_archive_is_one_clear_error(
    tmp_path: Path, arrays: dict[str, Any], says: str
) -> None:
    np.savez(tmp_path / "faces.npz", **arrays)
    with pytest.raises(SourceError, match=says):
        datasets.load_dataset(tmp_path / "faces.npz", "PublicTest", LABELS)


def test_what_is_no_archive_and_what_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "faces.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(SourceError, match="not a readable"):
        datasets.load_dataset(path, "PublicTest", LABELS)
    np.savez(path, images=IMAGES, labels=np.array([{}] * 4, dtype=object))
    with pytest.raises(SourceError, match="not a readable"):
        datasets.load_dataset(path, "PublicTest", LABELS)
    np.save(tmp_path / "single.npy", IMAGES)
    (tmp_path / "single.npy").replace(path)
    with pytest.raises(SourceError, match=r"not a readable .*: it contains a single array"):
        datasets.load_dataset(path, "PublicTest", LABELS)


def test_folders_without_anything_to_judge(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no faces in"):
        datasets.load_dataset(tmp_path, "PublicTest", LABELS)
    with pytest.raises(SourceError, match="no faces in"):
        datasets.load_dataset(tmp_path / "absent", "PublicTest", LABELS)
    pictures(tmp_path, boredom=2)
    with pytest.raises(SourceError, match="has a label for: boredom"):
        datasets.load_dataset(tmp_path, "PublicTest", LABELS)
    (tmp_path / "boredom" / "0.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"0\.png is not a readable picture"):
        datasets.load_dataset(tmp_path, "PublicTest", LABELS)


def test_a_model_with_the_labels_of_fer2013_is_judged_by_them() -> None:
    """In its own order, here that of the original repository."""
    order = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    faces = fer(np.zeros((7, 10), np.uint8), list(range(7)))
    read = datasets.from_fer(faces, order)
    assert list(read.truths) == ["FER2013"]
    assert [order[i] for i in read.truths["FER2013"]] == list(FER2013)


def test_protocols_follow_the_model_s_order_and_skip_what_it_does_not_know() -> None:
    votes = np.zeros((3, 10), np.uint8)
    votes[[0, 1, 2], [1, 7, 8]] = 10  # happiness, contempt, unknown
    read = datasets.from_fer(fer(votes, [0, 0, 0]), ("sad", "happy"))
    assert read.truths["A"].tolist() == read.truths["B"].tolist() == [1, -1, -1]
    assert read.unknown == {"contempt": 1}
    assert read.protocol == "B"


def test_faces_are_chosen_and_resampled_together() -> None:
    votes = np.zeros((3, 10), np.uint8)
    votes[[0, 1, 2], [0, 1, 2]] = 10
    read = datasets.from_fer(fer(votes, [0, 1, 2]), LABELS).subset(np.array([2, 0]))
    assert read.truths["B"].tolist() == [2, 0]
    assert read.votes is not None and read.votes[0, 2] == 10
    assert np.asarray(datasets.resized(read, 64).images).shape == (2, 64, 64)
    assert datasets.gray_squares(read, 24).shape == (2, 24, 24)
