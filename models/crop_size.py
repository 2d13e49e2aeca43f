"""The side of the crops of faces that the pipeline sends and the models are warmed up with."""

from typing import Final

CROP: Final = 64  # pixels
