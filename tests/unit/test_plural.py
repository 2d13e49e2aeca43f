"""Numbers in messages, with what they count."""

import pytest

from emostream.shared.plural import counted


@pytest.mark.parametrize(("number", "said"), [(0, "0 faces"), (1, "1 face"), (2, "2 faces")])
def test_one_is_singular(number: int, said: str) -> None:
    assert counted(number, "face") == said
