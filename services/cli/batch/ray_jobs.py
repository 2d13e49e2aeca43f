"""The work on Ray: tasks for plans, warm Ray Data actors for chunks, tasks to finish.

Ray decides about scheduling, retries and scaling. Each piece of work writes one file, and does
nothing if the file exists, so retries change nothing.
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

# One block per chunk; if there are many chunks, several share a block, to limit Ray's bookkeeping.
MOST_BLOCKS: Final = 20_000
# An actor has one more chunk queued; with more, chunks would wait for it at the end while others
# idle.
TASKS_AHEAD: Final = 2

Row = dict[str, Any]


class ChunkActor:
    """A worker that is loaded once and analyzes the chunks in rows from Ray Data."""

    def __init__(self, config: Config, store: Store, sample: float, session: str) -> None:
        self._worker = ChunkWorker(config, store, sample, session)

    def __call__(self, row: Row) -> Row:
        """Analyze the chunk of a row; return a row with its report."""
        task = msgspec.msgpack.decode(row["task"], type=Task)
        return {"report": msgspec.msgpack.encode(self._worker(task))}


def plans(media: Sequence[Media], store: Store, cutting: Cutting) -> Iterator[Plan]:
    """Yield the plan for each video as it is ready."""
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
    """Yield the report of each chunk when done, by up to this many actors with one CPU each."""
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
    """Finishes recordings with one task each, besides the actors, which occupy all CPUs.

    `about` and `session` are as in `finish_video`.
    """

    def __init__(self, about: RunFile, session: str, store: Store) -> None:
        import ray

        self._ray = ray
        self._finish_video = ray.remote(num_cpus=0)(finish_video)
        self._finish_photos = ray.remote(num_cpus=0)(finish_photos)
        self._about, self._session, self._store = about, session, store
        self._running: list[Any] = []

    def video(self, plan: Plan, config: Config) -> None:
        """Start to finish a video whose chunks are complete."""
        self._running.append(
            self._finish_video.remote(plan, config, self._about, self._session, self._store)
        )

    def photos(self, tasks: list[Task], key: str) -> None:
        """Start to finish the photos, whose chunks are complete."""
        self._running.append(
            self._finish_photos.remote(tasks, self._about, key, self._session, self._store)
        )

    def done(self, *, wait: bool) -> Iterator[Ended]:
        """Yield the recordings that are finished so far, or all of them as they finish."""
        while self._running:
            ready, self._running = self._ray.wait(
                self._running, timeout=None if wait else 0, fetch_local=False
            )
            yield from self._ray.get(ready)
            if not (wait or ready):
                return


def _rows(dataset: Any) -> Iterator[Row]:
    """Yield the rows of a dataset, block by block as they are ready."""
    for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from batch.to_pylist()


def _blocks(rows: Sequence[Row]) -> int:
    return max(1, min(len(rows), MOST_BLOCKS))
