"""Turns msgspec's errors into advice: the key, its allowed values, and what was probably meant."""

import difflib
import math
import re
import typing
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from emostream.shared.config.invalid_key import InvalidKey
from emostream.shared.config.schema import Config, Section, Source
from emostream.shared.fields import ALLOWED
from emostream.shared.toml_positions import KeyPath

UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
NO_LIST: Final = "Expected `array`, got `str`"
# How similar a key must be to be suggested: from another section, and from the same one.
VERY_SIMILAR: Final = 0.8
# Keys of earlier versions, and what to write instead.
REPLACED: Final = {
    "insecure": 'write mode = "disabled" in [security] if the network is trusted (security.mode)',
}
PATH_PART = re.compile(r"\.([^.\[]+)|\[(\d+)]")


def invalid_key(error: msgspec.ValidationError, tree: dict[str, Any]) -> InvalidKey:
    """Return the error for what msgspec found wrong in the tree."""
    message, _, place = str(error).partition(" - at `$")
    # msgspec does not name the key in a table with arbitrary keys.
    place, _, _ = place.rstrip("`").partition("[...]")
    path = tuple(name or int(index) for name, index in PATH_PART.findall(place))
    if unknown := UNKNOWN.fullmatch(message):
        # msgspec names the table; the unknown key is in it.
        if not path and unknown[1] in REPLACED:
            return InvalidKey((unknown[1],), f"no longer exists; {REPLACED[unknown[1]]}")
        return _UnknownKey(path, unknown[1], message)
    if _is_nan(path, tree):
        return InvalidKey(path, f"nan is not a number: {message[:1].lower()}{message[1:]}")
    if allowed := _allowed(path):
        return InvalidKey(path, f"write {allowed}")
    if message == NO_LIST:
        return InvalidKey(path, f"{message}; {_list_advice(_value_at(path, tree))}")
    choices = _choices(path) if message.startswith("Invalid enum value") else ()
    hint = f"; write one of {', '.join(map(str, choices))}" if choices else ""
    return InvalidKey(path, f"{message}{hint}")


def _is_nan(path: KeyPath, tree: Any) -> bool:
    """Whether the value at the path, or one in its table, is NaN, which fails every range check."""
    value = _value_at(path, tree)
    values = value.values() if isinstance(value, dict) else (value,)
    return any(isinstance(value, float) and math.isnan(value) for value in values)


def _value_at(path: KeyPath, tree: Any) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def _list_advice(value: str) -> str:
    """Return how to write a list; if the quotes are missing, a shell removed them."""
    if value.startswith("["):
        return "the shell removed its quotes: put the whole setting in single quotes"
    return f'write it as a list: ["{value}"]'


class _UnknownKey(InvalidKey):
    """An unknown key of a section, shown with its section."""

    def __init__(self, section: KeyPath, name: str, message: str) -> None:
        *others, last = [f"`{path}`{_top(path, section)}" for path in _meant(section, name)] or [""]
        choice = f"{', '.join(others)} or {last}" if others else last
        hint = f"; did you mean {choice}?" if choice else ""
        super().__init__((*section, name), f"{message}{hint}")
        self._section = section

    def __str__(self) -> str:
        return str(InvalidKey(self._section, self.reason))


def _top(path: str, section: KeyPath) -> str:
    """Return the advice for a top-level key that was written into a section."""
    own = [field.name for field in msgspec.structs.fields(_section_at(section))]
    return " at the top level" if section and "." not in path and path not in own else ""


def _meant(section: KeyPath, name: str) -> list[str]:
    """Return the keys that were probably meant; several if several sections have that name.

    An identical name in another section is more likely than a similar one in the same section.
    """
    own = [field.name for field in msgspec.structs.fields(_section_at(section))]
    plain = name.lower().replace("-", "_")
    if plain in own:
        return [plain]
    elsewhere: dict[str, list[str]] = {}
    for path in _paths(Config):
        elsewhere.setdefault(path.rpartition(".")[2], []).append(path)
    if plain in elsewhere:
        return elsewhere[plain]
    if close := difflib.get_close_matches(plain, own, n=1, cutoff=VERY_SIMILAR):
        return close
    if close := difflib.get_close_matches(plain, elsewhere, n=1, cutoff=VERY_SIMILAR):
        return elsewhere[close[0]]
    return difflib.get_close_matches(plain, own, n=1)


def _section_at(path: KeyPath) -> type[Section]:
    section: Any = Config
    for name in path:
        if isinstance(name, str):
            section = Source if name == "sources" else typing.get_type_hints(section)[name]
    return typing.cast("type[Section]", section)


def _paths(section: type[Section], prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every key and section."""
    for field in msgspec.structs.fields(section):
        path = f"{prefix}{field.name}"
        yield path
        if isinstance(field.type, type) and issubclass(field.type, Section):
            yield from _paths(field.type, f"{path}.")
        elif field.name == "sources":
            yield from _paths(Source, f"{path}.")


def _allowed(path: KeyPath) -> str:
    """Return in words which text is allowed at this path, "" if any is."""
    kind = _annotation(path)
    if isinstance(path[-1], int):
        values = kind.__origin__ if typing.get_origin(kind) is typing.Annotated else kind
        kind = typing.get_args(values)[0]
    notes = (getattr(note, "extra", None) or {} for note in getattr(kind, "__metadata__", ()))
    return next((note[ALLOWED] for note in notes if ALLOWED in note), "")


def _choices(path: KeyPath) -> tuple[Any, ...]:
    """Return the allowed values of the key at this path, if it has a list of them."""
    return tuple(_literals(_annotation(path)))


def _annotation(path: KeyPath) -> Any:
    """Return the type of the key at this path with its bounds; for an element, its list's."""
    *section, name = (part for part in path if isinstance(part, str))
    return typing.get_type_hints(_section_at(tuple(section)), include_extras=True)[name]


def _literals(kind: Any) -> Iterator[Any]:
    """Yield the values of each Literal in a type, including within lists and unions."""
    if typing.get_origin(kind) is typing.Literal:
        yield from typing.get_args(kind)
        return
    for part in typing.get_args(kind):
        yield from _literals(part)
