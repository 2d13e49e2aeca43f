"""What waits in memory while a recorder cannot write."""

import tracemalloc

from emostream.models.labels import LABELS
from emostream.services.recorder.row_buffer import Result, RowBuffer
from emostream.shared.messages import Emotion, Message
from emostream.shared.wire import decode, encode
from tests import builders
from tests.builders import face


def test_what_waited_for_too_long_gives_way() -> None:
    buffer = RowBuffer(10.0)
    results: list[Result] = [
        builders.event(0),
        builders.emotion(0, face(), face()),
        builders.emotion(1),
    ]
    assert [buffer.add(result, now) for now, result in enumerate(results)] == [[], [], []]
    assert (buffer.rows, len(buffer)) == (5, 3)
    assert buffer.expire(10.0) == []
    assert buffer.expire(11.5) == results[:2]
    assert (buffer.rows, len(buffer)) == (1, 1)
    assert buffer.clear() == results[2:]
    assert (buffer.rows, len(buffer)) == (0, 0)


def test_of_too_many_rows_the_oldest_give_way() -> None:
    buffer = RowBuffer(10.0, most_rows=4)
    first, second = builders.emotion(0, face(), face()), builders.emotion(1, face())
    assert buffer.add(first, 0.0) == []
    assert buffer.add(second, 0.0) == [first]
    assert buffer.rows == 2


def test_a_transaction_takes_some_of_them_and_one_at_least() -> None:
    buffer = RowBuffer(10.0)
    large, end = builders.emotion(0, *map(face, range(9))), builders.emotion(1, end=True, frames=1)
    later = [builders.emotion(seq, face()) for seq in (2, 3)]
    for result in (large, end, *later):
        buffer.add(result, 0.0)
    assert list(buffer.oldest(4)) == [large]
    assert list(buffer.oldest(13)) == [large, end, later[0]]
    buffer.remove(2)
    assert list(buffer.oldest(99)) == later


def test_two_minutes_of_a_stream_take_a_few_megabytes() -> None:
    def message(seq: int) -> Message:
        shares = dict.fromkeys(LABELS, 0.1 + seq / 100000.0)
        one = face(seq, box=(seq + 0.5,) * 4, probabilities=shares, smoothed=dict(shares))
        return Message(builders.emotion(seq, one, t=10**18 + seq))

    # As they come over the bus: no two share their numbers.
    received = [list(map(bytes, encode(message(seq)))) for seq in range(120 * 25)]
    buffer = RowBuffer(120.0)
    tracemalloc.start()
    for parts in received:
        header = decode(parts).header
        assert not buffer.add(builders.header_of(header, Emotion), 0.0)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert buffer.rows == 2 * 120 * 25
    assert size < 10e6
