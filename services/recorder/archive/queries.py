"""The SQL that reads a recorder's database."""

from typing import Final

from emostream.services.recorder.archive.schema import MEASURES

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
# Events count too, because retention keeps them longer than the frames with their tracks. Frames in
# which a track was left out do not count, unless the track has no others.
ADD_NUMBERS: Final = """
INSERT INTO numbers
SELECT r.stream, r.run, a.track,
    row_number() OVER (ORDER BY a.entered IS NULL, r.began, r.run, a.entered, a.appeared, a.track)
FROM (
    SELECT run, track, min(seq) AS appeared, min(iif(counts, seq, NULL)) AS entered FROM (
        SELECT run, track, seq, left_out IS NULL AS counts FROM observations WHERE stream = ?1
        UNION ALL SELECT run, track, seq, 1 FROM events WHERE stream = ?1
    ) GROUP BY run, track
) AS a JOIN runs AS r ON r.stream = ?1 AND r.run = a.run
"""
# CROSS JOIN makes SQLite read the large table once, and sorting spills to disk.
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
    f"a.confidence, {', '.join(f'a.{name}' for name in MEASURES)}, ifnull(a.left_out, '')"
)
EVENT: Final = (
    "a.run, a.seq, a.t, a.pts, a.kind, n.number, a.track, a.label, a.previous, a.confidence, "
    "a.since"
)
