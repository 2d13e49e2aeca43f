"""The work on Ray: plans by tasks, chunks by warm actors of Ray Data, ends by tasks.

What is scheduled where, tried again and scaled is Ray's to decide. Each piece of work writes one
file, and does nothing where that is there: so whatever Ray does again changes nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.batch.chunk_rows import ChunkReport
from emostream.services.cli.batch.chunk_worker import ChunkWorker, Task
from emostream.services.cli.batch.finish import Ended, finish_photos, finish_video
from emostream.services.cli.batch.media import Media
from emostream.services.cli.batch.plan import Cutting, Plan, plan_video
from emostream.services.cli.batch.store import Store
from emostream.shared.config import Config

# A block is a chunk; of more chunks, some share one, so that Ray has not too many to look after.
MOST_BLOCKS: Final = 20_000
# An actor has its next chunk when it is done with one; more would wait for it in vain at the end.
TASKS_AHEAD: Final = 2

Row = dict[str, Any]


class ChunkActor:
    """A worker that is loaded once and analyzes chunks of rows that Ray Data brings."""

    def __init__(self, config: Config, store: Store, sample: float, session: str) -> None:
        self._worker = ChunkWorker(config, store, sample, session)

    def __call__(self, row: Row) -> Row:
        """Analyze the chunk of a row; return a row with its report."""
        task = msgspec.msgpack.decode(row["task"], type=Task)
        return {"report": msgspec.msgpack.encode(self._worker(task))}


def plans(media: Sequence[Media], store: Store, cutting: Cutting) -> Iterator[Plan]:
    """Yield the plan for each video, as they are made."""
    import ray

    def plan(row: Row) -> Row:
        media = msgspec.msgpack.decode(row["media"], type=Media)
        return {"plan": msgspec.msgpack.encode(plan_video(media, store, cutting))}

    rows = [{"media": msgspec.msgpack.encode(one)} for one in media]
    for row in _rows(ray.data.from_items(rows, override_num_blocks=_blocks(rows)).map(plan)):
        yield msgspec.msgpack.decode(row["plan"], type=Plan)


def chunk_reports(
    tasks: Sequence[Task], actors: int, worker: tuple[Config, Store, float, str]
) -> Iterator[ChunkReport]:
    """Yield the report of each chunk when it is done, by up to so many actors of one CPU each."""
    import ray

    rows = [{"task": msgspec.msgpack.encode(task)} for task in tasks]
    pool = ray.data.ActorPoolStrategy(
        min_size=1, max_size=actors, max_tasks_in_flight_per_actor=TASKS_AHEAD
    )
    done = ray.data.from_items(rows, override_num_blocks=_blocks(rows)).map(
        ChunkActor,  # type: ignore[arg-type]
        fn_constructor_args=worker,
        compute=pool,
        num_cpus=1,
    )
    for row in _rows(done):
        yield msgspec.msgpack.decode(row["report"], type=ChunkReport)


class Endings:
    """The ends of recordings, each by a task next to the actors, which have all CPUs.

    `about` and `session` are as of `finish_video`.
    """

    def __init__(self, about: RunFile, session: str, store: Store) -> None:
        import ray

        self._ray = ray
        self._finish_video = ray.remote(num_cpus=0)(finish_video)
        self._finish_photos = ray.remote(num_cpus=0)(finish_photos)
        self._about, self._session, self._store = about, session, store
        self._running: list[Any] = []

    def video(self, plan: Plan, config: Config) -> None:
        """Begin to finish a video whose chunks are all there."""
        self._running.append(
            self._finish_video.remote(plan, config, self._about, self._session, self._store)
        )

    def photos(self, tasks: list[Task], key: str) -> None:
        """Begin to finish the photos, whose chunks are all there."""
        self._running.append(
            self._finish_photos.remote(tasks, self._about, key, self._session, self._store)
        )

    def done(self, *, wait: bool) -> Iterator[Ended]:
        """Yield the recordings that are finished by now, or all, as they come."""
        while self._running:
            ready, self._running = self._ray.wait(
                self._running, timeout=None if wait else 0, fetch_local=False
            )
            yield from self._ray.get(ready)
            if not (wait or ready):
                return


def _rows(dataset: Any) -> Iterator[Row]:
    """Yield the rows of a dataset, those of each block as soon as it is there."""
    for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from batch.to_pylist()


def _blocks(rows: Sequence[Row]) -> int:
    return max(1, min(len(rows), MOST_BLOCKS))
