"""`emostream bench analyze`, with programs whose speed is known instead of the real ones."""

import argparse
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.analyze import runs as bench_runs
from benchmarks.analyze.command import Commands, parser, run
from benchmarks.analyze.runs import Clip, Timing, steady
from emostream.services.cli import main
from emostream.services.cli.bench import command as bench
from emostream.shared.errors import ConfigError, EmostreamError

# Each says in `clock` how long it would have taken. A start takes 2 s of time and 1 s of processor.
FAKE = """
import json, pathlib, sys
here, kind, words = pathlib.Path(__file__).parent, sys.argv[1], sys.argv[2:]
with (here / "calls").open("a") as calls:
    print(kind, *words, file=calls)

def took(seconds):
    with (here / "clock").open("a") as clock:
        print(seconds, file=clock)

if kind == "clips":
    pathlib.Path(words[0]).mkdir(exist_ok=True)
    for seconds in words[2:]:
        frames = round(25 * float(seconds))
        path = f"{words[0]}/fake-{frames}.mp4"
        print(json.dumps({"path": path, "frames": frames, "people": 3, "shows": "three fakes"}))
elif kind == "original":
    took(9)
    print(json.dumps({"frames_per_second": 2.5, "faces": 2.5}))
else:
    stem = pathlib.Path(words[0]).stem
    frames = int(stem.split("-")[1])
    seconds = frames / (60 if "--no-video" in words else 30)
    took(2 + seconds)
    out = pathlib.Path(words[2], stem)
    out.mkdir()
    from emostream.services.cli.analysis.run_file import RunFile, StageUse
    from emostream.services.recorder.archive.writer import ArchiveWriter
    from emostream.shared.messages import Emotion, EmotionFace
    use = lambda ms: StageUse(frames, 2 + frames * ms / 1e3, 1 + frames * ms / 2e3)
    stages = {"capture": use(4), "detector": use(12.5), "classifier": use(5), "recorder": use(2)}
    record = RunFile("r", "fake", {}, {"name": "m"}, {}, seconds=0.9 * seconds, stages=stages)
    record.write(out)
    faces = tuple(EmotionFace(track, (0, 0, 1, 1), {}, {}, "calm", 0.5) for track in range(3))
    archive = ArchiveWriter(out / "emostream.db")
    for seq in range(frames):
        archive.add_emotion(Emotion(
            stream="fake", run="r", seq=seq, t=seq, pts=seq, marks={}, model="m", faces=faces,
            part=0, parts=1, degraded=False,
        ))
    archive.close()
"""


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Programs whose time the clock of the benchmark takes from what they say."""
    clock, script = tmp_path / "clock", tmp_path / "fake.py"
    clock.touch()
    script.write_text(FAKE)
    time = SimpleNamespace(perf_counter=lambda: sum(map(float, clock.read_text().split())))
    monkeypatch.setattr(bench_runs, "time", time)
    kinds = ("clips", "original", "analyze")
    return Commands(*((sys.executable, str(script), kind) for kind in kinds))


def options(folder: Path, *words: str) -> argparse.Namespace:
    return parser().parse_args(["--folder", str(folder / "kept"), *words])


def parsed(*words: str) -> argparse.Namespace:
    return main._parser(["bench"]).parse_args(["bench", *words])


def calls(folder: Path) -> list[str]:
    return [line.replace(f"{folder}/", "") for line in (folder / "calls").read_text().splitlines()]


def changed(commands: Commands, old: str, new: str) -> Commands:
    """Return the commands after a change of what they do."""
    script = Path(commands.analyze[1])
    assert old in FAKE
    script.write_text(FAKE.replace(old, new))
    return commands


def test_speed_is_the_slope_between_two_lengths() -> None:
    assert steady(Timing(100, 7.0), Timing(400, 13.0)) == pytest.approx(50)


@pytest.mark.parametrize("long", [Timing(400, 7.0), Timing(100, 9.0)])
def test_lengths_that_tell_nothing_are_refused(long: Timing) -> None:
    with pytest.raises(EmostreamError, match="lengths that differ more"):
        steady(Timing(100, 7.0), long)


def test_no_start_counts_and_ratios_are_those_of_one_turn(
    commands: Commands, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(options(tmp_path, "--runs", "2", "--video", "--json"), commands) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["clip"]["shows"] == "three fakes"
    assert told["ratios"]["plain"] == pytest.approx([24, 24])
    assert told["ratios"]["video"] == pytest.approx([12, 12])
    plain = told["turns"][1]["plain"]
    assert (plain["frames_per_second"], plain["faces"]) == (pytest.approx(60), 3)
    assert plain["stages"]["detector"] == pytest.approx({"cpu_ms": 6.25, "step_ms": 12.5})
    assert plain["after_ms"] == pytest.approx(1e3 / 60 / 10)
    assert plain["peak_mb"] > 0


def test_programs_run_by_turns_and_leave_only_the_clips(commands: Commands, tmp_path: Path) -> None:
    run(options(tmp_path, "--runs", "2", "--seconds", "40", "10", "--json"), commands)
    kept = tmp_path / "kept"
    told = calls(tmp_path)
    assert told[0] == "clips kept --seconds 10.0 40.0"
    turn = [words.split(" --out ")[0] for words in told[1:4]]
    assert turn == [
        "original kept/fake-1000.mp4 --frames 25 150 --json",
        "analyze kept/fake-250.mp4",
        "analyze kept/fake-1000.mp4",
    ]
    assert [words.split(" --out ")[0] for words in told[4:]] == turn
    assert all(words.endswith(" --no-video") for words in told[2:4])
    assert not list(kept.iterdir())


def test_the_original_takes_what_a_short_clip_has(commands: Commands, tmp_path: Path) -> None:
    run(options(tmp_path, "--runs", "1", "--seconds", "1", "4", "--json"), commands)
    assert calls(tmp_path)[1] == "original kept/fake-100.mp4 --frames 16 100 --json"


def test_tables_say_where_the_time_goes(
    commands: Commands,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    run(options(tmp_path, "--runs", "1"), commands)
    printed = capsys.readouterr().out
    rows = {words[0].strip(): words[1:] for words in map(cells, printed.splitlines()) if words}
    assert rows["original loop"][:2] == ["2.5 (2.5 to 2.5)", "2.50"]
    assert rows["analyze --no-video"][0] == "60.0 (60.0 to 60.0)"
    assert rows["analyze --no-video"][3:] == ["24.0 (24.0 to 24.0)", "24"]
    assert rows["detector"] == ["6.2", "12.5", "80"]
    assert rows["files at the end"] == ["-", "1.7", "-"]
    assert "slowest stage alone: detector, 80 frames/s; reached: 60.0, 75% of it" in printed
    assert "use 11.8 ms of CPU time per frame: 2 cores allow 170 frames/s, 35%" in printed
    assert "three fakes" in printed


def cells(line: str) -> list[str]:
    """Return the cells of a table's row; none for another line."""
    return [cell.strip() for cell in line.strip("│").split("│")] if line.startswith("│") else []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "took(2 +",
            "sys.exit('no frame could be read') #",
            "ended with 1: no frame could be read",
        ),
        ("range(frames)", "range(frames - 1)", r"--no-video: 249 of 250 frames are there"),
        ("stages=stages", "stages=0", r"fake-250/run\.json: not a folder of an analysis"),
        ("record.write(out)", "", r"fake-250/run\.json: not a folder of an analysis"),
        ('"emostream.db"', '"other.db"', r"no database .*fake-250/emostream\.db"),
        (
            '"recorder": use(2)',
            'f"recorder{frames}": use(2)',
            "recorder250.*recorder1000.* are its",
        ),
    ],
)
def test_an_analysis_that_is_wrong_is_no_figure(
    commands: Commands, tmp_path: Path, old: str, new: str, words: str
) -> None:
    with pytest.raises(EmostreamError, match=words):
        run(options(tmp_path, "--runs", "1"), changed(commands, old, new))
    assert not list((tmp_path / "kept").iterdir())


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmostreamError, match="/nowhere/python: cannot be started: No such file"):
        bench_runs.finish(["/nowhere/python"])


