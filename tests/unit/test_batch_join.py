"""Chunks joined to a recording: each frame once, and a face keeps its track."""

from emostream.services.cli.batch.chunk_rows import FoundFace, FoundFrame
from emostream.services.cli.batch.chunks import Chunk
from emostream.services.cli.batch.join import joined_frames, same_tracks

LEFT, RIGHT = (10.0, 10.0, 80.0, 80.0), (300.0, 20.0, 70.0, 70.0)


def face(track: int, box: tuple[float, float, float, float] = LEFT) -> FoundFace:
    return FoundFace(track, box, 0.9, None, (1.0,))


def frame(pts: int, *faces: FoundFace) -> FoundFrame:
    return FoundFrame(pts, False, faces)


def joined(*parts: tuple[int, int, list[FoundFrame]]) -> list[tuple[int, list[int]]]:
    """Join chunks (warm, start, frames); return each frame's pts and tracks."""
    frames = {number: found for number, (_, _, found) in enumerate(parts)}
    chunks = [
        Chunk(number=number, start=start, warm=warm)
        for number, (warm, start, _) in enumerate(parts)
    ]
    return [
        (one.pts, [each.track for each in one.faces])
        for one in joined_frames(chunks, lambda chunk: frames[chunk.number])
    ]


def test_a_face_keeps_its_track_and_each_frame_comes_once() -> None:
    first = [frame(pts, face(1), face(2, RIGHT)) for pts in range(4)]
    second = [frame(pts, face(2, RIGHT), face(5)) for pts in range(2, 8)]
    assert joined((0, 0, first), (2, 4, second)) == [
        *((pts, [1, 2]) for pts in range(4)),
        *((pts, [2, 1]) for pts in range(4, 8)),
    ]


def test_who_comes_later_gets_the_next_number() -> None:
    first = [frame(pts, face(9)) for pts in range(4)]
    second = [frame(2, face(1)), frame(3, face(1)), frame(4, face(3, RIGHT), face(1))]
    third = [frame(4, face(1, RIGHT)), frame(5, face(1, RIGHT), face(4, (500, 500, 60, 60)))]
    assert joined((0, 0, first), (2, 4, second), (4, 5, third))[-2:] == [(4, [2, 1]), (5, [2, 3])]


def test_a_face_that_is_away_at_the_border_is_known_again() -> None:
    first = [frame(0, face(1)), frame(1, face(1)), frame(2), frame(3)]
    second = [frame(0, face(1)), frame(1, face(1)), frame(2), frame(3), frame(4, face(1))]
    assert joined((0, 0, first), (0, 4, second))[-1] == (4, [1])


def test_chunks_shorter_than_their_overlap_know_faces_over_several() -> None:
    parts = [(max(0, n - 3), n, [frame(pts, face(7)) for pts in range(max(0, n - 3), n + 1)])
             for n in range(6)]  # fmt: skip
    # Only the frames before the last two chunks show who it is.
    parts[4] = (1, 4, [frame(1, face(3)), frame(2, face(3)), frame(3), frame(4, face(3))])
    assert joined(*parts) == [(n, [1]) for n in range(6)]


def test_the_last_frames_decide_who_is_who() -> None:
    # One track ended there, where another one began: here they are the same.
    before = [frame(0, face(1)), frame(1, face(2)), frame(2, face(2))]
    again = [frame(0, face(8)), frame(1, face(8)), frame(2, face(8))]
    assert same_tracks(before, again) == {8: 2}


def test_the_nearest_box_is_the_same_face() -> None:
    near, far = (12.0, 10.0, 80.0, 80.0), (30.0, 10.0, 80.0, 80.0)
    before = [frame(0, face(1, LEFT), face(2, far))]
    assert same_tracks(before, [frame(0, face(5, far), face(6, near))]) == {5: 2, 6: 1}


def test_a_face_elsewhere_is_another_one() -> None:
    assert same_tracks([frame(0, face(1, LEFT))], [frame(0, face(1, RIGHT))]) == {}
    assert same_tracks([], [frame(0, face(1))]) == {}
    assert same_tracks([frame(0)], [frame(0, face(1))]) == {}


def test_a_recording_of_no_frames_has_none() -> None:
    assert joined((0, 0, [])) == []
