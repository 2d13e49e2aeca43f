"""Neck, shoulders, shirt and ears, in the light of the face."""

import numpy as np

from emostream.models.demo_pictures.canvas import (
    CENTER,
    HEIGHT,
    LIGHT,
    WIDTH,
    Floats,
    Layer,
    X,
    Y,
    aside,
    line,
    noise,
    shape,
    skin_color,
    smooth,
    soft,
    spline,
)
from emostream.models.demo_pictures.looks import Look

# The shadow of the chin, from the left jaw to the right one.
CHIN_SHADOW = [
    (196, 440), (222, 490), (270, 535), (320, 552), (370, 535), (418, 490), (444, 440),
    (444, 380), (196, 380), (196, 440),
]  # fmt: skip
EAR = [
    (124, 338), (136, 322), (147, 328), (150, 350), (144, 380), (136, 402), (126, 406),
    (120, 380), (124, 338),
]  # fmt: skip
EAR_FOLD = [(130, 348), (137, 334), (142, 342), (142, 362), (137, 384)]
# Where the arms separate from the body, and where the cloth has no more folds, because the
# portrait's last row is repeated below it.
ARMPIT, CALM_FROM, CALM_OVER = 800, 850, 130
ARM = 92  # pixels across


def paint_body(look: Look, rng: np.random.Generator) -> Layer:
    """Return everything behind the face: hair, neck, shirt and, with short hair, ears."""
    back = Layer.empty()
    texture = 1 + 0.10 * noise(rng, 1.3, 40) + 0.04 * noise(rng, 6, 60)
    hair = np.array(look.hair, np.float32) * (0.43 * texture * LIGHT)[..., None]
    back.paint(hair, shape(spline(look.behind), 3))
    back.paint(_skin(look, _neck_shade(look)), _neck(look))
    shirt = _shirt(look)
    shadow = soft(np.roll(shirt, -7, axis=0), 5) * (1 - shirt) * back.alpha
    back.color *= (1 - 0.35 * shadow)[..., None]
    back.paint(_cloth(look, rng), shirt)
    if look.open_collar:
        _paint_open_collar(back, look)
    if look.short:
        for side in (-1, 1):
            back.paint(_skin(look, _ear_shade(side)), shape(spline(aside(EAR, side)), 1.6))
    return back


def _skin(look: Look, shade: Floats) -> Floats:
    return skin_color(look.brightness * shade * LIGHT, *look.skin)


def _neck(look: Look) -> Floats:
    half = [
        (look.neck + 8, 420), (look.neck, 490), (look.neck, 548), (look.neck + 22, 587),
        (look.neck + 52, 622), (look.neck + 70, 740),
    ]  # fmt: skip
    return shape(spline([*aside(half, -1), *aside(half[::-1], 1)]), 2.2)


def _neck_shade(look: Look) -> Floats:
    """Paint the neck: round, in the shadow of the chin, with tendons and collarbones."""
    round_ = 1.1 * np.sqrt(np.clip(1 - 0.72 * ((X - CENTER) / (look.neck + 8)) ** 2, 0.1, 1))
    shade = round_ + (1.06 - round_) * smooth((Y - 562) / 70)
    chin = [(CENTER + 0.98 * (x - CENTER) + 10, y + 34) for x, y in spline(CHIN_SHADOW, 12)]
    shade = shade * (1 - 0.42 * shape(chin, 15))
    for side in (-1, 1):
        tendon = aside([(look.neck - 8, 530), (38, 580), (16, 610)], side)
        bone = aside([(20, 614), (70, 608), (140, 602)], side)
        shade = shade * (1 - 0.45 * line(tendon, 9, 9))
        shade = shade * (1 + 0.28 * line(bone, 8, 6) - 0.3 * np.roll(line(bone, 8, 7), 12, axis=0))
    hollow = np.exp(-(((X - CENTER) / 16) ** 2 + ((Y - 614) / 12) ** 2))
    return np.asarray(shade * (1 - 0.22 * hollow), np.float32)


def _shirt(look: Look) -> Floats:
    wide, top = look.shoulders
    left = spline(
        [
            *aside(
                [
                    (wide + 2, 1040), (wide + 8, 940), (wide + 7, 860), (wide, 776),
                    (wide - 12, top + 120), (wide - 40, top + 74), (wide - 84, top + 46),
                    (look.neck + 88, top + 15),
                ],
                -1,
            ),
            look.collar[0],
        ]
    )  # fmt: skip
    right = left[::-1].copy()
    right[:, 0] = 2 * CENTER - right[:, 0]
    mask = shape(np.vstack([left, spline(look.collar), right]), 1.6)
    # Transparent between the arms and the waist.
    for side in (-1, 1):
        inside = wide - ARM
        gap = [
            (inside + 1, ARMPIT + 40), (inside + 4, 900), (inside - 2, 960), (inside - 4, 1040),
            (inside - 34, 1040), (inside - 32, 960), (inside - 18, 900), (inside + 1, ARMPIT + 40),
        ]  # fmt: skip
        mask = mask * (1 - shape(spline(aside(gap, side)), 2.2))
    return np.asarray(mask, np.float32)


