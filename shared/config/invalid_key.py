"""The error for a key that cannot be used, before it is known where it was written."""

from emostream.shared.toml_positions import KeyPath


class InvalidKey(Exception):
    """The value at `path` cannot be used, for the reason given.

    `others` are keys that it collides with: one of them may be what was written.
    """

    def __init__(self, path: KeyPath, reason: str, *others: KeyPath) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason
        self.others = others

    def __str__(self) -> str:
        return f"{dotted(self.path) or 'top level'}: {self.reason}"


def one_line(text: str) -> str:
    """Return the text with what cannot be printed, such as the end of a line, as an escape."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def dotted(path: KeyPath) -> str:
    """Return a path as it is shown: `capture.sources[0].url`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")
