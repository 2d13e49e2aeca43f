"""`emostream analyze` with real processes: no frame is lost, whatever is killed."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from emostream.services.capture.demo.scene import DemoScene
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.recorder.archive.progress import frames_written
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.errors import ExitCode
from tests.conftest import take_sigint
from tests.system.conftest import wait_until

FRAMES = 150
CLIPS = Path(__file__).parents[3] / "shared" / "data" / "clips"
PEOPLE = {
    "face-demographics-walking": 2,
    "head-pose-face-detection-female-and-male": 2,
    "head-pose-face-detection-male": 1,
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of three faces that move and change, 640 x 360 at 25 frames/s."""
    path = tmp_path_factory.mktemp("clip") / "Three Faces.mp4"
    demo = DemoScene(640, 360, fps=25)
    with VideoFile(path, 640, 360) as writer:
        for n in range(FRAMES):
            # 18 seconds of the script in six, so that emotions change.
            writer.write(demo.frame(3 * n), n * 40_000_000)
    return path


class Analysis:
    """An `emostream analyze` that runs, and what it leaves."""

    def __init__(self, *words: object) -> None:
        self.out = Path(str(words[words.index("--out") + 1]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "emostream", "analyze", "--json", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=take_sigint,
        )

    def end(self, timeout: float = 100) -> int:
        self.stdout, self.stderr = self.process.communicate(timeout=timeout)
        return self.process.returncode

    @property
    def result(self) -> dict[str, Any]:
        lines = [json.loads(line) for line in self.stdout.splitlines()]
        return dict([line for line in lines if line["event"] == "end"][-1])

    def written(self) -> int:
        return sum(frames_written(path) for path in self.out.glob("*/emostream.db"))

    def stage(self, name: str) -> psutil.Process | None:
        for child in psutil.Process(self.process.pid).children():
            # One that was just killed is still listed.
            with contextlib.suppress(psutil.NoSuchProcess):
                if name in child.cmdline():
                    return child
        return None

    def wait_for(self, frames: int) -> None:
        wait_until(lambda: self.written() >= frames, f"{frames} frames", 60)


@pytest.fixture
def analyze(tmp_path: Path) -> Iterator[Callable[..., Analysis]]:
    started: list[Analysis] = []

    def start(*words: object, out: Path = tmp_path) -> Analysis:
        started.append(Analysis(*words, "--out", out))
        return started[-1]

    yield start
    for analysis in started:
        if analysis.process.poll() is None:
            analysis.process.kill()
            analysis.process.communicate()


@pytest.fixture(scope="module")
def undisturbed(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an analysis that nobody disturbed."""
    analysis = Analysis(clip, "--out", tmp_path_factory.mktemp("undisturbed"))
    assert analysis.end() == 0, analysis.stderr
    assert analysis.result["status"] == "complete"
    return Path(analysis.result["folder"])


def tables(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.csv"))}


def test_a_film_becomes_a_folder_of_results_with_every_frame(undisturbed: Path) -> None:
    assert undisturbed.name == "Three Faces"
    record = json.loads((undisturbed / "run.json").read_text("utf-8"))
    assert record["frames_read"] == record["frames_analysed"] == FRAMES
    assert record["tracks"] == 3
    assert record["model"]["name"] == "alexnet-fer-int8"
    assert set(record["files"]) == {path.name for path in undisturbed.iterdir()}
    lines = tables(undisturbed)["observations.csv"].splitlines()
    assert len(lines) == 1 + 3 * FRAMES
    assert lines[1].startswith("three-faces,0,0.000000000,")
    assert {int(line.split(",")[1]) for line in lines[1:]} == set(range(FRAMES))


def test_the_same_film_gives_the_same_bytes_beside_a_live_pipeline_and_another_analysis(
    clip: Path, undisturbed: Path, analyze: Callable[..., Analysis], pipeline: Pipeline
) -> None:
    assert not pipeline.missing("classifier")
    one, other = analyze(clip, "--no-video"), analyze(clip, "--no-video")
    assert (one.end(), other.end()) == (0, 0)
    folders = {one.result["folder"], other.result["folder"]}
    assert {Path(folder).name for folder in folders} == {"Three Faces", "Three Faces-2"}
    for folder in folders:
        assert tables(Path(folder)) == tables(undisturbed)


@pytest.mark.evidence
@pytest.mark.parametrize("stage", ["capture", "detector", "classifier", "recorder"])
def test_a_stage_that_is_killed_leaves_no_trace(
    clip: Path, undisturbed: Path, analyze: Callable[..., Analysis], stage: str
) -> None:
    analysis = analyze(clip, "--no-video")
    analysis.wait_for(random.Random(stage).randint(5, 40))
    victim = analysis.stage(stage)
    assert victim is not None
    victim.kill()
    assert analysis.end() == 0, analysis.stderr
    assert analysis.result["stages"][stage]["restarts"] == 1
    assert tables(Path(analysis.result["folder"])) == tables(undisturbed)


def test_stages_that_are_killed_and_stopped_at_random_leave_no_trace(
    clip: Path, undisturbed: Path, analyze: Callable[..., Analysis]
) -> None:
    """A stopped stage (SIGSTOP) is one that hangs for a while, and then continues."""
    dice = random.Random(4)
    analysis = analyze(clip, "--no-video")
    analysis.wait_for(3)
    for stage in ("detector", "classifier", "capture", "recorder"):
        victim = analysis.stage(stage)
        if victim is None or analysis.process.poll() is not None:
            continue
        victim.send_signal(signal.SIGSTOP)
        time.sleep(dice.uniform(0.2, 1.2))  # the fault itself, not a wait for luck
        victim.send_signal(dice.choice([signal.SIGKILL, signal.SIGCONT]))
    assert analysis.end() == 0, analysis.stderr
    assert tables(Path(analysis.result["folder"])) == tables(undisturbed)


def test_a_stage_that_hangs_is_started_again_and_leaves_no_trace(
    clip: Path, undisturbed: Path, analyze: Callable[..., Analysis]
) -> None:
    analysis = analyze(clip, "--no-video", "--set", "live.hung_after=1")
    analysis.wait_for(20)
    held = analysis.stage("detector")
    assert held is not None
    held.suspend()
    assert analysis.end() == 0, analysis.stderr
    assert analysis.result["stages"]["detector"]["restarts"] == 1
    assert tables(Path(analysis.result["folder"])) == tables(undisturbed)


def test_an_analysis_that_was_stopped_goes_on_where_it_was(
    clip: Path, undisturbed: Path, analyze: Callable[..., Analysis]
) -> None:
    analysis = analyze(clip, "--no-video")
    analysis.wait_for(20)
    analysis.process.send_signal(signal.SIGINT)
    assert analysis.end() == 130
    assert analysis.result["frames_kept"] >= 20
    assert f"analyze --resume --out {analysis.out} --no-video --json" in analysis.stderr
    assert json.loads(next(analysis.out.glob("*/run.json")).read_text())["status"] == "interrupted"
    cut = analysis.written()
    assert 20 <= cut < FRAMES
    resumed = analyze(clip, "--no-video", "--resume")
    assert resumed.end() == 0, resumed.stderr
    assert resumed.result["frames_analysed"] == FRAMES
    assert tables(Path(resumed.result["folder"])) == tables(undisturbed)
    again = analyze(clip, "--no-video", "--resume")
    assert again.end() == 0
    assert again.result["folder"] == resumed.result["folder"]


@pytest.mark.evidence
def test_everything_in_a_folder_that_did_not_end_goes_on_by_itself(
    clip: Path, undisturbed: Path, analyze: Callable[..., Analysis], tmp_path: Path
) -> None:
    film, lost = tmp_path / "film.mp4", tmp_path / "lost.mp4"
    for path in (film, lost):
        path.write_bytes(clip.read_bytes())
    out = tmp_path / "out"
    settings = ("--set", "classifier.smoothing=0.3", "--no-video")
    for path in (film, lost):
        analysis = analyze(path, *settings, out=out)
        # Beyond what the one before has written.
        analysis.wait_for(analysis.written() + 20)
        analysis.process.send_signal(signal.SIGINT)
        assert analysis.end() == 130
    lost.unlink()
    resumed = analyze("--resume", "--no-video", out=out)
    assert resumed.end() == ExitCode.FAILURE
    ends = {line["name"]: line for line in map(json.loads, resumed.stdout.splitlines())}
    assert "no such file" in ends["lost.mp4"]["message"]
    assert ends["film.mp4"]["frames_analysed"] == FRAMES
    assert ends["film.mp4"]["config"]["classifier"]["smoothing"] == 0.3
    assert (out / "film" / "observations.csv").read_text().count("\n") == 1 + 3 * FRAMES
    (out / "lost").rename(tmp_path / "elsewhere")
    again = analyze("--resume", out=out)
    assert again.end() == 0
    assert "nothing to resume" in again.stderr


def test_analyze_that_is_killed_leaves_no_process_and_can_go_on(
    clip: Path, undisturbed: Path, analyze: Callable[..., Analysis]
) -> None:
    analysis = analyze(clip, "--no-video")
    analysis.wait_for(10)
    children = psutil.Process(analysis.process.pid).children()
    analysis.process.kill()
    analysis.end()
    _, alive = psutil.wait_procs(children, timeout=15)
    assert not alive
    resumed = analyze(clip, "--no-video", "--resume")
    assert resumed.end() == 0, resumed.stderr
    assert tables(Path(resumed.result["folder"])) == tables(undisturbed)


def test_a_stage_that_cannot_come_back_ends_the_run_with_what_there_is(
    clip: Path, analyze: Callable[..., Analysis]
) -> None:
    analysis = analyze(clip, "--no-video")
    analysis.wait_for(1)
    held = analysis.stage("detector")
    assert held is not None
    held.send_signal(signal.SIGSTOP)  # so that the film does not come to its end meanwhile
    deadline = time.monotonic() + 60
    killed: set[int] = set()
    while analysis.process.poll() is None and time.monotonic() < deadline:
        victim = analysis.stage("classifier") if len(killed) < 6 else None
        if victim is not None and victim.pid not in killed:
            killed.add(victim.pid)
            victim.kill()
        time.sleep(0.02)
    assert analysis.end() == 4
    assert analysis.result["status"] == "partial"
    assert analysis.result["message"].startswith("classifier cannot continue")
    folder = Path(analysis.result["folder"])
    rows = tables(folder)["observations.csv"].splitlines()[1:]
    seqs = sorted({int(row.split(",")[1]) for row in rows})
    assert seqs == list(range(analysis.result["frames_analysed"]))
    assert (folder / "classifier.log").exists()


def test_a_film_that_breaks_off_is_analyzed_as_far_as_it_goes(
    clip: Path, tmp_path: Path, analyze: Callable[..., Analysis]
) -> None:
    broken = tmp_path / "broken.mkv"
    remuxed(clip, broken)
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "out"
    analysis = analyze(broken, "--no-video", out=out)
    code = analysis.end()
    result = analysis.result
    assert 0 < result["frames_analysed"] == result["frames_read"] < FRAMES
    assert (code, result["status"]) == (ExitCode.INCOMPLETE, "broken")
    assert "ends early at" in result["message"]


def remuxed(source: Path, target: Path) -> None:
    import av

    with av.open(source) as film, av.open(target, "w") as copy:
        stream = copy.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(film.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)


def test_a_sample_takes_some_pictures_a_second(
    clip: Path, undisturbed: Path, analyze: Callable[..., Analysis]
) -> None:
    analysis = analyze(clip, "--no-video", "--sample", "5/s")
    assert analysis.end() == 0, analysis.stderr
    assert analysis.result["frames_analysed"] == FRAMES // 5
    rows = tables(Path(analysis.result["folder"]))["observations.csv"].splitlines()[1:]
    times = sorted({float(row.split(",")[2]) for row in rows})
    assert times == pytest.approx([0.2 * n for n in range(FRAMES // 5)])


def test_what_is_no_film_is_one_clear_line(
    tmp_path: Path, analyze: Callable[..., Analysis]
) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    analysis = analyze(tmp_path / "text.mp4")
    assert analysis.end() == 1
    assert "text.mp4" in analysis.result["message"]
    missing = analyze(tmp_path / "nothing.mp4")
    assert missing.end() == 1
    assert missing.stderr.startswith(f"error: {tmp_path}/nothing.mp4: no such file")
    assert "Traceback" not in analysis.stderr + missing.stderr
    assert os.listdir(tmp_path) == ["text.mp4"]  # noqa: PTH208


@pytest.mark.skipif(not CLIPS.exists(), reason="the clips of real people are not there")
def test_real_people_are_counted_and_followed(analyze: Callable[..., Analysis]) -> None:
    analysis = analyze(CLIPS, "--no-video")
    assert analysis.end() == 0, analysis.stderr
    for name, people in PEOPLE.items():
        rows = tables(analysis.out / name)["observations.csv"].splitlines()
        head = rows[0].split(",")
        cells = [dict(zip(head, row.split(","), strict=True)) for row in rows[1:]]
        faces = Counter(int(cell["seq"]) for cell in cells if cell["track"])
        frames = {int(cell["seq"]) for cell in cells}
        right = sum(faces[seq] == people for seq in frames)
        assert right >= 0.95 * len(frames)
        assert len({cell["track"] for cell in cells if cell["track"]}) <= people + 1
