"""The numbers of faces: small, steady, and given again once nobody can mistake them."""

from emostream.shared.face_numbers import KEPT_NS, MAX_TRACKS, FaceNumbers

FIRST = (1_700_000_000 << 20) + 4711


def test_tracks_are_numbered_in_the_order_in_which_they_come() -> None:
    numbers = FaceNumbers()
    assert [numbers.see(FIRST + n, 0) for n in (0, 9, 4)] == [True] * 3
    assert [numbers.of(FIRST + n) for n in (0, 9, 4)] == [1, 2, 3]
    assert not numbers.see(FIRST + 9, 10)
    assert numbers.of(FIRST + 9) == 2


def test_the_number_of_a_face_that_is_long_gone_is_given_again() -> None:
    numbers = FaceNumbers()
    numbers.see(FIRST, 0)
    numbers.see(FIRST + 1, 0)
    numbers.see(FIRST + 1, KEPT_NS)
    numbers.see(FIRST + 2, KEPT_NS)
    assert numbers.of(FIRST + 2) == 3, "the first may still be in a timeline"
    numbers.see(FIRST + 3, KEPT_NS + 1)
    assert numbers.of(FIRST + 3) == 1
    assert numbers.of(FIRST + 1) == 2


def test_readers_get_what_is_new_to_them() -> None:
    numbers = FaceNumbers()
    numbers.see(FIRST, 0, revision=3)
    numbers.see(FIRST + 1, 0, revision=5)
    numbers.see(FIRST, 1, revision=9)
    assert dict(numbers.since(0)) == {FIRST: 1, FIRST + 1: 2}
    assert dict(numbers.since(3)) == {FIRST + 1: 2}
    assert dict(numbers.since(5)) == {}


def test_invented_tracks_do_not_grow_it_without_a_bound() -> None:
    numbers = FaceNumbers()
    for track in range(3 * MAX_TRACKS):
        numbers.see(track, 0)
    assert len(dict(numbers.since(-1))) == MAX_TRACKS
    assert numbers.of(3 * MAX_TRACKS - 1) <= MAX_TRACKS
