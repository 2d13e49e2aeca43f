"""The tables of the recorder's database, which take the labels of any model as columns."""

import functools
import sqlite3
import string
from collections.abc import Mapping
from typing import Final, TypeAlias

from emostream.shared.errors import MessageError

Number: TypeAlias = int | float | None

# Version 1 had the columns of FER+'s eight labels alone; version 2 lacked what UPGRADE adds.
SCHEMA_VERSION: Final = 3
DATABASE: Final = "emostream.db"  # in recorder.folder
TABLES: Final = ("observations", "frames", "events")
# SQLite takes 2,000 columns and each label needs two; so many labels no model has.
MOST_LABELS: Final = 900
LONGEST_LABEL: Final = 64

# Times are ns: t since the epoch, pts and since in the source. Boxes are pixels of the frame.
# Rows come in the order of time, so the lowest rowids are the oldest: pruning needs no index.
SCHEMA: Final = """
CREATE TABLE runs (              -- one start of a capture
    stream TEXT NOT NULL, run TEXT NOT NULL,
    began INTEGER NOT NULL,      -- t of the first frame recorded
    frames INTEGER,              -- how many the source gave; NULL while it runs or was cut off
    error TEXT,                  -- why the source broke off
    PRIMARY KEY (stream, run)
) WITHOUT ROWID;
CREATE TABLE frames (            -- one answered frame, with or without a face
    stream TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER NOT NULL,
    t INTEGER NOT NULL, pts INTEGER NOT NULL,
    faces INTEGER NOT NULL,      -- how many faces the answers hold
    parts INTEGER NOT NULL,      -- how many answers there should be
    answered INTEGER NOT NULL,   -- how many there are
    degraded INTEGER NOT NULL,   -- 1 when a classifier said that it could not do its best
    model TEXT NOT NULL,
    whole INTEGER GENERATED ALWAYS AS (answered >= parts) VIRTUAL,
    UNIQUE (stream, run, seq)
);
CREATE TABLE observations (      -- one face in one frame; p_<label> and s_<label> come with labels
    stream TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER NOT NULL,
    t INTEGER NOT NULL, pts INTEGER NOT NULL, track INTEGER NOT NULL,
    x REAL, y REAL, width REAL, height REAL,
    score REAL,                  -- the detection's
    label TEXT NOT NULL, confidence REAL
);
CREATE TABLE events (            -- a track's enter, change of label or leave
    stream TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER NOT NULL,
    t INTEGER NOT NULL, pts INTEGER NOT NULL, kind TEXT NOT NULL, track INTEGER NOT NULL,
    label TEXT NOT NULL, previous TEXT NOT NULL, confidence REAL, since INTEGER NOT NULL
);
CREATE TABLE states (            -- lossless: what the stages remember after a run's last frame
    stream TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER NOT NULL,
    states BLOB NOT NULL,        -- msgpack map of stage to bytes
    PRIMARY KEY (stream, run)
) WITHOUT ROWID;
"""
UPGRADE: Final = f"""
ALTER TABLE runs ADD COLUMN error TEXT;
ALTER TABLE observations ADD COLUMN score REAL;
{SCHEMA[SCHEMA.index("CREATE TABLE states") :]}
"""
FIXED: Final = (
    *("stream", "run", "seq", "t", "pts", "track", "x", "y", "width", "height"),
    *("score", "label", "confidence"),
)


# Only what SQLite itself takes for the same: the capitals of ASCII.
SMALL: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class LabelColumns:
    """The columns p_<label> and s_<label> of the table of observations.

    SQLite takes capitals of ASCII for the same, so `Happy` and `happy` share theirs. What a model
    does not tell stays NULL.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT name FROM pragma_table_info('observations')")
        self._columns = {_key(name): str(name) for (name,) in rows}
        self._new: list[str] = []

    def of(self, kind: str, values: Mapping[str, Number]) -> dict[str, Number]:
        """Return the values by column, `kind` and the label; a new column is noted.

        Raises MessageError for a label that can be no column.
        """
        return {self._column(kind, label): value for label, value in values.items()}

    def add_new(self, connection: sqlite3.Connection) -> None:
        """Add the columns noted since the last time; call it in the transaction of their rows."""
        for column in self._new:
            connection.execute(f"ALTER TABLE observations ADD COLUMN {_quoted(column)} REAL")
        self._new = []

    def _column(self, kind: str, label: str) -> str:
        column = f"{kind}_{label}"
        known = self._columns.get(_key(column))
        if known is not None:
            return known
        if not (0 < len(label) <= LONGEST_LABEL and label.isprintable()):
            raise MessageError("label", f"{label[:LONGEST_LABEL]!r} can be no column's name")
        if len(self._columns) >= len(FIXED) + 2 * MOST_LABELS:
            raise MessageError("label", f"{label} is one more than the {MOST_LABELS} that fit")
        self._columns[_key(column)] = column
        self._new.append(column)
        return column


@functools.lru_cache(maxsize=64)
def add_observation(columns: tuple[str, ...]) -> str:
    """Return the statement that adds an observation: the FIXED columns, then these."""
    names = [*FIXED, *columns]
    listed = ", ".join(map(_quoted, names))
    return f"INSERT INTO observations ({listed}) VALUES ({', '.join('?' * len(names))})"


def _key(column: str) -> str:
    return column.translate(SMALL)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
