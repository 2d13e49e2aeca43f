"""Finds the line of each key and array element in a TOML document."""

import re
import tomllib
from collections.abc import Iterator
from typing import Final, TypeAlias

# Key names and element indices, from the top level.
KeyPath: TypeAlias = tuple[str | int, ...]

TOKEN: Final = re.compile(
    r'(?P<text>"""(?:\\.|[^\\])*?"""+|\'\'\'.*?\'\'\'+|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\')'
    r"|(?P<skipped>[ \t\r]+|\#[^\n]*)"
    r"|(?P<mark>[\[\]{}=,\n])"
    r"|(?P<date>\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*)"
    r"|(?P<bare>[^\s\[\]{}=,\"'#]+)",
    re.DOTALL,
)
# Nobody looks up a longer key.
LONGEST_PATH: Final = 16
KEY_PART: Final = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'|[^.\s]+')


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the first line (from 1) of each key and element in a valid TOML document."""
    return _Scanner(text).lines


class _Scanner:
    """Reads a document token by token. Values are not parsed, only located."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._arrays: dict[KeyPath, int] = {}  # the number of elements so far, for arrays of tables
        self._tokens = _tokens(text)
        self._line, self._token = 0, ""
        table: KeyPath = ()
        while self._next():
            if self._token == "[":
                table = self._header()
            elif self._token != "\n":
                self._pair(table)

    def _next(self) -> bool:
        self._line, self._token = next(self._tokens, (self._line, ""))
        return bool(self._token)

    def _header(self) -> KeyPath:
        """Read `[a.b]` or `[[a.b]]` from its second token on; return the table that it starts."""
        line = self._line
        self._next()
        is_array = self._token == "["
        if is_array:
            self._next()
        *above, name = self._key("]")
        path: KeyPath = ()
        for part in above:
            path = (*path, part)
            path = (*path, self._arrays[path]) if path in self._arrays else path
        path = (*path, name)
        self.lines.setdefault(path, line)
        if is_array:
            number = self._arrays[path] = self._arrays.get(path, -1) + 1
            path = (*path, number)
            self.lines[path] = line
            self._next()
        return path

    def _key(self, end: str) -> list[str]:
        """Read a dotted key up to the token `end`; the current token is its first."""
        words = []
        while self._token not in (end, ""):
            words.append(self._token)
            self._next()
        parts = KEY_PART.findall("".join(words))
        return [_unquoted(part) for part in parts[:LONGEST_PATH]]

    def _pair(self, table: KeyPath) -> None:
        """Read `key = value`; the current token is the first of the key."""
        line, path = self._line, table
        for part in self._key("="):
            path = (*path, part)
            self.lines.setdefault(path, line)
        self._next()
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        """Read a value; the current token is its first, and afterwards its last."""
        if self._token == "[":
            self._elements_of(path)
        elif self._token == "{":
            self._pairs_of(path)

    def _elements_of(self, path: KeyPath) -> None:
        number = 0
        while self._next() and self._token != "]":
            if self._token == ",":
                number += 1
            elif self._token != "\n" and (*path, number) not in self.lines:
                self.lines[*path, number] = self._line
                self._value((*path, number))

    def _pairs_of(self, path: KeyPath) -> None:
        while self._next() and self._token != "}":
            if self._token not in (",", "\n"):
                self._pair(path)


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    line = 1
    for match in TOKEN.finditer(text):
        if match.lastgroup != "skipped":
            yield line, match[0]
        line += match[0].count("\n")


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    (key,) = tomllib.loads(f"{part} = 0")
    return key