def test_one_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two different lengths"):
        run(options(tmp_path, "--seconds", "5", "5"))


def test_the_command_passes_its_words_on(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.main(["bench", "analyze", "--seconds", "5", "5"]) == 2
    assert "error: --seconds: give two different lengths" in capfd.readouterr().err


def test_without_the_checkout_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    assert main.main(["bench", "analyze", "--video"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: emostream bench analyze needs the checkout")


def test_bench_alone_is_bench_live() -> None:
    alone, live = parsed("--seconds", "3", "--json"), parsed("live", "--seconds", "3", "--json")
    mixed = parsed("--json", "live", "--seconds", "3")
    for name in bench.LIVE:
        assert getattr(alone, name) == getattr(live, name) == getattr(mixed, name)
    assert (alone.seconds, alone.runs, alone.json, alone.run) == (3, 5, True, live.run)


def test_options_of_live_before_analyze_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    given = parsed("--warm-up", "1", "analyze")
    with pytest.raises(SystemExit):
        given.run(given)
    assert "--warm-up before `analyze`: put its options after it" in capsys.readouterr().err


def test_an_analysis_goes_where_the_clips_are(commands: Commands, tmp_path: Path) -> None:
    clip = Clip(str(tmp_path / "fake-50.mp4"), 50, 3, "fakes")
    done = bench_runs.analyze(commands.analyze, clip, tmp_path, video=True)
    (call,) = calls(tmp_path)
    assert call.startswith("analyze fake-50.mp4 --out analysis-")
    assert not call.endswith("--no-video")
    assert (done.timing.frames, done.faces) == (50, 3)


def test_what_became_slower_than_a_file_is_said(
    commands: Commands,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    first, second = tmp_path / "analyze.json", tmp_path / "now.json"
    assert run(options(tmp_path, "--runs", "1", "--out", str(first)), commands) == 0
    assert (tmp_path / "analyze.png").is_file()
    told = json.loads(first.read_text())
    assert told["what"] == "emostream bench analyze"
    assert told["figures"]["analyze --no-video: speed"]["median"] == pytest.approx(60)
    slower = changed(commands, "(60 if", "(40 if")
    words = ("--runs", "1", "--compare", str(first), "--out", str(second))
    assert run(options(tmp_path, *words), slower) == 1
    assert "analyze --no-video: speed" in capsys.readouterr().out
