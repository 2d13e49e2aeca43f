"""Formats counts with singular or plural nouns."""


def counted(number: int, noun: str) -> str:
    """Return `1 face`, `2 faces`, `0 faces`, for nouns with a regular plural."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
