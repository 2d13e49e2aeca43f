"""The alignment template, measured on the training faces, and the accuracy on aligned crops.

    python -m benchmarks.alignment --data ../shared/data

The first part prints the constants of `models/alignment.py`. For the second, test faces are drawn
into scenes, detected, aligned and classified, and compared with the bare test faces. `--scales`
does the second part only, on held-out faces of the Training split, with crops of several sizes.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.detector_data import clear_faces
from emostream.models.alignment import SCALE, align, placement, sample
from emostream.models.classifier import Classifier, load
from emostream.models.crop_size import CROP
from emostream.models.evaluation.evaluator import predict_all
from emostream.models.evaluation.scenes import background, paste
from emostream.models.ferplus import FerFaces, load_faces, protocol_b, split_training
from emostream.services.detector.backends import Backend, create
from emostream.services.detector.detection import Detection, FaceDetector
from emostream.shared.pixels import Image

SIDE = 192
PADDING = SIDE
POINTS = ("right eye", "left eye", "nose", "mouth")
SCALES = (0.85, 0.9, 0.95, 1.0, 1.05)


def located_faces(detector: FaceDetector, faces: Image) -> Iterator[Detection]:
    """Detect each training face, enlarged and padded; positions are in shares of its side."""
    for face in faces:
        large = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        edges = (PADDING, PADDING, PADDING, PADDING)
        framed = cv2.copyMakeBorder(large, *edges, cv2.BORDER_REPLICATE)
        found = detector.detect(np.asarray(cv2.cvtColor(framed, cv2.COLOR_GRAY2BGR), np.uint8))
        if found:
            x, y, w, h = found[0].box
            box = ((x - PADDING) / SIDE, (y - PADDING) / SIDE, w / SIDE, h / SIDE)
            points = [((a - PADDING) / SIDE, (b - PADDING) / SIDE) for a, b in found[0].landmarks]
            yield Detection(box, found[0].score, tuple(points))


def measure_template(name: str, detector: FaceDetector, faces: Image) -> None:
    """Print the mean positions of landmarks and box, in shares of the face's side."""
    found = list(located_faces(detector, faces))
    print(f"{name}: {len(found)} of {len(faces)} training faces found")
    landmarks = np.array([one.landmarks for one in found]).reshape(len(found), -1, 2)
    for index in range(landmarks.shape[1]):
        (x, y), (dx, dy) = landmarks[:, index].mean(axis=0), landmarks[:, index].std(axis=0)
        print(f"  {POINTS[index]:9} ({x:.3f}, {y:.3f})  spread ({dx:.3f}, {dy:.3f})")
    x, y, w, h = np.mean([one.box for one in found], axis=0)
    print(f"  box ({x:.3f}, {y:.3f}) {w:.3f} x {h:.3f}: the face's square is {1 / w:.3f} of its")
    print(f"  width, about its ({(0.5 - x) / w:.3f}, {(0.5 - y) / h:.3f})")


def draw_face(face: Image, random: np.random.Generator) -> Image:
    """Draw a face into a scene of 640 x 360, 80 to 250 pixels wide, rotated up to 15 degrees."""
    picture = background(random)[:360, :640].copy()
    side = random.uniform(80, 250)
    square = np.array([*random.uniform(20, (620 - side, 340 - side)), side, side])
    paste(picture, face, square, random)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def measure_crops(name: str, detector: FaceDetector, faces: FerFaces, model: Classifier) -> None:
    """Print the accuracy on bare faces, and on the same faces detected and aligned."""
    random = np.random.default_rng(7)
    bare, aligned, by_box = [], [], []
    found = np.zeros(len(faces), bool)
    for index, face in enumerate(faces.images):
        frame = draw_face(face, random)
        detections = detector.detect(frame)
        if detections:
            found[index] = True
            box_alone = Detection(detections[0].box, detections[0].score)
            first, second = align(frame, [detections[0], box_alone])
            bare.append(face)
            aligned.append(first)
            by_box.append(second)
    labels = protocol_b(faces.votes[found])
    print(f"{name}: {found.sum()} of {len(faces)} drawn faces found; the model is right about")
    for kind, crops in (("bare", bare), ("aligned", aligned), ("box alone", by_box)):
        right = model.predict(np.array(crops)).argmax(axis=1) == labels
        print(f"  {100 * right.mean():.1f}% of them {kind}", flush=True)


def crop_scaled(frame: Image, face: Detection, scale: float) -> Image:
    """Return the crop of a face, `scale` times as wide as the template, around the same center."""
    matrix = placement(face)
    center = matrix @ [0.5, 0.5, 1]
    matrix[:, :2] *= scale / SCALE
    matrix[:, 2] = center - matrix[:, :2] @ [0.5, 0.5]
    return sample(frame, matrix, CROP)


def measure_scales(name: str, detector: FaceDetector, faces: FerFaces, model: Classifier) -> None:
    """Print the accuracy on faces drawn, detected and aligned, by the scale of the crops."""
    random = np.random.default_rng(7)
    crops: dict[float, list[Image]] = {scale: [] for scale in SCALES}
    found = np.zeros(len(faces), bool)
    for index, face in enumerate(faces.images):
        frame = draw_face(face, random)
        detections = detector.detect(frame)
        if detections:
            found[index] = True
            for scale, scaled in crops.items():
                scaled.append(crop_scaled(frame, detections[0], scale))
    labels = protocol_b(faces.votes[found])
    print(f"{name}: {found.sum()} of {len(faces)} held-out faces found; the model is right about")
    for scale, scaled in crops.items():
        given = predict_all(model, np.stack(scaled))
        likely = np.maximum(given[np.arange(len(labels)), labels], 1e-7)
        right, loss = (given.argmax(axis=1) == labels).mean(), -np.log(likely).mean()
        print(f"  {100 * right:.1f}% at scale {scale:g}, NLL {loss:.3f}", flush=True)


def main() -> None:
    """Measure template and crops for each detector."""
    parser = argparse.ArgumentParser(description="Measure the alignment of faces.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--faces", type=int, default=2000)
    parser.add_argument("--model", default="alexnet-fer", help="a name or a .keras file")
    parser.add_argument("--scales", action="store_true", help="compare sizes of the crop only")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    backends: tuple[Backend, ...] = ("blazeface", "yunet", "haar")
    if arguments.scales:
        held_out = split_training(load_faces("Training", arguments.data / "fer"))[1]
        held_out = held_out[: arguments.faces]
        for backend in backends[:2]:  # Haar has no landmarks
            measure_scales(backend, create(backend), held_out, load(arguments.model))
        return
    random = np.random.default_rng(0)
    faces = clear_faces("Training", arguments.data / "fer").images
    faces = faces[random.permutation(len(faces))[: arguments.faces]]
    tests = load_faces("PublicTest", arguments.data / "fer")
    tests = tests[protocol_b(tests.votes) >= 0]
    tests = tests[random.permutation(len(tests))[: arguments.faces]]
    model = load(arguments.model)
    for backend in backends:
        detector = create(backend)
        measure_template(backend, detector, faces)
        measure_crops(backend, detector, tests, model)


if __name__ == "__main__":
    main()
