"""`--check-config` refuses what the stage's start would refuse, with the same exit code."""

from pathlib import Path

import pytest

from emostream.services.cli.main import main
from emostream.shared.errors import ExitCode


@pytest.mark.parametrize(
    ("stage", "setting", "code", "said"),
    [
        ("capture", "capture.bind=tcp://0.0.0.0:5999", ExitCode.USAGE, "keys init"),
        ("display", "connect.emotion=['tcp://gpu-box:5553']", ExitCode.USAGE, "keys init"),
        ("display", "display.page=0.0.0.0:8999", ExitCode.USAGE, 'mode = "disabled"'),
        ("display", "display.token_file={}/none", ExitCode.USAGE, "display.token_file"),
        ("detector", "detector.weights={}/none.tflite", ExitCode.UNAVAILABLE, "none.tflite"),
        ("classifier", "classifier.model={}/none.onnx", ExitCode.UNAVAILABLE, "none.onnx"),
        ("classifier", "classifier.model=no-such", ExitCode.UNAVAILABLE, "no model no-such"),
        ("recorder", "recorder.folder={}/file/below", ExitCode.FAILURE, "recorder.folder"),
        ("relay", "relay.connect=['tcp://gpu-box:5553']", ExitCode.USAGE, "keys init"),
        ("relay", "relay.bind=tcp://0.0.0.0:5999", ExitCode.USAGE, "keys init"),
    ],
)
def test_what_the_stage_needs_is_looked_for(
    stage: str,
    setting: str,
    code: ExitCode,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    no_keys = ["--set", f"security.folder={tmp_path}/none"]
    words = [stage, "--check-config", *no_keys, "--set", setting.format(tmp_path)]
    assert main(words) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_an_instance_that_has_no_port_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capture", "--check-config", "--instance", "700"]) == ExitCode.USAGE
    assert "is not a valid port" in capsys.readouterr().err


def test_what_only_another_stage_needs_is_not_looked_for() -> None:
    words = ["recorder", "--check-config", "--set", "classifier.model=no-such"]
    assert main(words) == ExitCode.OK


def test_a_relay_is_refused_where_nothing_may_get_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [
        "delivery=lossless",
        "lossless.credit_from=['recorder']",
        f"capture.sources=[{{url='{tmp_path}', pace='fast'}}]",
    ]
    words = [word for setting in settings for word in ("--set", setting)]
    assert main(["relay", "--check-config", *words]) == ExitCode.USAGE
    assert "a relay may lose messages" in capsys.readouterr().err
    assert main(["recorder", "--check-config", *words]) == ExitCode.OK


@pytest.mark.parametrize(("pace", "code"), [("real", ExitCode.OK), ("fast", ExitCode.USAGE)])
def test_capture_needs_a_classifiers_key_where_it_listens_to_it(
    pace: str, code: ExitCode, tmp_path: Path
) -> None:
    words = ["capture", "--check-config", "--set", f"security.folder={tmp_path}/none"]
    words += ["--set", "connect.emotion=['tcp://gpu-box:5553']"]
    source = f"[{{name='demo', url='demo', pace='{pace}'}}]"
    assert main([*words, "--set", f"capture.sources={source}"]) == code
