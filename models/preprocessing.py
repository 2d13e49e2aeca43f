"""Preprocesses faces for a model's input: size, channels, scaling, layout."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emostream.models.spec import ModelSpec
from emostream.shared.pixels import Image

Floats = NDArray[np.float32]


def preprocess(faces: Image, spec: ModelSpec, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return faces in the input format of the model described by `spec`, with type `dtype`.

    `faces` is uint8 (N, H, W), or (N, H, W, 3) in BGR if the model needs color. The layout is from
    `spec`.
    """
    if spec.size is not None and faces.shape[1:3] != spec.size:
        faces = np.stack([resize(face, *spec.size) for face in faces])
    if spec.channels == 3 and spec.colour == "rgb":
        faces = faces[..., ::-1]
    x = scale(faces, spec)
    if spec.layout == "nhwc" and x.ndim == 3:
        x = x[..., None]
    elif spec.layout == "nchw":
        x = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(x, dtype)


def resize(face: Image, height: int, width: int) -> Image:
    """Resize one face: by averaging when shrinking (no aliasing), otherwise bilinear."""
    # Imported here: crops of the right size need no OpenCV.
    import cv2

    small = (min(width, face.shape[1]), min(height, face.shape[0]))
    face = np.asarray(cv2.resize(face, small, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(face, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def scale(faces: Image, spec: ModelSpec) -> NDArray[Any]:
    """Return float32 faces scaled by `spec`, or the bytes if the model scales them itself."""
    if spec.scaling == "model":
        return faces
    x = faces.astype(np.float32)
    match spec.scaling:
        case "0..1":
            return x / 255
        case "-1..1":
            return x / 127.5 - 1
        case "mean-std":
            return (x / 255 - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
        case "standardise":
            axes = tuple(range(1, x.ndim))
            deviation = x.std(axis=axes, keepdims=True)
            # A face of more than one color varies by at least one gray level.
            x -= x.mean(axis=axes, keepdims=True)
            return np.asarray(x / np.maximum(deviation, 1))
