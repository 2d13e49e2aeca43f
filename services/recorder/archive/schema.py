"""The tables of the recorder's database, without the columns that come with a model's labels."""

import sqlite3
from pathlib import Path
from typing import Final

from emostream.services.recorder.archive.faults import Fault, WriteError

# Version 1 had the columns of FER+'s eight labels alone. UPGRADES adds what later versions have.
SCHEMA_VERSION: Final = 4
DATABASE: Final = "emostream.db"  # in recorder.folder
TABLES: Final = ("observations", "frames", "events")

# Times are ns: t since the epoch, pts and since in the source. Boxes are pixels of the frame.
# Rows come in the order of time, so the lowest rowids are the oldest: pruning needs no index.
SCHEMA: Final = """
CREATE TABLE runs (              -- one start of a capture
    stream TEXT NOT NULL, run TEXT NOT NULL,
    began INTEGER NOT NULL,      -- t of the first frame recorded
    frames INTEGER,              -- how many the source gave; NULL while it runs or was cut off
    error TEXT,                  -- why the source failed
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
    label TEXT NOT NULL, confidence REAL,
    size_px REAL, sharpness REAL, brightness REAL, contrast REAL, noise REAL,
    yaw REAL, pitch REAL, roll REAL, cut REAL,
    quality REAL,                -- overall; NULL, like those before it, if not measured
    left_out TEXT                -- why the face counts for nothing; NULL where it counts
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
MEASURES: Final = (
    *("size_px", "sharpness", "brightness", "contrast", "noise"),
    *("yaw", "pitch", "roll", "cut", "quality"),
)
FIXED: Final = (
    *("stream", "run", "seq", "t", "pts", "track", "x", "y", "width", "height"),
    *("score", "label", "confidence", *MEASURES, "left_out"),
)
# The frame accounts, saved with the rows in case the recorder is killed. Other releases do not need
# this table, so it is created if missing and does not change the version.
ACCOUNTS: Final = """
CREATE TABLE IF NOT EXISTS accounts (
    stream TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER NOT NULL,
    name TEXT NOT NULL,          -- topic/part
    state BLOB NOT NULL,         -- msgpack, of shared/accounts.py
    PRIMARY KEY (stream, name)
) WITHOUT ROWID;
"""
_SECOND_TO_THIRD: Final = f"""
ALTER TABLE runs ADD COLUMN error TEXT;
ALTER TABLE observations ADD COLUMN score REAL;
{SCHEMA[SCHEMA.index("CREATE TABLE states") :]}
"""
_THIRD_TO_FOURTH: Final = "".join(
    f"ALTER TABLE observations ADD COLUMN {name} {'TEXT' if name == 'left_out' else 'REAL'};"
    for name in (*MEASURES, "left_out")
)
# By the version that they take over.
UPGRADES: Final = {
    1: _SECOND_TO_THIRD + _THIRD_TO_FOURTH,
    2: _SECOND_TO_THIRD + _THIRD_TO_FOURTH,
    3: _THIRD_TO_FOURTH,
}


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new database, or bring those of an earlier release up to date.

    Raises WriteError for another program's, or a later release's, and SQLite's errors as they are.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version == 0 and tables == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        script = f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        connection.executescript(script)
    elif version in UPGRADES:
        script = f"BEGIN; {UPGRADES[version]} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        connection.executescript(script)
    elif version != SCHEMA_VERSION:
        raise WriteError(
            Fault.OTHER,
            f"the database {path}",
            f"it has version {version} of the tables, not {SCHEMA_VERSION}, so it is another "
            "program's, or another release's",
        )
    connection.execute("PRAGMA journal_mode = WAL")
    # With WAL this risks no damage, only the last commits, and only when the power fails.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(ACCOUNTS)
