"""The stages of the pipeline, one package each; for programs there is `recognize`."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.cli.recognition import RecognizedFace, Recognizer, recognize

__all__ = ["RecognizedFace", "Recognizer", "recognize"]


def __getattr__(name: str) -> object:
    """Load what programs use once they ask for it, so that no stage pays for another's packages."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("services.cli.recognition"), name)