def _cloth(look: Look, rng: np.random.Generator) -> Floats:
    wide, top = look.shoulders
    out = abs(X - CENTER)
    # The chest and the arms are round; each arm is in front of the body's side.
    body = np.sqrt(np.clip(1.03 - 0.62 * (out / (wide - 40)) ** 2, 0.2, 1))
    middle = wide - ARM / 2 + 4
    arm = np.sqrt(np.clip(1.02 - 0.6 * ((out - middle) / (ARM / 2 + 8)) ** 2, 0.2, 1)) * 0.92
    on_arm = smooth((out - wide + ARM + 4) / 10) * smooth((Y - top - 70) / 110)
    round_ = body * (1 - on_arm) + arm * on_arm
    # Shoulders catch the light from above, the belly less of it.
    round_ = round_ * (1.06 - 0.24 * smooth((Y - top - 40) / 330))
    shade = round_ * LIGHT * (1 + _folds(look, rng)) * (1 - 0.45 * _creases(look))
    rib = spline(look.collar) + np.array([0, 9], np.float32)
    shade = shade * (1 + 0.10 * line(rib, 13, 1) - 0.28 * line(rib + np.array([0, 8]), 2, 1.2))
    return np.asarray(np.array(look.shirt, np.float32) * shade[..., None], np.float32)


def _folds(look: Look, rng: np.random.Generator) -> Floats:
    """Return the shading of folds, from the armpits and down the chest."""
    wide = look.shoulders[0]
    cloth = 0.045 * noise(rng, 26, 60) + 0.05 * noise(rng, 70, 30) + 0.02 * noise(rng, 1)
    for side in (-1, 1):
        for across, down, length, amount in (
            (0, -8, 120, 0.16), (4, 22, 95, 0.13), (2, -44, 90, 0.10), (0, 60, 70, 0.09),
        ):  # fmt: skip
            start, y = wide - ARM - across, ARMPIT - 20 + down
            fold = spline(
                aside(
                    [
                        (start, y), (start - 0.4 * length, y + 10 + 0.3 * down),
                        (start - length, y + 14 + 0.9 * down),
                    ],
                    side,
                )
            )  # fmt: skip
            lit = line(fold + np.array([0, -8], np.float32), 7, 6)
            cloth = cloth + amount * (0.7 * lit - 1.3 * line(fold, 6, 6))
        elbow = spline(aside([(wide - 6, 905), (wide - 40, 915), (wide - 78, 900)], side))
        cloth = cloth - 0.10 * line(elbow, 7, 7)
    return np.asarray(cloth * (1 - smooth((Y - CALM_FROM) / CALM_OVER)), np.float32)


def _creases(look: Look) -> Floats:
    """Return masks, 0 to 1, of the sleeve seams and of the shadow between arm and body."""
    wide, top = look.shoulders
    dark = np.zeros((HEIGHT, WIDTH), np.float32)
    for side in (-1, 1):
        seam = spline(
            aside(
                [
                    (wide - 78, top + 50), (wide - 74, top + 100), (wide - 82, top + 150),
                    (wide - ARM + 2, ARMPIT),
                ],
                side,
            )
        )  # fmt: skip
        inside = wide - ARM
        between = spline(
            aside([(inside + 2, ARMPIT - 12), (inside + 2, 860), (inside - 6, 1040)], side)
        )
        dark += 0.45 * line(seam, 3, 1.6) + 0.3 * line(seam, 4, 6)
        dark += 0.9 * line(between, 6, 4) + 0.8 * line(between, 14, 14)
    return np.clip(dark, 0, 1)


def _paint_open_collar(back: Layer, look: Look) -> None:
    """Paint a shirt's collar, open at the neck, and its row of buttons."""
    neck, top = look.neck, look.collar[0][1]
    paint = np.array(look.shirt, np.float32)
    placket = [(CENTER, top + 74), (CENTER + 1, 760), (CENTER + 1, 1040)]
    edge = line(spline(placket) + np.array([13, 0], np.float32), 2, 1.3)
    back.color *= (1 - 0.4 * edge * back.alpha)[..., None]
    for y in range(int(top) + 112, 1000, 96):
        button = np.exp(-((((X - CENTER) ** 2 + (Y - y) ** 2) / 22) ** 2))
        back.paint(0.55 * paint * np.ones((HEIGHT, WIDTH, 1), np.float32), 0.8 * button)
    for side in (-1, 1):
        flap = spline(
            aside(
                [
                    (neck + 4, top - 16), (neck - 12, top + 14), (2, top + 74), (34, top + 104),
                    (74, top + 74), (neck + 14, top + 26), (neck + 12, top - 10),
                    (neck + 4, top - 16),
                ],
                side,
            ),
            8,
        )  # fmt: skip
        mask = shape(flap, 1.4)
        under = soft(np.roll(mask, 7, axis=0), 5) * (1 - mask) * back.alpha
        back.color *= (1 - 0.45 * under)[..., None]
        shade = 1.1 - 0.2 * smooth((Y - top) / 100) - 0.25 * line(flap, 3, 3)
        back.paint(paint * (shade * LIGHT)[..., None], mask)


def _ear_shade(side: int) -> Floats:
    out = (X - CENTER) * side
    fold = line(spline(aside(EAR_FOLD, side), 10), 5, 2.2)
    shade = 1 - 0.5 * fold - 0.45 * smooth((136 - out) / 12) + 0.12 * smooth((out - 143) / 6)
    return np.asarray(0.86 * shade, np.float32)
