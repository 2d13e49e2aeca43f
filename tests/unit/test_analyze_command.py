"""`emostream analyze` around its processes: what is asked for, what is told, what is kept."""

import json
from pathlib import Path

import numpy as np
import pytest

from emostream.services.capture.pace import sampled
from emostream.services.capture.picture import Picture, Pictures
from emostream.services.cli import main as cli
from emostream.services.cli.analysis import recording_config
from emostream.services.cli.analysis.command import CONFIG
from emostream.services.cli.analysis.reporter import reporter
from emostream.services.cli.analysis.run_file import RunFile, StageUse
from emostream.services.cli.processes.config_file import write_config
from emostream.shared.config import Config, load
from emostream.shared.errors import ConfigError, RecordingError
from tests.unit.videos import Clip


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


@pytest.mark.parametrize(
    ("text", "rate"), [("5/s", 5), ("0.5/s", 0.5), (" 12 ", 12), (".2/s", 0.2)]
)
def test_a_sample_is_so_many_pictures_a_second(text: str, rate: float) -> None:
    assert recording_config.sample_rate(text) == rate


@pytest.mark.parametrize("text", ["0/s", "fast", "-1/s", "5/min", "", "1e9/s", "2000/s"])
def test_other_samples_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="for example 5/s"):
        recording_config.sample_rate(text)


def pictures(*times: float) -> Pictures:
    pixels = np.zeros((1, 1, 3), np.uint8)
    for time in times:
        yield Picture(pixels, round(time * 1e9))


@pytest.mark.parametrize(
    ("rate", "times", "taken"),
    [
        (0, [0, 0.1, 0.2], [0, 0.1, 0.2]),
        (5, [n / 25 for n in range(25)], [0, 0.2, 0.4, 0.6, 0.8]),
        (10, [n * 1001 / 30000 for n in range(12)], [0, 0.1001, 0.2002, 0.3003]),
        (1, [0, 0.4, 2.9, 3.0, 3.1], [0, 2.9, 3.0]),
        (50, [0, 0.04, 0.08], [0, 0.04, 0.08]),
    ],
)
def test_the_first_picture_of_each_interval_is_taken(
    rate: float, times: list[float], taken: list[float]
) -> None:
    found = [picture.pts / 1e9 for picture in sampled(pictures(*times), rate)]
    assert found == pytest.approx(taken)


def test_an_analysis_is_lossless_and_keeps_to_itself(tmp_path: Path) -> None:
    live = load(Path("configs/default.toml"), ["detector.score=0.7"])
    config = recording_config.for_recording(live, Path("/films/One Two.mp4"), tmp_path, "r7", 5.0)
    private = recording_config.with_sockets(config, tmp_path / "private")
    write_config(private, tmp_path / "config.toml")
    read = load(tmp_path / "config.toml")
    assert read == private
    assert (read.delivery, read.lossless.credit_from) == ("lossless", ("recorder",))
    assert read.detector.score == 0.7
    (source,) = read.capture.sources
    assert (source.name, source.url, source.sample) == ("one-two", "/films/One Two.mp4", 5.0)
    text = (tmp_path / "config.toml").read_text("utf-8")
    assert not {f"127.0.0.1:{port}" for port in range(5551, 5555)} & set(text.split('"'))
    stages = (read.capture, read.detector, read.classifier, read.recorder)
    assert {stage.metrics for stage in stages} == {"127.0.0.1:0"}


def test_a_record_can_be_read_back(tmp_path: Path) -> None:
    record = RunFile("r1", "film", {"sha256": "ab"}, {"name": "m"}, {"delivery": "lossless"})
    record.stages["capture"] = StageUse(3, 0.5, 0.25, 1)
    record.write(tmp_path)
    assert RunFile.read(tmp_path) == record
    broken = (
        *("{}", "[]", "no json", '{"stages": 3}', "[" * 100_000, '{"a":' * 100_000),
        (tmp_path / "run.json").read_text("utf-8").replace('"frames_read": 0', '"frames_read": ""'),
        (tmp_path / "run.json").read_text("utf-8").replace('"sha256": "ab"', '"sha256": ["ab"]'),
    )
    for text in broken:
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(RecordingError, match="not a folder of an analysis"):
            RunFile.read(tmp_path)


def test_json_lines_say_how_far_it_is_and_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with reporter(as_json=True) as shown:
        shown.start("film.mp4", "frames", 100)
        shown.update(7)
        shown.update(8)  # within the same second
        shown.end("film.mp4", "done", {"frames_analysed": 100})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"event": "progress", "name": "film.mp4", "work": "frames", "frames": 7, "of": 100},
        {"event": "end", "name": "film.mp4", "frames_analysed": 100},
    ]


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["{}/none.mp4"], 1, "error: {}/none.mp4: no such file or folder"),
        (["{}/a.mp4", "--sample", "often"], 2, "error: --sample often: write pictures per second"),
        (["{}/p.jpg", "--resume"], 2, "error: --resume: photos cannot be resumed"),
        (["{}/a.mp4", "--set", "detector.nonsense=1"], 2, f"error: {CONFIG}: detector: "),
        (["{}/film.mp4", "--set", "detector.weights=x.onnx"], 3, "error: no YuNet weights at x"),
        (["{0}/film.mp4", "--set", "detector.weights={0}/p.onnx"], 3, "error: {}/p.onnx is no"),
        (
            ["{0}/film.mp4", "--set", "security={{mode='required', folder='{0}/none'}}"],
            2,
            "error: analyze: the bus is encrypted: {}/none contains no keys of this host; run emos",
        ),
        (
            ["{}/film.mp4", "--prior-strength", "0.5", "--set", "classifier.model=alexnet-fer2013"],
            2,
            "error: prior_strength is 0.5 and",
        ),
        (
            ["{}/film.mp4", "--prior", "estimate", "--set", "classifier.prior=uniform"],
            2,
            "error: --prior and --set classifier.prior set the same value: use only one",
        ),
        (
            ["{}/film.mp4", "--prior-strength", "1", "--set", "classifier={{prior_strength=1}}"],
            2,
            "error: --prior-strength and --set classifier.prior_strength set the same value",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(
    words: list[str], code: int, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "p.jpg", "a.mp4", "p.onnx")
    Clip(range(3)).write(tmp_path / "film.mp4")
    arguments = [word.format(tmp_path) for word in words]
    assert cli.main(["analyze", *arguments, "--out", str(tmp_path / "out")]) == code
    assert capsys.readouterr().err.startswith(line.format(tmp_path))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("frames", "enter"), [(None, 3), (3, 3), (2, 1), (1, 1), (0, 1)])
def test_a_recording_too_short_for_a_track_to_enter_is_judged_frame_by_frame(
    frames: int | None, enter: int
) -> None:
    config = recording_config.for_few_frames(Config(), frames)
    assert config.classifier.enter_frames == enter
