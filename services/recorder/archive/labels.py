"""A model's labels as columns of the table of observations: p_<label> and s_<label>."""

import functools
import sqlite3
import string
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from emostream.services.recorder.archive.schema import FIXED
from emostream.shared.errors import MessageError

Number: TypeAlias = int | float | None
# What a column holds: a frame's probability, or the smoothed one.
Kind: TypeAlias = Literal["p", "s"]

# No model of expressions has this many labels. Each needs two columns. SQLite takes 2,000 but slows
# down as they grow: 900 labels in one message held the recorder up for many seconds.
MOST_LABELS: Final = 200
LONGEST_LABEL: Final = 64
COLUMNS: Final = "SELECT name FROM pragma_table_info('observations')"
# Only what SQLite itself treats as the same: the capitals of ASCII.
LOWER_CASE: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def column_key(name: str) -> str:
    """Return what is equal for two names that SQLite takes for the same column."""
    return name.translate(LOWER_CASE)


def quoted(name: str) -> str:
    """Return the name of a column as SQL has it, whatever characters it holds."""
    return '"' + name.replace('"', '""') + '"'


class LabelColumns:
    """The table's columns as a writer extends them.

    SQLite ignores the case of ASCII letters, so `Happy` and `happy` share theirs. The columns of
    labels that a model does not have stay NULL.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._columns = {column_key(name): str(name) for (name,) in connection.execute(COLUMNS)}
        self._new: list[str] = []

    def values(self, kind: Kind, probabilities: Mapping[str, Number]) -> dict[str, Number]:
        """Return the labels' values by column; a new column is noted.

        Raises MessageError for a label that cannot be a column.
        """
        return {self._column(kind, label): value for label, value in probabilities.items()}

    def add_new(self, connection: sqlite3.Connection) -> None:
        """Add the columns noted since `confirm_new`; call it in the transaction of their rows."""
        for column in self._new:
            connection.execute(f"ALTER TABLE observations ADD COLUMN {quoted(column)} REAL")

    def confirm_new(self) -> None:
        """Note that the transaction of the new columns was committed."""
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
    """The labels in a table of observations as a reader finds them.

    `labels` are those of all models that wrote to it, in the order of their columns.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        names = [name for (name,) in connection.execute(COLUMNS) if name[:2] in ("p_", "s_")]
        self._columns = {column_key(name) for name in names}
        self.labels = tuple({column_key(name[2:]): name[2:] for name in names}.values())

    def selected(self, kind: Kind, table: str) -> list[str]:
        """Return an SQL expression for each label's column of a kind; NULL where there is none."""
        names = [f"{kind}_{label}" for label in self.labels]
        return [
            f"{table}.{quoted(name)}" if column_key(name) in self._columns else "NULL"
            for name in names
        ]


@functools.lru_cache(maxsize=64)
def insert_observation(label_columns: Sequence[str]) -> str:
    """Return the statement that adds an observation: the FIXED columns, then these."""
    names = [*FIXED, *label_columns]
    listed = ", ".join(map(quoted, names))
    return f"INSERT INTO observations ({listed}) VALUES ({', '.join('?' * len(names))})"
