"""Joins the chunks of a recording: each frame once, and a face's track goes through all of them."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from emostream.services.cli.batch.chunk_rows import FoundFrame
from emostream.services.cli.batch.chunks import Chunk
from emostream.services.detector.detection import pairwise_iou

# Both chunks look at the same picture: the boxes of a face are equal, or nearly so where a tile
# was searched in one of them alone.
SAME_FACE: Final = 0.5

ReadChunk: TypeAlias = Callable[[Chunk], list[FoundFrame]]


def joined_frames(chunks: Sequence[Chunk], read: ReadChunk) -> Iterator[FoundFrame]:
    """Yield the frames of a recording in order, each once, with tracks numbered as they appear.

    `read` returns the frames of a chunk with those before its start, which other chunks have too:
    by these, the tracks of one chunk are found again in the next.
    """
    numbers = itertools.count(1)
    recent: list[FoundFrame] = []
    for chunk, following in itertools.zip_longest(chunks, chunks[1:]):
        frames = read(chunk)
        known = same_tracks(recent, [frame for frame in frames if frame.pts < chunk.start])
        for frame in frames:
            if frame.pts < chunk.start:
                continue
            faces = []
            for face in frame.faces:
                if face.track not in known:
                    known[face.track] = next(numbers)
                faces.append(replace(face, track=known[face.track]))
            frame = replace(frame, faces=tuple(faces))
            recent.append(frame)
            yield frame
        if following:
            recent = [frame for frame in recent if frame.pts >= following.warm]


def same_tracks(before: Sequence[FoundFrame], again: Sequence[FoundFrame]) -> dict[int, int]:
    """Return which track of `again` is which of `before`, by the boxes in the frames of both.

    The last frames decide, since a track that continues is the one that was seen last.
    """
    at = {frame.pts: frame for frame in before}
    found: dict[int, int] = {}
    for frame in reversed(again):
        other = at.get(frame.pts)
        if other is None or not frame.faces or not other.faces:
            continue
        overlaps = pairwise_iou(
            np.array([face.box for face in frame.faces], np.float64),
            np.array([face.box for face in other.faces], np.float64),
        )
        taken = set(found.values())
        for place in np.argsort(-overlaps, axis=None, kind="stable").tolist():
            row, column = divmod(place, len(other.faces))
            track, earlier = frame.faces[row].track, other.faces[column].track
            if overlaps[row, column] < SAME_FACE:
                break
            if track not in found and earlier not in taken:
                found[track] = earlier
                taken.add(earlier)
    return found
