"""Synonyms of the FER+ labels in other label sets."""

from typing import Final

SYNONYMS: Final = {
    "neutrality": "neutral",
    "happy": "happiness",
    "joy": "happiness",
    "surprised": "surprise",
    "sad": "sadness",
    "angry": "anger",
    "disgusted": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "scared": "fear",
    "contemptuous": "contempt",
}


def canonical_label(label: str) -> str:
    """Return the FER+ label that a label is a synonym of, or the label itself in lower case."""
    plain = label.strip().casefold()
    return SYNONYMS.get(plain, plain)
