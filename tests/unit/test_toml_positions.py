"""The line of each key, however it is written."""

import time
import tomllib

import pytest

from emostream.shared.toml_positions import KeyPath, key_lines

DOCUMENT = '''# a comment = 1
delivery = "live" # [no.table]
a."b.c".d = """
multi = 1
"""
[capture]
encoding = 'jpeg'
sources = [
  {name = "a", url = "x#y"},
  # {name = "c"},
  {name = "b", when = 1979-05-27 07:32:00, url = 'z'},
]
numbers = [1.5, [2, 3],
 4]
when = 1979-05-27 07:32:00

[[x.y]]
n = 1
[x.y.sub]
q = 1
[[x.y]]
n = 2
[[x.y.z]]
k = 1
[[x.y.z]]
k = 2
[ "q" . w ]
r.s = {t = 1}
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("delivery",), 2),
        (("a", "b.c", "d"), 3),
        (("capture",), 6),
        (("capture", "encoding"), 7),
        (("capture", "sources"), 8),
        (("capture", "sources", 0, "url"), 9),
        (("capture", "sources", 1), 11),
        (("capture", "sources", 1, "url"), 11),
        (("capture", "numbers", 1, 1), 13),
        (("capture", "numbers", 2), 14),
        (("capture", "when"), 15),
        (("x", "y", 0, "n"), 18),
        (("x", "y", 0, "sub", "q"), 20),
        (("x", "y", 1, "n"), 22),
        (("x", "y", 1, "z", 0, "k"), 24),
        (("x", "y", 1, "z", 1, "k"), 26),
        (("q", "w"), 27),
        (("q", "w", "r", "s", "t"), 28),
    ],
)
def test_each_key_has_its_line(path: KeyPath, line: int) -> None:
    assert tomllib.loads(DOCUMENT)
    assert key_lines(DOCUMENT)[path] == line


def test_nothing_that_is_no_key_has_a_line() -> None:
    names = {part for path in key_lines(DOCUMENT) for part in path if isinstance(part, str)}
    assert not names & {"multi", "no", "table", "c", "07:32:00"}


def test_a_key_of_thousands_of_parts_takes_no_time() -> None:
    started = time.process_time()
    key_lines(f"{'.'.join(['a'] * 50_000)} = 1")
    assert time.process_time() - started < 5
