"""The configuration: what is wrong is named by its path, and the files that ship are good."""

from pathlib import Path

import pytest

from emostream.services.cli.main import main
from emostream.shared.config import Config, load
from emostream.shared.errors import ConfigError
from emostream.shared.shipped_files import find_config

CONFIGS = Path(__file__).parents[2] / "configs"


SHIPPED = [*sorted(CONFIGS.glob("*.toml")), CONFIGS.parent / "docker" / "compose.toml"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_none_that_ships_keeps_video_unasked(path: Path) -> None:
    assert not load(path).recorder.video


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_each_file_that_ships_is_good(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detector", "--config", str(path), "--check-config"]) == 0
    assert "good" in capsys.readouterr().out


@pytest.mark.parametrize("name", [path.stem for path in sorted(CONFIGS.glob("*.toml"))])
def test_each_that_ships_is_found_by_its_name_from_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()  # a folder of that name is no configuration
    assert main(["detector", "--config", name, "--check-config"]) == 0
    assert f"{name}.toml: good" in capsys.readouterr().out
    assert find_config(name) == CONFIGS / f"{name}.toml"


def test_a_file_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("webcam").write_text("blur = true\n")
    assert find_config("webcam") == Path("webcam")


@pytest.mark.parametrize(
    "words",
    [
        ["capture", "--check-config"],
        ["doctor"],
        ["top", "--once"],
        ["bench"],
        ["analyze", "x.mp4"],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("name", ["webcan", "configs/none.toml", "models/original", ""])
def test_an_unknown_name_lists_the_names(
    words: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--config", name]) == 2
    # A stage's line begins with the time.
    error = capsys.readouterr().err
    assert error.endswith(
        f"error: --config {name}: no such file or shipped configuration "
        "(analyze, cameras, default, remote-gpu, webcam)\n"
    )
    assert error.count("\n") == 1


def test_without_a_file_the_defaults_are_used() -> None:
    assert load(None) == Config()


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("detector.colour=1", "detector: Object contains unknown field `colour`"),
        ("colour=1", "top level: Object contains unknown field `colour`"),
        ("detector.threads=many", "detector.threads"),
        (
            "detector.backend=dlib",
            "detector.backend: Invalid enum value 'dlib'; write one of auto",
        ),
        ("capture.sources=[{pace='slow'}]", "write one of real, fast"),
        ("capture.sources=[{name='A B'}]", "capture.sources[0].name"),
        ("capture.sources=[]", "capture.sources"),
        ("capture.sources=[{name='a'}, {name='a'}]", "two sources are named a"),
        ("capture.bind=5551", "capture.bind"),
        ("classifier.shard=1", "classifier.shard"),
        ("detector", "key=value"),
        ("detector.backend.x=1", "detector"),
    ],
)
def test_what_is_wrong_is_named(setting: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, [setting])
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("detector.backend=haar", "haar"),
        ('detector.backend="haar"', "haar"),
        ("detector.backend = yunet", "yunet"),
    ],
)
def test_a_setting_may_be_a_bare_word(setting: str, value: str) -> None:
    assert load(None, [setting]).detector.backend == value


@pytest.mark.parametrize(
    ("content", "named"),
    [("detector = [", "is not valid TOML"), ("[detector]\nthreads = 0\n", "detector.threads")],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str, named: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=named) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_wrong_configuration_ends_with_code_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["capture", "--config", str(tmp_path / "missing.toml")]) == 2
    error = capsys.readouterr().err
    assert "missing.toml" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ([], "lossless.credit_from"),
        (['lossless.credit_from=["recorder"]'], "capture.sources: demo cannot wait"),
        (
            [
                'lossless.credit_from=["recorder"]',
                'capture.sources=[{url="a.mp4", pace="fast", loop=true}]',
            ],
            "capture.sources: demo cannot wait",
        ),
        (['lossless.credit_from=["recorder"]', "recorder.video=true"], "recorder.video"),
        (['lossless.credit_from=["display"]'], "write one of recorder"),
    ],
)
def test_lossless_delivery_needs_somebody_who_confirms_and_sources_that_wait(
    settings: list[str], path: str
) -> None:
    with pytest.raises(ConfigError, match=path):
        load(None, ["delivery=lossless", *settings])


def test_the_configuration_for_recordings_is_lossless() -> None:
    config = load(Path("configs/analyze.toml"))
    assert (config.delivery, config.lossless.credit_from) == ("lossless", ("recorder",))


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        (["delivery=lossless", 'lossless.credit_from=["recorder"]'], "emostream batch"),
        (["classifier.ray_min_actors=5"], "ray_min_actors: is more than classifier.ray_max_actors"),
        (["classifier.ray_scale_up_ms=200"], "ray_scale_up_ms: must be below live.max_age_ms"),
        (["classifier.device=gpu"], "ray_gpus: an actor needs a GPU"),
    ],
)
def test_actors_that_could_not_work_are_refused(settings: list[str], path: str) -> None:
    source = 'capture.sources=[{url="a.mp4", pace="fast"}]'
    with pytest.raises(ConfigError, match=path):
        load(None, ["classifier.engine=ray", source, *settings])


def test_the_engine_of_the_model_is_that_of_the_actors_with_ray() -> None:
    assert load(None, ["classifier.engine=keras"]).classifier.model_engine == "keras"
    on_ray = load(None, ["classifier.engine=ray", "classifier.ray_engine=litert"])
    assert on_ray.classifier.model_engine == "litert"
