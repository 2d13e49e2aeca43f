"""The SQL that writes a recorder's database."""

from typing import Final

ADD_RUN: Final = "INSERT INTO runs (stream, run, began) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
END_RUN: Final = "UPDATE runs SET frames = ?, error = ? WHERE stream = ? AND run = ?"
KEEP_STATES: Final = "INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?)"
GET_STATES: Final = "SELECT seq, states FROM states WHERE stream = ? AND run = ?"
GET_END: Final = "SELECT frames FROM runs WHERE stream = ? AND run = ?"
ADD_FRAME: Final = """
INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?)
ON CONFLICT DO UPDATE SET faces = faces + excluded.faces, answered = answered + 1,
    degraded = max(degraded, excluded.degraded)
"""
ADD_EVENT: Final = f"INSERT INTO events VALUES ({', '.join('?' * 11)})"
PRUNE: Final = """
DELETE FROM {table} WHERE rowid IN (
    SELECT rowid FROM (SELECT rowid, t FROM {table} ORDER BY rowid LIMIT ?) WHERE t < ?)
"""
FRAMES_RANGE: Final = "SELECT min(rowid), max(rowid) FROM frames"
# From the last one backward, with one lookup each.
SAMPLE_TIMES: Final = """
WITH RECURSIVE places (number, at) AS (
    SELECT 0, ?1 UNION ALL SELECT number + 1, at - ?2 FROM places WHERE number + 1 < ?3 AND at > ?4
)
SELECT t FROM places JOIN frames ON frames.rowid = places.at
"""
