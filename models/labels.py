"""The emotions that the shipped models distinguish, in the order of their outputs."""

from typing import Final

# FER+ (Barsoum et al. 2016)
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

# FER2013 (Goodfellow et al. 2013)
FER2013: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

# The heads of a network that learns both label sets, and their classes.
HEADS: Final = {"ferplus": len(LABELS), "fer2013": len(FER2013)}
