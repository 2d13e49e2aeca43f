"""Writes a TOML template for a model, with all that its file reveals."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emostream.models.crop_size import CROP
from emostream.models.engines import Engine, Shape
from emostream.models.spec import are_probabilities, format_shape
from emostream.shared.errors import WeightsError

FACES: Final = 2  # faces of noise, for a model that accepts any number

HEADER: Final = """\
# What {name} takes and returns, as far as its file tells: fill in {missing}.
# docs/models.md explains the keys.
"""
LABELS: Final = """
# The names of its {count} outputs, in order.
labels = [
{labels}
]
"""
SCALING: Final = """
# The pixel values that it expects:
#   "0..1"         0 to 1
#   "-1..1"        -1 to 1
#   "standardise"  mean 0 and standard deviation 1 in each face
#   "mean-std"     0 to 1, minus `mean`, divided by `std`: add both keys, one number per channel
#   "model"        0 to 255: the model scales them itself
scaling = ""
"""
SCALED_BY_MODEL: Final = """
# It takes bytes, so it scales them itself.
scaling = "model"
"""
OUTPUTS: Final = {
    "probabilities": "its rows sum to 1",
    "logits": "its rows do not sum to 1, so a softmax is applied",
}


def spec_template(path: Path, engine: Engine) -> str:
    """Return the TOML for the model in a file, with placeholders for unknown values.

    The model runs once, on faces of noise. Raises WeightsError if the model is unsuitable: it does
    not accept pictures, or does not return a row of numbers for each.
    """
    layout, channels, size = _input(path, engine.shape)
    rows = _answer(path, engine, layout, channels, size)
    count = rows.shape[1]
    labels = "\n".join(f'    "label_{number}",' for number in range(count))
    takes_bytes = np.issubdtype(engine.dtype, np.integer)
    text = HEADER.format(name=path.name, missing="labels" if takes_bytes else "labels and scaling")
    text += LABELS.format(count=count, labels=labels)
    text += (SCALED_BY_MODEL if takes_bytes else SCALING) + "\n"
    if None not in size:
        text += f"size = {list(size)}  # height, width\n"
    text += f"channels = {channels}\n"
    if channels == 3:
        text += 'colour = "rgb"  # or "bgr": the file does not say\n'
    output = "probabilities" if are_probabilities(rows) else "logits"
    return text + f'layout = "{layout}"\noutput = "{output}"  # {OUTPUTS[output]}\n'


def _input(path: Path, shape: Shape) -> tuple[str, int, Shape]:
    """Return layout, channels and (height, width) of a model's input."""
    layout = "nhw" if len(shape) == 3 else "nchw" if shape[1:2] in ((1,), (3,)) else "nhwc"
    if len(shape) == 4 and shape[-1] in (1, 3):
        layout = "nhwc"
    channels = 1 if layout == "nhw" else shape[1 if layout == "nchw" else -1] or 1
    if len(shape) not in (3, 4) or channels not in (1, 3):
        raise WeightsError(
            f"{path} takes {format_shape(shape)}, which is not a gray or color picture of a face"
        )
    return layout, channels, shape[2:4] if layout == "nchw" else shape[1:3]


def _answer(
    path: Path, engine: Engine, layout: str, channels: int, size: Shape
) -> NDArray[np.float32]:
    """Return a model's output for faces of noise, float32 (N, outputs)."""
    height, width = (side or CROP for side in size)
    shape = {
        "nhw": (height, width),
        "nhwc": (height, width, channels),
        "nchw": (channels, height, width),
    }[layout]
    faces: NDArray[Any] = np.random.default_rng(0).random((engine.shape[0] or FACES, *shape))
    if np.issubdtype(engine.dtype, np.integer):
        faces = faces * 255
    try:
        rows = engine(faces.astype(engine.dtype))
    except engine.failures as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(f"{path} does not run: {reason}") from error
    if rows.ndim != 2 or len(rows) != len(faces) or rows.shape[1] < 2:
        raise WeightsError(
            f"{path} gives {format_shape(rows.shape)} for a face, but a model needs"
            " one number for each of at least two labels"
        )
    return rows
