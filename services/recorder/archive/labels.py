"""A model's labels as columns of the observations table: p_<label> and s_<label>."""

import functools
import sqlite3
import string
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from emostream.services.recorder.archive.schema import FIXED
from emostream.shared.errors import MessageError

Number: TypeAlias = int | float | None
# The content of a column: the frame's probability, or the smoothed one.
Kind: TypeAlias = Literal["p", "s"]

# No expression model has this many labels. Each needs two columns. SQLite allows 2,000 but slows
# down as they grow: 900 labels in one message blocked the recorder for many seconds.
MOST_LABELS: Final = 200
LONGEST_LABEL: Final = 64
COLUMNS: Final = "SELECT name FROM pragma_table_info('observations')"
# Only the case of ASCII letters, which SQLite ignores.
LOWER_CASE: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def column_key(name: str) -> str:
    """Return a key that is equal for names that SQLite treats as the same column."""
    return name.translate(LOWER_CASE)


def quoted(name: str) -> str:
    """Return the quoted SQL name of a column, which may contain any characters."""
    return '"' + name.replace('"', '""') + '"'


class LabelColumns:
    """The table's columns, extended by a writer.

    SQLite ignores the case of ASCII letters, so `Happy` and `happy` share columns. The columns of
    labels that a model does not have are NULL.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._columns = {column_key(name): str(name) for (name,) in connection.execute(COLUMNS)}
        self._new: list[str] = []

    def values(self, kind: Kind, probabilities: Mapping[str, Number]) -> dict[str, Number]:
        """Return the labels' values by column, and record new columns.

        Raises MessageError for a label that cannot be a column.
        """
        return {self._column(kind, label): value for label, value in probabilities.items()}

    def add_new(self, connection: sqlite3.Connection) -> None:
        """Add the new columns since `confirm_new`. Call this in the transaction of their rows."""
        for column in self._new:
            connection.execute(f"ALTER TABLE observations ADD COLUMN {quoted(column)} REAL")

    def confirm_new(self) -> None:
        """Record that the transaction with the new columns was committed."""
        self._new = []

    def _column(self, kind: Kind, label: str) -> str:
        column = f"{kind}_{label}"
        known = self._columns.get(column_key(column))
        if known is not None:
            return known
        if not (0 < len(label) <= LONGEST_LABEL and label.isprintable()):
            raise MessageError("label", f"{label[:LONGEST_LABEL]!r} cannot be a column name")
        if len(self._columns) >= len(FIXED) + 2 * MOST_LABELS:
            raise MessageError("label", f"{label} exceeds the limit of {MOST_LABELS} labels")
        self._columns[column_key(column)] = column
        self._new.append(column)
        return column


class RecordedLabels:
    """The labels in an observations table, for a reader.

    `labels` are those of all models that wrote to it, in column order.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        names = [name for (name,) in connection.execute(COLUMNS) if name[:2] in ("p_", "s_")]
        self._columns = {column_key(name) for name in names}
        self.labels = tuple({column_key(name[2:]): name[2:] for name in names}.values())

    def selected(self, kind: Kind, table: str) -> list[str]:
        """Return an SQL expression for each label's column of a kind; NULL if there is none."""
        names = [f"{kind}_{label}" for label in self.labels]
        return [
            f"{table}.{quoted(name)}" if column_key(name) in self._columns else "NULL"
            for name in names
        ]


@functools.lru_cache(maxsize=64)
def insert_observation(label_columns: Sequence[str]) -> str:
    """Return the statement to insert an observation: the FIXED columns, then these."""
    names = [*FIXED, *label_columns]
    listed = ", ".join(map(quoted, names))
    return f"INSERT INTO observations ({listed}) VALUES ({', '.join('?' * len(names))})"
