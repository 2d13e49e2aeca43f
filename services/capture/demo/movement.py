"""Moves a person: blinking moves points of the face, a pose moves the whole portrait."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# The center of rotation of the head in portrait pixels: the neck.
PIVOT = (320.0, 500.0, 110.0)
# Vertices of the face mesh: the upper lid, and the lower lid below it, of both eyes.
UPPER_LIDS = (246, 161, 160, 159, 158, 157, 173, 466, 388, 387, 386, 385, 384, 398)
LOWER_LIDS = (7, 163, 144, 145, 153, 154, 155, 249, 390, 373, 374, 380, 381, 382)
# The creases of the lids follow a blink by less, so that the skin in between stretches evenly.
CREASES = (30, 29, 27, 28, 56, 260, 259, 257, 258, 286)
CREASE_LIDS = (161, 160, 159, 158, 157, 388, 387, 386, 385, 384)
CREASE_SHARE = 0.3
# The lids meet near the lower one.
MEET = 0.92
# How far breathing lifts the chest, and how much less the head, in pixels of the portrait.
BREATH, HEAD_BREATH = 1.8, 1.0


@dataclass(frozen=True, slots=True)
class Pose:
    """The movement of a body, apart from the expression.

    `yaw`, `pitch` and `roll` in degrees have the signs of `head_pose`; `blink` is 0 for open eyes
    and 1 for closed ones, `breath` -1 to 1.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    blink: float = 0.0
    breath: float = 0.0


def levers(places: Floats, solid: Floats) -> Floats:
    """Return the input of `shift` for positions (H, W, 2) in pixels, float32 (5, H, W).

    `solid` is (H, W, 2): the depth away from the camera, and how much each position follows the
    head (0 to 1).
    """
    depth, follow = solid[..., 0], solid[..., 1]
    from_pivot = np.dstack([places, depth]) - np.array(PIVOT, np.float32)
    moved = np.dstack([follow[..., None] * from_pivot, follow, np.ones_like(follow)])
    return np.ascontiguousarray(moved.transpose(2, 0, 1), np.float32)


def shift(levers: Floats, pose: Pose, unit: float = 1.0) -> Floats:
    """Return how far the pose moves each position in the picture, float32 (H, W, 2).

    The unit is `unit` pixels.
    """
    matrix = np.zeros((2, 5))
    matrix[:, :3] = (_rotation(pose) - np.eye(3))[:2]
    matrix[1, 3:] = HEAD_BREATH * pose.breath, -BREATH * pose.breath
    # A quarter of the time of `cv2.transform`.
    moved = (matrix / unit).astype(np.float32) @ levers.reshape(5, -1)
    return np.asarray(cv2.merge(list(moved.reshape(2, *levers.shape[1:]))), np.float32)


def blinking(points: Floats, index: dict[int, int], blink: float) -> Floats:
    """Return the points (P, 2) with the eyes closed by `blink`, 0 to 1."""
    moved = points.copy()
    upper, lower = ([index[v] for v in lids] for lids in (UPPER_LIDS, LOWER_LIDS))
    down = np.float32(MEET * blink) * (points[lower] - points[upper])
    moved[upper] += down
    lids = dict(zip(UPPER_LIDS, down, strict=True))
    for crease, lid in zip(CREASES, CREASE_LIDS, strict=True):
        moved[index[crease]] += CREASE_SHARE * lids[lid]
    return moved


def _rotation(pose: Pose) -> NDArray[np.float64]:
    """Return the matrix (3, 3) for positions (right, down, away)."""
    yaw, pitch, roll = (math.radians(angle) for angle in (pose.yaw, pose.pitch, pose.roll))
    about_y = [[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]]
    about_x = [
        [1, 0, 0],
        [0, math.cos(pitch), math.sin(pitch)],
        [0, -math.sin(pitch), math.cos(pitch)],
    ]
    about_z = [
        [math.cos(roll), -math.sin(roll), 0],
        [math.sin(roll), math.cos(roll), 0],
        [0, 0, 1],
    ]
    turn = np.array(about_z) @ np.array(about_x) @ np.array(about_y)
    return np.asarray(turn, np.float64)
