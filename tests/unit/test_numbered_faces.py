"""The small numbers by which `emostream top` and `subscribe` name faces."""

from emostream.services.cli.numbered_faces import MAX_STREAMS, NumberedFaces
from emostream.services.cli.top.faces import MAX_FACES, SHOWN_FOR_S, FacesNow
from emostream.shared.face_numbers import KEPT_NS
from emostream.shared.messages import Message
from tests.builders import Clock, emotion, event, face

TRACK = (1_760_000_000 << 20) + 4711


def test_each_stream_counts_its_own_faces_from_one() -> None:
    numbered = NumberedFaces()
    for stream in ("door", "garden"):
        for number, track in enumerate((TRACK + 5, TRACK + 2), 1):
            assert numbered.number(event(0, stream=stream, track=track), track) == number


def test_a_face_that_stays_for_long_keeps_its_number() -> None:
    numbered = NumberedFaces()
    assert numbered.number(event(0, "enter", t=0, track=TRACK), TRACK) == 1
    for minutes in range(1, 20):
        other = event(minutes, "enter", t=minutes * 60 * 10**9, track=TRACK + minutes)
        assert numbered.number(other, TRACK + minutes) > 1
    left = event(99, "leave", t=20 * 60 * 10**9, track=TRACK)
    assert numbered.number(left, TRACK) == 1


def test_the_number_of_one_who_left_is_given_again() -> None:
    numbered = NumberedFaces()
    numbered.number(event(0, "enter", t=0, track=TRACK), TRACK)
    numbered.number(event(1, "leave", t=1, track=TRACK), TRACK)
    later = event(2, "enter", t=KEPT_NS + 2, track=TRACK + 1)
    assert numbered.number(later, TRACK + 1) == 1


def test_invented_streams_do_not_grow_it() -> None:
    numbered = NumberedFaces()
    for n in range(2 * MAX_STREAMS):
        numbered.number(event(0, stream=f"s{n}", track=TRACK), TRACK)
    assert len(numbered._streams) == MAX_STREAMS


def test_top_shows_the_faces_of_the_last_seconds_of_all_parts() -> None:
    clock = Clock()
    faces = FacesNow(clock)
    faces.add(Message(emotion(0, face(TRACK, "fear", confidence=0.7), part=0, parts=2)))
    faces.add(Message(emotion(0, face(TRACK + 1, "anger", confidence=0.4), part=1, parts=2)))
    faces.add(Message(emotion(0, stream="yard")))
    assert faces.lines() == {"cam1": "#1 fear 70%, #2 anger 40%", "yard": "no face"}
    clock.now += SHOWN_FOR_S + 1
    assert faces.lines() == {}


def test_a_crowd_in_top_is_one_line() -> None:
    faces = FacesNow(Clock())
    crowd = [face(TRACK + n, "fear", confidence=0.7) for n in range(MAX_FACES + 2)]
    faces.add(Message(emotion(0, *crowd)))
    line = faces.lines()["cam1"]
    assert line.startswith("#1 fear 70%, #2 fear 70%")
    assert line.endswith(f"#{MAX_FACES} fear 70%, and 2 more faces")


def test_what_is_left_out_is_not_shown() -> None:
    faces = FacesNow(Clock())
    poor = face(TRACK, "", left_out="quality")
    faces.add(Message(emotion(0, poor)))
    faces.add(Message(emotion(1, face(TRACK, "fear"), stream="yard", degraded=True)))
    assert faces.lines() == {"cam1": "no face"}
