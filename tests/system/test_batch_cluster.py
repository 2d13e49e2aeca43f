"""`emostream batch` on a cluster of two nodes in which a worker, a node and the driver are killed.

And object storage: an S3 server for its videos and its results.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from moto.server import ThreadedMotoServer
from ray.cluster_utils import Cluster

from benchmarks.batch.rows import differences, read_rows
from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.batch.chunk_worker import ChunkWorker
from emostream.services.cli.batch.finish import finish_video, video_tasks
from emostream.services.cli.batch.media import Media
from emostream.services.cli.batch.plan import Cutting, plan_video
from emostream.services.cli.batch.results import table_name
from emostream.services.cli.batch.store import Store
from emostream.shared.config import load
from emostream.shared.shipped_files import CONFIGS
from tests.system.conftest import wait_until
from tests.system.test_batch import write_film

pytestmark = [
    pytest.mark.evidence,
    pytest.mark.timeout(240, func_only=True),
    # Ray's nodes leave processes and sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SECONDS = 12
FRAMES = 25 * SECONDS
CHUNKS = ("--chunk", "2s", "--overlap", "1s")
CUTTING = Cutting(2 * 10**9, 10**9, 0.0)
COUNT = SECONDS // 2
NODE: dict[str, Any] = {
    "num_cpus": 1,
    "node_ip_address": "127.0.0.1",
    "object_store_memory": 100_000_000,
    "include_dashboard": False,
    "include_log_monitor": False,
    "no_monitor": True,
}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", FRAMES)


class Driver:
    """An `emostream batch` that runs."""

    def __init__(self, *words: object, env: dict[str, str] | None = None) -> None:
        self.out = Path(str(words[words.index("--out") + 1]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "emostream", "batch", "--json", *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(env or {})},
        )  # fmt: skip

    def chunks(self) -> set[str]:
        """The names of the chunks' files that are there."""
        return {path.name for path in self.out.glob(".work/*/chunk-*.parquet")}

    def wait_for_chunks(self, count: int) -> None:
        def are_there() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            return len(self.chunks()) >= count

        wait_until(are_there, f"{count} chunks", 120)

    def end(self) -> dict[str, Any]:
        """Wait for the end; return what was said of the film."""
        stdout, stderr = self.process.communicate(timeout=180)
        assert self.process.returncode == 0, stderr
        events = [json.loads(line) for line in stdout.splitlines()]
        (end,) = [event for event in events if event["event"] == "end"]
        return dict(end)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU that listen on loopback, and send no statistics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # All of them stay on loopback; this process has read the variable by now.
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        patch.setattr("ray._private.ray_constants.ENABLE_RAY_CLUSTER", False)
        made = Cluster(initialize_head=True, head_node_args=NODE)
        try:
            made.add_node(**NODE)
            yield made
        finally:
            made.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture
def batch(cluster: Any, tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    started: list[Driver] = []

    def start(*words: object) -> Driver:
        where = ("--out", tmp_path / "out", "--address", cluster.address)
        started.append(Driver(*words, *where, *CHUNKS))
        return started[-1]

    yield start
    for driver in started:
        if driver.process.poll() is None:
            driver.process.kill()
            driver.process.communicate()


@pytest.fixture(scope="module")
def undisturbed(film: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of the same chunks, analyzed one after the other in this process."""
    store = Store(str(tmp_path_factory.mktemp("undisturbed")))
    config = load(CONFIGS / "analyze.toml", [])
    plan = plan_video(Media(str(film), film.name, "film"), store, CUTTING)
    worker = ChunkWorker(config, store, 0.0, "s")
    for task in video_tasks(plan):
        worker(task)
    record = RunFile(
        run="r", stream="", input={}, model={"name": config.classifier.model}, config={}
    )
    finish_video(plan, config, record, "s", store)
    return read_rows(Path(store.url) / table_name("observations", "film"))


def workers() -> list[psutil.Process]:
    """The processes of actors that analyze."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any("ChunkActor" in word for word in process.cmdline()):
                found.append(process)
    return found


def check_rows(driver: Driver, undisturbed: list[dict[str, Any]]) -> None:
    rows = read_rows(driver.out / table_name("observations", "film"))
    assert [row["seq"] for row in rows] == [row["seq"] for row in undisturbed]
    assert not differences(rows, undisturbed)
    assert not list(driver.out.glob(".work/*/*"))


def test_a_killed_worker_costs_a_chunk_again_and_nothing_else(
    batch: Callable[..., Driver], film: Path, undisturbed: list[dict[str, Any]]
) -> None:
    driver = batch(film)
    driver.wait_for_chunks(2)
    victim = workers()[0]
    victim.kill()
    end = driver.end()
    assert (end["status"], end["frames"], end["chunks"]) == ("complete", FRAMES, COUNT)
    assert end["repeated"] <= 2
    check_rows(driver, undisturbed)


def test_a_killed_node_costs_no_chunk(
    batch: Callable[..., Driver], cluster: Any, film: Path, undisturbed: list[dict[str, Any]]
) -> None:
    driver = batch(film)
    driver.wait_for_chunks(2)
    second = cluster.worker_nodes.copy().pop()
    cluster.remove_node(second, allow_graceful=False)
    end = driver.end()
    assert (end["status"], end["frames"], end["chunks"]) == ("complete", FRAMES, COUNT)
    check_rows(driver, undisturbed)


def test_a_killed_driver_goes_on_where_it_was(
    batch: Callable[..., Driver], film: Path, undisturbed: list[dict[str, Any]]
) -> None:
    driver = batch(film)
    driver.wait_for_chunks(2)
    driver.process.send_signal(signal.SIGKILL)
    driver.process.communicate()
    done = driver.chunks()
    kept = {path: path.stat().st_ino for path in driver.out.glob(".work/*/chunk-*.parquet")}
    assert len(kept) >= 2
    again = batch(film)
    end = again.end()
    assert (end["status"], end["frames"], end["chunks"]) == ("complete", FRAMES, COUNT)
    assert end["reused"] >= len(done)
    check_rows(again, undisturbed)


@pytest.fixture
def storage() -> Iterator[str]:
    """The address of an S3 server of this test, with a bucket `archive`."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client("s3", endpoint_url=address, region_name="us-east-1",
                              aws_access_key_id="x", aws_secret_access_key="x")  # fmt: skip
        client.create_bucket(Bucket="archive")
        yield address
    finally:
        server.stop()


def test_object_storage_holds_videos_and_results(
    storage: str, film: Path, tmp_path: Path, undisturbed: list[dict[str, Any]]
) -> None:
    client = boto3.client("s3", endpoint_url=storage, region_name="us-east-1",
                          aws_access_key_id="x", aws_secret_access_key="x")  # fmt: skip
    client.upload_file(str(film), "archive", "videos/film.mp4")
    env = {
        "AWS_ENDPOINT_URL": storage, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    driver = Driver("s3://archive/videos", "--out", "s3://archive/results", *CHUNKS, env=env)
    assert driver.end()["frames"] == FRAMES
    listed = client.list_objects_v2(Bucket="archive", Prefix="results/")["Contents"]
    names = {one["Key"].removeprefix("results/") for one in listed}
    assert names == {
        *("batch.json", "summary.json", "summary.csv", "runs/recording=film/run.json"),
        *(table_name(table, "film") for table in ("observations", "events", "tracks")),
    }
    local = tmp_path / "rows.parquet"
    client.download_file("archive", "results/" + table_name("observations", "film"), str(local))
    assert not differences(read_rows(local), undisturbed)
