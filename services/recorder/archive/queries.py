"""The SQL that reads a recorder's database."""

from typing import Final

RUNS: Final = """
SELECT r.stream, r.run, r.began, r.frames, ifnull(r.error, ''),
    (SELECT count(*) FROM frames AS f WHERE f.stream = r.stream AND f.run = r.run),
    (SELECT ifnull(max(f.seq), -1) FROM frames AS f WHERE f.stream = r.stream AND f.run = r.run),
    ifnull(e.number, 0)
FROM runs AS r LEFT JOIN
    (SELECT stream, run, count(*) AS number FROM events GROUP BY stream, run) AS e
    ON e.stream = r.stream AND e.run = r.run
ORDER BY r.stream, r.began, r.run
"""
NUMBERS: Final = """
CREATE TEMP TABLE numbers (
    stream TEXT NOT NULL, run TEXT NOT NULL, track INTEGER NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (stream, run, track)
) WITHOUT ROWID
"""
# Events count too: retention keeps them longer than the frames that their tracks appeared in.
ADD_NUMBERS: Final = """
INSERT INTO numbers
SELECT r.stream, r.run, a.track, row_number() OVER (ORDER BY r.began, r.run, a.appeared, a.track)
FROM (
    SELECT run, track, min(seq) AS appeared FROM (
        SELECT run, track, seq FROM observations WHERE stream = ?1
        UNION ALL SELECT run, track, seq FROM events WHERE stream = ?1
    ) GROUP BY run, track
) AS a JOIN runs AS r ON r.stream = ?1 AND r.run = a.run
"""
# CROSS JOIN keeps SQLite to one pass over the large table, and its sorting spills to disk.
READ: Final = """
SELECT {columns} FROM {table} AS a CROSS JOIN runs AS r ON r.stream = a.stream AND r.run = a.run
{numbered} WHERE a.stream = ? AND a.run IN ({marks}) ORDER BY r.began, a.run, {order}
"""
NUMBERED: Final = """
CROSS JOIN numbers AS n ON n.stream = a.stream AND n.run = a.run AND n.track = a.track
"""
FRAME: Final = "a.run, a.seq, a.t, a.pts, a.faces, a.parts, a.answered, a.degraded, a.model"
FACE: Final = (
    "a.run, a.seq, a.t, a.pts, n.number, a.track, a.x, a.y, a.width, a.height, a.score, a.label, "
    "a.confidence"
)
EVENT: Final = (
    "a.run, a.seq, a.t, a.pts, a.kind, n.number, a.track, a.label, a.previous, a.confidence, "
    "a.since"
)
