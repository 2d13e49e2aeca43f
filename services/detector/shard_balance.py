"""Chooses ids of new tracks so that all shards have similar numbers of faces."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator


def balanced_ids(
    ids: Iterator[int],
    shards: int,
    of_stream: Callable[[], Iterable[int]],
    of_all: Callable[[], Iterable[int]],
) -> Iterator[int]:
    """Yield ids from `ids` whose shard, id % `shards`, has the fewest active tracks.

    Among the shards with the fewest tracks of the stream, those with the fewest tracks of all
    streams are preferred, in turn. `of_stream` and `of_all` return the active tracks. A face stays
    in one shard as long as its track lasts, without a lookup table.
    """
    while True:
        own = Counter(track % shards for track in of_stream())
        every = Counter(track % shards for track in of_all())
        loads = [(own[shard], every[shard]) for shard in range(shards)]
        least = min(loads)
        yield next(one for one in ids if loads[one % shards] == least)
