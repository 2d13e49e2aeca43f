"""The side of the face crops that the pipeline sends, also used to warm up models."""

from typing import Final

CROP: Final = 64  # pixels
