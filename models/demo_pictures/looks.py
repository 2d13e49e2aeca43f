"""The demo's people: colors, build, hair and face shape."""

from dataclasses import dataclass

import numpy as np

from emostream.models.demo_pictures.canvas import CENTER, EYES, Color, Curve, Floats
from emostream.models.demo_pictures.hair import Sweep


@dataclass(frozen=True, slots=True)
class Look:
    """One person; colors are BGR, curves are in pixels of the portrait.

    `skin` has the tints of dark, medium and light skin; `brightness` and `contrast` apply to the
    face. `broader` and `longer` scale the face, `jaw` widens it below the eyes.
    """

    skin: tuple[Color, Color, Color]
    brightness: float
    contrast: float
    hair: Color
    shirt: Color
    neck: float
    shoulders: tuple[float, float]
    collar: Curve
    behind: Curve
    sweeps: tuple[Sweep, ...]
    short: bool
    broader: float
    longer: float
    jaw: float
    lips: tuple[Color, float]
    stubble: float = 0.0
    open_collar: bool = False


LONG_LEFT = Sweep(
    (
        [(324, 114), (235, 122), (172, 200), (156, 320), (146, 460), (142, 590), (172, 700)],
        [(326, 150), (262, 168), (200, 236), (180, 330), (170, 460), (172, 580), (202, 690)],
        [(326, 200), (284, 213), (234, 250), (206, 318), (195, 410), (200, 520), (232, 640)],
    ),
    wave=9.0, waves=1.9, shine=(0.22, 0.12, 0.35), second=(0.62, 0.14, 0.20), shortest=0.77,
)  # fmt: skip
BOB_RIGHT = Sweep(
    (
        [(372, 116), (420, 124), (466, 190), (480, 300), (480, 420), (468, 500), (436, 540)],
        [(376, 150), (412, 164), (446, 215), (460, 310), (462, 420), (454, 500), (430, 538)],
        [(378, 188), (400, 204), (430, 248), (444, 310), (449, 390), (446, 470), (428, 526)],
    ),
    wave=3.0, waves=1.1, shine=(0.27, 0.10, 0.42), second=(0.70, 0.12, 0.12), shortest=0.86,
)  # fmt: skip
BOB_LEFT = Sweep(
    (
        [(372, 116), (270, 112), (182, 180), (160, 300), (160, 420), (172, 500), (205, 540)],
        [(374, 150), (290, 150), (208, 212), (184, 310), (178, 420), (186, 500), (212, 538)],
        [(376, 190), (318, 206), (246, 236), (204, 300), (192, 390), (194, 470), (214, 528)],
    ),
    wave=3.0, waves=1.1, shine=(0.27, 0.10, 0.42), second=(0.70, 0.12, 0.12), shortest=0.86,
)  # fmt: skip

LOOKS = (
    Look(
        skin=((62, 84, 150), (122, 152, 210), (205, 224, 246)), brightness=0.52, contrast=0.20,
        hair=(34, 44, 64), shirt=(120, 92, 60), neck=70, shoulders=(306, 608),
        collar=[(204, 604), (242, 648), (320, 680), (398, 648), (436, 604)],
        behind=[(320, 112), (225, 126), (168, 205), (158, 330), (148, 480), (142, 600), (160, 700),
                (480, 700), (498, 600), (492, 480), (482, 330), (472, 205), (415, 126), (320, 112)],
        sweeps=(LONG_LEFT, LONG_LEFT.mirrored(326)), short=False,
        broader=0.955, longer=1.0, jaw=-0.03, lips=((110, 112, 185), 0.6),
    ),
    Look(
        skin=((45, 65, 125), (88, 122, 182), (165, 190, 225)), brightness=0.40, contrast=0.165,
        hair=(34, 36, 42), shirt=(78, 80, 88), neck=88, shoulders=(352, 590),
        collar=[(226, 576), (258, 604), (320, 617), (382, 604), (414, 576)],
        behind=[(190, 330), (184, 250), (200, 190), (244, 142), (320, 124), (396, 140), (442, 190),
                (456, 250), (450, 330), (440, 345), (200, 345), (190, 330)],
        sweeps=(), short=True,
        broader=1.0, longer=1.02, jaw=0.06, lips=((95, 112, 170), 0.35), stubble=0.3,
        open_collar=True,
    ),
    Look(
        skin=((78, 98, 160), (145, 172, 222), (208, 226, 248)), brightness=0.57, contrast=0.195,
        hair=(66, 96, 138), shirt=(92, 110, 78), neck=70, shoulders=(306, 608),
        collar=[(218, 592), (258, 626), (320, 640), (382, 626), (422, 592)],
        behind=[(320, 112), (225, 124), (170, 205), (160, 330), (160, 450), (180, 535), (460, 535),
                (480, 450), (480, 330), (470, 205), (415, 124), (320, 112)],
        sweeps=(BOB_RIGHT, BOB_LEFT), short=False,
        broader=1.03, longer=0.965, jaw=-0.02, lips=((110, 112, 185), 0.6),
    ),
)  # fmt: skip


def shaped(points: Floats, look: Look) -> Floats:
    """Return portrait points (..., 2) scaled to the person's face and head."""
    x, y = points[..., 0] - CENTER, points[..., 1]
    # Points far from the face do not move.
    share = np.exp(-((np.maximum(0, np.hypot(x, y - 400) - 260) / 60) ** 2))
    wider = look.broader + look.jaw * np.clip((y - 370) / 135, 0, 1) - 1
    longer = (look.longer - 1) * (y > EYES)
    return np.stack(
        [CENTER + x * (1 + share * wider), EYES + (y - EYES) * (1 + share * longer)], axis=-1
    ).astype(np.float32)
