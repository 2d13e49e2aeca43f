"""A recording in chunks, without Ray: its rows, its files, and what is done again."""

import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from benchmarks.batch.rows import differences, read_rows
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.batch.chunk_rows import (
    ChunkReport,
    FoundFace,
    FoundFrame,
    chunk_table,
    read_frames,
    read_report,
    write_chunk,
)
from emostream.services.cli.batch.chunk_worker import MOST_ATTEMPTS, ChunkWorker
from emostream.services.cli.batch.finish import finish_video, video_tasks
from emostream.services.cli.batch.media import Media
from emostream.services.cli.batch.plan import Cutting, plan_video
from emostream.services.cli.batch.results import table_name
from emostream.services.cli.batch.store import Store
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.config import Config, load
from emostream.shared.messages import Quality
from emostream.shared.shipped_files import CONFIGS
from tests.unit.videos import Clip

FRAMES = 120
NS = 10**9
ABOUT = RunFile(run="batch", stream="", input={}, model={"name": "alexnet-fer-int8"}, config={})
QUALITY = Quality(80.0, 0.5, 0.5, 0.5, 0.1, 3.0, None, -2.0, 0.0, 0.9)


@pytest.fixture(scope="module")
def config() -> Config:
    return load(CONFIGS / "analyze.toml", [])


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people who move, 320 x 180, with a key frame every 2 s."""
    path = tmp_path_factory.mktemp("film") / "Film.mp4"
    demo = DemoScene(320, 180, fps=25)
    with VideoFile(path, 320, 180) as writer:
        for n in range(FRAMES):
            writer.write(demo.frame(3 * n), n * 40_000_000)
    return path


def analyzed(
    film: Path, out: Path, config: Config, length: int, *, sample: float = 0.0
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Analyze a film in chunks of so many ns; return its rows and its run file."""
    store = Store(str(out))
    media = Media(str(film), film.name, "film")
    plan = plan_video(media, store, Cutting(length, NS, sample))
    assert not plan.error
    worker = ChunkWorker(config, store, sample, "s")
    for task in video_tasks(plan):
        worker(task)
    finish_video(plan, config, ABOUT, "s", store)
    assert not (out / ".work").exists() or not list((out / ".work").glob("*/*"))
    record = json.loads((out / "runs" / "recording=film" / "run.json").read_text("utf-8"))
    return read_rows(out / table_name("observations", "film")), record


def test_chunks_give_the_rows_of_the_whole(film: Path, config: Config, tmp_path: Path) -> None:
    whole, one = analyzed(film, tmp_path / "whole", config, 100 * NS)
    rows, many = analyzed(film, tmp_path / "chunks", config, NS)
    assert (one["batch"]["chunks"], many["batch"]["chunks"]) == (1, 3)
    assert {row["seq"] for row in whole} == set(range(FRAMES))
    assert {row["track"] for row in whole} == {1, 2, 3}
    different = differences(rows, whole)
    assert sum(different.values()) <= len(whole) // 100, different
    assert many["frames_analysed"] == FRAMES
    for table in ("events", "tracks"):
        tables = [parquet.read_table(tmp_path / n / table_name(table, "film")).to_pylist()
                  for n in ("whole", "chunks")]  # fmt: skip
        assert [row["track"] for row in tables[0]] == [row["track"] for row in tables[1]]


def test_a_sample_takes_the_same_pictures(film: Path, config: Config, tmp_path: Path) -> None:
    whole, _ = analyzed(film, tmp_path / "whole", config, 100 * NS, sample=5)
    rows, record = analyzed(film, tmp_path / "chunks", config, NS, sample=5)
    assert [row["pts_s"] for row in rows] == [row["pts_s"] for row in whole]
    assert record["frames_analysed"] == 24


def version(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is written again; reading it changes its time of access."""
    facts = path.stat()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def test_what_is_done_is_not_done_again(film: Path, config: Config, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    plan = plan_video(Media(str(film), film.name, "film"), store, Cutting(NS, NS, 0.0))
    first, *_ = video_tasks(plan)
    report = ChunkWorker(config, store, 0.0, "one")(first)
    written = version(tmp_path / first.file)
    assert ChunkWorker(config, store, 0.0, "two")(first) == report
    assert version(tmp_path / first.file) == written
    assert plan_video(plan.media, store, Cutting(NS, NS, 0.0)) == plan
    film.touch()
    assert plan_video(plan.media, store, Cutting(NS, NS, 0.0)).key != plan.key


def test_a_chunk_that_ends_its_process_each_time_is_left_out(
    film: Path, config: Config, tmp_path: Path
) -> None:
    store = Store(str(tmp_path))
    plan = plan_video(Media(str(film), film.name, "film"), store, Cutting(NS, NS, 0.0))
    _, task, *_ = video_tasks(plan)
    for _ in range(MOST_ATTEMPTS):
        ChunkWorker(config, store, 0.0, "s")._begin(task)
    report = ChunkWorker(config, store, 0.0, "s")(task)
    assert report.error == f"Film.mp4: the process that read it ended {MOST_ATTEMPTS} times"
    assert report.frames == 0


def test_a_recording_that_breaks_off_keeps_what_came_before(config: Config, tmp_path: Path) -> None:
    clip = Clip([40] * 100, coding={"g": "25"}).write(tmp_path / "film.mkv")
    clip.write_bytes(clip.read_bytes()[:-200])
    rows, record = analyzed(clip, tmp_path / "out", config, NS)
    assert record["status"] == "broken"
    assert "ends early at" in record["message"]
    assert 80 < record["frames_analysed"] == len(rows) < 100


def test_a_file_of_something_else_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"no video" * 100)
    plan = plan_video(Media(str(path), path.name, "film"), Store(str(tmp_path)), Cutting(1, 1, 0))
    assert "film.mp4" in plan.error
    path.unlink()
    plan = plan_video(Media(str(path), path.name, "film"), Store(str(tmp_path)), Cutting(1, 1, 0))
    assert "No such file" in plan.error


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [FoundFrame(0, False, ())],
        [
            FoundFrame(0, True, (FoundFace(1, (1, 2, 3, 4), 0.5, QUALITY, ()),)),
            FoundFrame(40, False, ()),
            FoundFrame(
                80,
                False,
                (
                    FoundFace(1, (1.5, 2, 3, 4), 0.25, None, (0.5, 0.5)),
                    FoundFace(2, (9, 2, 3, 4), 1.0, QUALITY, (0.25, 0.75)),
                ),
            ),
        ],
    ],
)
def test_a_chunk_file_gives_back_what_was_found(frames: list[FoundFrame], tmp_path: Path) -> None:
    path = tmp_path / "chunk.parquet"
    report = ChunkReport(recording="film", number=3, error="ends early", labels=("a", "b"))
    write_chunk(chunk_table(frames), report, path)
    with path.open("rb") as file:
        assert read_report(file) == report
        assert read_frames(file) == frames
