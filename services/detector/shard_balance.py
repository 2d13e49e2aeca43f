"""The ids of new tracks, chosen so that the shards carry like numbers of faces."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator


def balanced_ids(
    ids: Iterator[int],
    shards: int,
    of_stream: Callable[[], Iterable[int]],
    of_all: Callable[[], Iterable[int]],
) -> Iterator[int]:
    """Yield those of `ids` whose shard, id % `shards`, has the fewest present tracks.

    Of the shards with the fewest of the stream, one with the fewest of all streams is chosen; of
    those the one whose turn it is. `of_stream` and `of_all` return the tracks that are present. So
    a face stays in one shard for as long as its track lasts, and no table says in which.
    """
    while True:
        own = Counter(track % shards for track in of_stream())
        every = Counter(track % shards for track in of_all())
        loads = [(own[shard], every[shard]) for shard in range(shards)]
        least = min(loads)
        yield next(one for one in ids if loads[one % shards] == least)
