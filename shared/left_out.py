"""The reasons for leaving out faces, in words, for pages, tables and terminals."""

from collections.abc import Mapping
from typing import Final, get_args

from emostream.shared.messages import LeftOut

# The values of a face's `left_out`.
REASONS: Final[tuple[str, ...]] = tuple(reason for reason in get_args(LeftOut) if reason)
WORDS: Final = {"quality": "low quality", "new": "track too new"}


def left_out_text(counts: Mapping[str, int]) -> str:
    """Return how many faces were left out, by reason; "" if none."""
    parts = [f"{counts[reason]:,} {WORDS[reason]}" for reason in REASONS if counts.get(reason)]
    if not parts:
        return ""
    whole = sum(counts.values())
    return f"{whole:,} face{'' if whole == 1 else 's'} left out ({', '.join(parts)})"
