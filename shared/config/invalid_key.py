"""The error for an invalid key, before its place in the file is known."""

from emostream.shared.toml_positions import KeyPath


class InvalidKey(Exception):
    """The value at `path` is invalid, for the given reason.

    `others` are keys that it conflicts with; the user may have written only one of them.
    """

    def __init__(self, path: KeyPath, reason: str, *others: KeyPath) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason
        self.others = others

    def __str__(self) -> str:
        return f"{dotted(self.path) or 'top level'}: {self.reason}"


def one_line(text: str) -> str:
    """Return the text with unprintable characters, such as line breaks, escaped."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def dotted(path: KeyPath) -> str:
    """Return a path in display form: `capture.sources[0].url`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")
