"""Creates the pictures of the demo's people from the training data.

    python -m emostream.models.demo_pictures --data ../shared/data/fer

writes `people.webp`, `faces.webp` and `points.npz` into the folder of the demo, and the page's
icon.
"""

import argparse
import base64
from pathlib import Path

import cv2
import numpy as np

from emostream.models import load
from emostream.models.demo_pictures.averages import (
    Average,
    average,
    exaggerated,
    on_one_skin,
    sharpened,
    with_room_for_chin,
)
from emostream.models.demo_pictures.body import paint_body
from emostream.models.demo_pictures.canvas import LEFT, Layer
from emostream.models.demo_pictures.face_mesh import find_meshes
from emostream.models.demo_pictures.face_paint import paint_face
from emostream.models.demo_pictures.hair import paint_short, paint_sweep
from emostream.models.demo_pictures.looks import LOOKS, Look
from emostream.models.demo_pictures.photographs import CHOICES, MINIMUM, choose
from emostream.models.demo_pictures.points import write_points
from emostream.models.ferplus import FOLDER, load_faces
from emostream.models.labels import LABELS
from emostream.shared.errors import EmostreamError, SourceError
from emostream.shared.pixels import Image

DEMO = Path(__file__).parents[2] / "services" / "capture" / "demo"
# The minimum share of agreeing votes per face, and the maximum number of faces.
AGREEMENT = {"neutral": 0.8, "happiness": 0.9, "surprise": 0.7, "sadness": 0.6, "anger": 0.6}
RARE_AGREEMENT, MOST = 0.5, 2200
# The area that is redrawn for each expression: left, top, right, bottom.
FACE = (150, 180, 490, 572)
PEOPLE_QUALITY, FACES_QUALITY = 92, 90
# The icon: person and expression, the visible square, its size in pixels, and its colors.
ICON = Path(__file__).parents[2] / "services" / "display" / "page" / "icon.svg"
ICON_PERSON, ICON_LABEL, ICON_SQUARE, ICON_SIDE = 2, "happiness", (130, 150, 380), 64
ICON_BEHIND = (61, 49, 38)


def make_averages(folder: Path) -> dict[str, Average]:
    """Return the average face of each emotion in `CHOICES`, and print the number of photos in each.

    Raises SourceError if the data or the face mesh network is missing.
    """
    faces, model = load_faces("Training", folder), load("alexnet-fer", prior_strength=0)
    votes = faces.votes[:, : len(LABELS)]
    shares = votes / np.maximum(faces.votes.sum(axis=1, keepdims=True), 1)
    labels = votes.argmax(axis=1)
    made: dict[str, Average] = {}
    for label, choice in CHOICES.items():
        own = shares[:, LABELS.index(label)].astype(np.float32)
        least = AGREEMENT.get(label, RARE_AGREEMENT)
        agreed = np.flatnonzero((labels == LABELS.index(label)) & (own >= least))
        agreed = agreed[np.argsort(-own[agreed], kind="stable")][:MOST]
        meshes = find_meshes(faces.images[agreed])
        agreed, meshes = agreed[meshes.frontal], meshes[meshes.frontal]
        images, neutral = faces.images[agreed], made.get("neutral")
        chosen = choose(label, images, own[agreed], meshes, model, neutral)
        if len(chosen) < MINIMUM:
            raise SourceError(f"{label}: {len(chosen)} photographs, and {MINIMUM} are needed")
        print(f"{label:9} {len(chosen):3} photographs", flush=True)
        one = average(
            images[chosen], meshes.found[chosen], meshes.leveled[chosen], mirror=choice.mirror
        )
        made[label] = exaggerated(one, neutral, choice.exaggerate) if neutral else one
    return finished(made)


def finished(averages: dict[str, Average]) -> dict[str, Average]:
    """Return the sharpened averages, on the skin of the neutral one."""
    sharp = {label: sharpened(one) for label, one in averages.items()}
    neutral = sharp["neutral"]
    return {
        label: with_room_for_chin(
            one if one is neutral else on_one_skin(one, neutral, CHOICES[label].soften)
        )
        for label, one in sharp.items()
    }


def paint_person(look: Look, averages: dict[str, Average], seed: int) -> list[Image]:
    """Return the person with each expression, premultiplied BGRA, uint8 (1000, 760, 4)."""
    rng = np.random.default_rng(seed)
    back, front = paint_body(look, rng), Layer.empty()
    for sweep in look.sweeps:
        paint_sweep(front, sweep, look.hair, rng)
    if look.short:
        paint_short(front, look.hair, rng)
    pores = int(rng.integers(2**31))
    return [
        _pixels(front.over(paint_face(one, look, front, np.random.default_rng(pores)).over(back)))
        for one in averages.values()
    ]


def _pixels(layer: Layer) -> Image:
    both = np.dstack([layer.color, 255 * layer.alpha])
    return np.asarray(np.rint(np.clip(both, 0, 255)), np.uint8)


def write_pictures(folder: Path, averages: dict[str, Average]) -> None:
    """Write the three files to a folder."""
    left, top, right, bottom = FACE
    columns = slice(left - LEFT, right - LEFT)
    people = [paint_person(look, averages, 10 + k) for k, look in enumerate(LOOKS)]
    faces = [np.hstack([one[top:bottom, columns] for one in person]) for person in people]
    quality = cv2.IMWRITE_WEBP_QUALITY
    sheet = np.hstack([person[0] for person in people])
    cv2.imwrite(str(folder / "people.webp"), sheet, [quality, PEOPLE_QUALITY])
    cv2.imwrite(str(folder / "faces.webp"), np.vstack(faces), [quality, FACES_QUALITY])
    write_points(folder / "points.npz", averages)
    write_icon(people[ICON_PERSON][list(averages).index(ICON_LABEL)])


def write_icon(sprite: Image) -> None:
    """Write the page's icon: a face of the demo, uint8 (H, W, 4), in a round square."""
    left, top, side = ICON_SQUARE
    cut = sprite[top : top + side, left - LEFT : left - LEFT + side].astype(np.float32)
    face = cut[..., :3] + np.array(ICON_BEHIND, np.float32) * (1 - cut[..., 3:] / 255)
    small = cv2.resize(face, (ICON_SIDE, ICON_SIDE), interpolation=cv2.INTER_AREA)
    _, coded = cv2.imencode(".webp", small.astype(np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 80])
    picture = base64.b64encode(coded.tobytes()).decode()
    ICON.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><clipPath id="round">'
        '<rect width="32" height="32" rx="8"/></clipPath><image width="32" height="32" '
        f'clip-path="url(#round)" href="data:image/webp;base64,{picture}"/></svg>\n'
    )


def main() -> None:
    """Write the files that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make the pictures of the demo's people.")
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--out", type=Path, default=DEMO, help="folder to write into")
    arguments = parser.parse_args()
    try:
        write_pictures(arguments.out, make_averages(arguments.data))
    except EmostreamError as error:
        parser.error(str(error))
    for name in ("people.webp", "faces.webp", "points.npz"):
        print(f"{arguments.out / name} ({(arguments.out / name).stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
