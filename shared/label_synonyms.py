"""Words that other label sets have for the expressions of FER+."""

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


def meaning(label: str) -> str:
    """Return the word of FER+ for a label, or the label itself in lower case."""
    plain = label.strip().casefold()
    return SYNONYMS.get(plain, plain)
