"""The types of options that several commands take."""

from collections.abc import Callable


def positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    """Return a type for argparse that takes only numbers above 0."""

    def number(text: str) -> float:
        value = kind(text)
        if not value > 0:
            raise ValueError
        return value

    number.__name__ = f"positive {kind.__name__}"
    return number
