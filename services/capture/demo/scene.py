"""The demo's scene: people with known boxes and emotions, drawn frame by frame."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emostream.services.capture.demo.actor import LARGEST, SMALLEST, Actor
from emostream.services.capture.demo.background import EDGE, background, table
from emostream.services.capture.demo.drawing import Drawing
from emostream.services.capture.demo.movement import LOWER_LIDS, UPPER_LIDS
from emostream.services.capture.demo.pictures import load_points
from emostream.services.capture.demo.portrait import Portrait
from emostream.services.capture.demo.warping import Layer, Region, View, layers
from emostream.shared.messages import Box, Point
from emostream.shared.pixels import Image

Floats = NDArray[np.float32]

# The center and the width of a face in its portrait, in pixels.
MIDDLE, FACE_WIDTH = (320.0, 395.0), 262.0
SWAY = 26.0  # pixels
# The minimum redraw rate of a person: they move so slowly that a higher one would not be visible.
DRAWN_PER_S = 12.5
# Vertices of the face mesh.
RIGHT_EYE, LEFT_EYE = (33, 133), (362, 263)
NOSE, MOUTH, LIPS = 1, (61, 291), (13, 14)
# The mesh's rim ends below the hairline, and detectors' boxes are larger. These shares of the rim's
# width and height are added on both sides, above and below.
RIM = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
WIDER, HIGHER, LOWER = -0.02, 0.11, 0.02


@dataclass(frozen=True, slots=True)
class TrueFace:
    """The ground truth of a face in the demo; positions are in pixels of the frame.

    `box` is x, y, width, height, `label` the stronger emotion, `mix` the weight of each emotion
    shown (one of weight 1, or two that sum to 1 while it morphs). `landmarks` are right eye, left
    eye (the person's), nose and middle of the mouth. `yaw`, `pitch` and `roll` are degrees with the
    signs of `head_pose`. `eye_opening` is the height of the eyes over their width, `mouth_opening`
    the gap between the lips over the width of the mouth; both as the face mesh sees the pictures,
    which takes wide open mouths for less open than they are.
    """

    person: int
    box: Box
    label: str
    mix: dict[str, float]
    landmarks: tuple[Point, Point, Point, Point]
    yaw: float
    pitch: float
    roll: float
    eye_opening: float
    mouth_opening: float


class DemoScene:
    """Frames of `faces` people at `fps`, the same for the same arguments.

    `frame(n)` is drawn and `truth(n)` is its ground truth; both take any n >= 0 in any order.
    """

    def __init__(
        self, width: int = 1280, height: int = 720, faces: int = 3, fps: float = 25, seed: int = 1
    ) -> None:
        rng = random.Random(seed)
        self.width, self.height, self.fps = width, height, fps
        self._points = load_points()
        self._portraits = [Portrait(person) for person in range(len(self._points.rest))]
        emotions = len(self._points.emotions)
        self._actors = [Actor(index, emotions, rng) for index in range(faces)]
        self._background = background(width, height, seed)
        before = table(width, height)
        edge = round(EDGE * len(before)) + 1
        # People are visible through the edge of the table, but not below it.
        top = height - len(before)
        self._seen_down_to = top + edge
        region = Region(0, top, width, edge)
        self._table = layers(region, before[:edge], Region(0, top, 0, 0))
        self._background[self._seen_down_to :] = before[edge:, :, :3]
        self._every = max(1, round(fps / DRAWN_PER_S))
        self._drawn: dict[int, tuple[float, list[Layer]]] = {}
        self._unit = min(height / 720, width / 1280 * 3 / max(faces, 3))

    def frame(self, n: int) -> Image:
        """The n-th frame, uint8 (height, width, 3) BGR, a new array each time."""
        picture = self._background.copy()
        moments = [(actor, self._time(actor, n)) for actor in self._actors]
        # Larger people are nearer, so they are drawn last.
        for actor, t in sorted(moments, key=lambda moment: self._face_width(*moment)):
            for layer in self._layers(actor, t):
                layer.paste(picture)
        for layer in self._table:
            layer.paste(picture)
        return picture

    def truth(self, n: int) -> list[TrueFace]:
        """The faces of the n-th frame, in the order of the people."""
        return [self._true_face(actor, self._time(actor, n)) for actor in self._actors]

    def _time(self, actor: Actor, n: int) -> float:
        """Return the script time of the actor's picture in the n-th frame, in seconds.

        Actors are redrawn in every `_every`-th frame, in turn, and in every frame of a blink.
        """
        t = n / self.fps
        return t if actor.blink(t) else (n - (n + actor.index) % self._every) / self.fps

    def _layers(self, actor: Actor, t: float) -> list[Layer]:
        drawn_at, drawn = self._drawn.get(actor.index, (-math.inf, []))
        if drawn_at != t:
            size = (self.width, self._seen_down_to)
            drawing = Drawing(self._portrait(actor), self._view(actor, t), size)
            drawn = drawing.draw(actor.expression(t), actor.pose(t))
            self._drawn[actor.index] = t, drawn
        return drawn

    def _portrait(self, actor: Actor) -> Portrait:
        return self._portraits[actor.index % len(self._portraits)]

    def _face_width(self, actor: Actor, t: float) -> float:
        near = 0.5 + 0.5 * actor.wave(3, 19, t)
        return self._unit * SMALLEST * math.pow(LARGEST / SMALLEST, near * near)

    def _view(self, actor: Actor, t: float) -> View:
        """Return the position of the actor's portrait in the frame."""
        slot, scale = self.width / len(self._actors), self._face_width(actor, t) / FACE_WIDTH
        sway = 0.4 * actor.wave(4, 9, t) + 0.6 * math.sin(math.tau * t / 23)
        x = slot * (actor.index + 0.5) + SWAY * self._unit * sway
        y = self.height * (0.44 + 0.02 * actor.wave(4, 11, t))
        return View(scale, (x - scale * MIDDLE[0], y - scale * MIDDLE[1]))

    def _true_face(self, actor: Actor, t: float) -> TrueFace:
        pose, shown = actor.pose(t), actor.expression(t)
        view = self._view(actor, t)
        seen = view.scale * self._portrait(actor).seen(shown, pose)
        seen = seen + np.array(view.corner, np.float32)
        index = self._points.index
        now, after = (self._points.emotions[k] for k in (shown.now, shown.after))
        mix = {now: 1 - shown.weight, after: shown.weight} if shown.weight else {now: 1.0}

        def at(vertices: Sequence[int]) -> Floats:
            return seen[[index[vertex] for vertex in vertices]]

        def gap(pair: tuple[int, int]) -> float:
            return math.dist(*at(pair).tolist())

        eyes, mouth = (at(RIGHT_EYE), at(LEFT_EYE)), at(MOUTH)
        lids = np.linalg.norm(at(UPPER_LIDS) - at(LOWER_LIDS), axis=1)
        return TrueFace(
            person=actor.index,
            box=_box(at(RIM)),
            label=max(mix, key=mix.__getitem__),
            mix=mix,
            landmarks=(_middle(eyes[0]), _middle(eyes[1]), _middle(at((NOSE,))), _middle(mouth)),
            yaw=pose.yaw,
            pitch=pose.pitch,
            roll=pose.roll,
            eye_opening=float(lids.max()) / gap(RIGHT_EYE),
            mouth_opening=gap(LIPS) / gap(MOUTH),
        )


def _middle(points: Floats) -> Point:
    x, y = points.mean(axis=0).tolist()
    return x, y


def _box(rim: Floats) -> Box:
    """Return the box that detectors find for a face with this mesh rim, (N, 2)."""
    (left, top), (right, bottom) = rim.min(axis=0).tolist(), rim.max(axis=0).tolist()
    width, height = right - left, bottom - top
    return (
        left - WIDER * width,
        top - HIGHER * height,
        (1 + 2 * WIDER) * width,
        (1 + HIGHER + LOWER) * height,
    )
