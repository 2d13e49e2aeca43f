"""Modules that load when a test first uses them, not where its file is collected."""

from importlib import import_module
from typing import Any


class LazyModule:
    """Stands for a module that loads at the first use of anything in it.

    For those that bring TensorFlow: it takes seconds, and each of pytest's processes collects all
    files. Type checkers need the usual import next to it, under `TYPE_CHECKING`.
    """

    def __init__(self, name: str) -> None:
        vars(self)["_name"] = name

    def __getattr__(self, name: str) -> Any:
        # pytest looks for these while it collects.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(self._name), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(import_module(self._name), name, value)
