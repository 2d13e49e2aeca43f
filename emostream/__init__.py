"""Facial emotion recognition for programs: `recognize` a picture, or `load` a model."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emostream.models import Classifier, load
    from emostream.services.recognition.recognizer import RecognizedFace, Recognizer, recognize

    __version__: str

__all__ = ["Classifier", "RecognizedFace", "Recognizer", "__version__", "load", "recognize"]

_HOMES = {
    "Classifier": "emostream.models",
    "load": "emostream.models",
    "RecognizedFace": "emostream.services.recognition.recognizer",
    "Recognizer": "emostream.services.recognition.recognizer",
    "recognize": "emostream.services.recognition.recognizer",
}


def __getattr__(name: str) -> object:
    """Import a name on its first use, so that no stage loads another's packages."""
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("emostream")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
