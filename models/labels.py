"""The eight emotions of FER+, in the order of the model's outputs."""

from typing import Final

LABELS: Final = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
