"""Draws a person of the demo."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.services.capture.demo.actor import Expression
from emostream.services.capture.demo.movement import BREATH, Pose
from emostream.services.capture.demo.pictures import Sprite
from emostream.services.capture.demo.portrait import END, Portrait
from emostream.services.capture.demo.silhouette import Part
from emostream.services.capture.demo.warping import (
    Layer,
    Region,
    View,
    enlarged,
    layers,
    looked_up,
)
from emostream.shared.pixels import Image

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Draws a portrait in a view of a frame of `size` (width and height)."""

    portrait: Portrait
    view: View
    size: tuple[int, int]

    def draw(self, shown: Expression, pose: Pose) -> list[Layer]:
        """Return the layers of the person with an expression and pose; later ones are on top."""
        fields = self.portrait.looked_up(shown, pose)
        return [
            *self._head(fields, shown.weight, pose),
            *self._shoulders(fields[0][1]),
            *self._chest(pose),
        ]

    def _region(self, part: Part) -> Region:
        return self.view.region(part, self.size)

    def _looked_up(self, sprite: Sprite, field: Floats, region: Region) -> Image:
        return looked_up(sprite.pixels, enlarged(field, region, self.view, sprite.at))

    def _head(self, fields: list[tuple[int, Floats]], weight: float, pose: Pose) -> Iterable[Layer]:
        region, core = (self._region(part) for part in self.portrait.head(pose))
        if not region:
            return ()
        heads = self.portrait.pictures.heads
        drawn = [self._looked_up(heads[emotion], field, region) for emotion, field in fields]
        if len(drawn) == 2:
            # Both are warped to the intermediate shape, so that only their shading is blended.
            mixed = cv2.addWeighted(drawn[0], 1 - weight, drawn[1], weight, 0)
            drawn = [np.asarray(mixed, np.uint8)]
        return layers(region, drawn[0], core)

    def _shoulders(self, field: Floats) -> Iterable[Layer]:
        part, core = self.portrait.shoulders
        region = self._region(part)
        if not region:
            return ()
        drawn = self._looked_up(self.portrait.pictures.body, field, region)
        return layers(region, drawn, self._region(core))

    def _chest(self, pose: Pose) -> Iterator[Layer]:
        body, scale, corner = self.portrait.pictures.body, self.view.scale, self.view.corner
        down = corner[1] - scale * BREATH * pose.breath
        for part, core in self.portrait.chest:
            region = self._region(part)
            if not region:
                continue
            matrix = np.array(
                [
                    [scale, 0, corner[0] + scale * body.at[0] - region.left],
                    [0, scale, down + scale * body.at[1] - region.top],
                ]
            )
            # The portrait's last row is repeated below it.
            size = (region.width, 1 if part[1] >= END else region.height)
            drawn = cv2.warpAffine(body.pixels, matrix, size, borderMode=cv2.BORDER_REPLICATE)
            if len(drawn) < region.height:
                drawn = np.repeat(drawn, region.height, axis=0)
            yield from layers(region, np.asarray(drawn, np.uint8), self._region(core))
