"""The check of the wording: what it finds, what it leaves alone, and that the project passes."""

from pathlib import Path

import pytest

from tests import wording

CODE = '''"""Reads the rows beside it."""
colour = 1  # in place of
KEY = "colour"
text = f"{beside} goes on"
'''
PAGE = "It goes on for ever.\n\n```sh\ncolour in place of\n```\n\n`colour` is a key.\n"


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("shared/a.py", CODE, {(1, "beside"), (2, "in place of"), (4, "goes on")}),
        ("docs/a.md", PAGE, {(1, "goes on"), (1, "for ever")}),
        ("services/a.html", "<p>\n1,000 frames a second</p>", {(2, "frames a second")}),
        ("README.md", "Instead of a row per frame.", set()),
    ],
)
def test_prose_is_checked_and_code_is_not(
    name: str, text: str, found: set[tuple[int, str]], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert {(one.line, one.words) for one in wording.find(tmp_path)} == found


def test_a_finding_names_the_place_and_what_to_write() -> None:
    finding = wording.Finding(Path("docs/a.md"), 3, "for ever", "forever")
    assert str(finding) == "docs/a.md:3: 'for ever': write 'forever'"
