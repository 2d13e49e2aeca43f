"""Numbers with what they count, in the singular where it is one."""


def counted(number: int, noun: str) -> str:
    """Return `1 face`, `2 faces`, `0 faces`; the noun takes a regular plural."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
