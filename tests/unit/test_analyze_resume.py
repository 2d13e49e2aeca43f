"""Continuing with analyses: what did not end, and the command that Ctrl-C prints."""

import argparse
import csv
import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any, ClassVar

import pytest

from emostream.services.cli import main as cli
from emostream.services.cli.analysis import command
from emostream.services.cli.analysis.input_facts import file_identity
from emostream.services.cli.analysis.resume import (
    Analysis,
    analyses_in,
    claimed,
    resume_command,
)
from emostream.services.cli.analysis.run_file import RunFile, Status
from emostream.services.cli.analysis.summary import InputResult, write_summary
from emostream.services.cli.analysis.video_job import AnalyzeOptions
from emostream.services.cli.processes.config_file import as_table
from emostream.shared.config import load
from emostream.shared.errors import ConfigError, ExitCode
from tests.unit.videos import Clip


def options(*words: str) -> argparse.Namespace:
    """Return the parsed words of `emostream analyze`, with the options for the log."""
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    parsed = parser.parse_args(words)
    parsed.log_level, parsed.log_format = "info", "text"
    return parsed


def begun(folder: Path, status: Status, *files: str, **fields: Any) -> None:
    """Write the run file of an analysis that was begun."""
    folder.mkdir(parents=True)
    film = {"path": str(folder.parent / f"{folder.name}.mp4"), "sha256": ""}
    config = as_table(load(command.CONFIG))
    record = RunFile("r", "film", film, {}, config, status=status, files=list(files), **fields)
    record.write(folder)


@pytest.mark.parametrize(
    "words",
    [
        ["my film.mp4", "--out", "o u t"],
        ["a", "day*/*.mov", "--sample", "5/s", "--config", "webcam", "--set", "x.y='a b'"],
        ["$HOME;rm", "--no-video", "--json"],
        ["--recursive", "--", "-clip.mp4", "b.mp4"],
        ["a", "--prior", "estimate", "--prior-strength", "0.5"],
        ["a", "--prior", "neutral=0.5,anger=0.2"],
    ],
)
def test_the_command_asks_for_the_same(words: list[str]) -> None:
    asked = options(*words)
    line = resume_command(asked, resume=True, with_inputs=True)
    called = shlex.split(line)
    again = options(*called[called.index("analyze") + 1 :])
    assert again.resume
    again.resume = False
    assert again == asked


def test_without_inputs_the_folder_says_all_but_what_no_run_file_holds() -> None:
    asked = options("f.mp4", "--out", "o", "--no-video", "--set", "a=1", "--sample", "1/s")
    line = resume_command(asked, resume=True, with_inputs=False)
    assert line.endswith(" analyze --resume --out o --no-video")


def test_what_did_not_end_is_found(tmp_path: Path) -> None:
    begun(tmp_path / "whole", "complete", "run.json")
    begun(tmp_path / "broken", "broken", "run.json")
    begun(tmp_path / "stopped2", "interrupted")
    begun(tmp_path / "stopped10", "running")
    begun(tmp_path / "partial", "partial", "run.json")
    begun(tmp_path / "tables", "complete")  # interrupted when only the files were missing
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "run.json").write_text('{"photos": []}')
    unfinished = [each.folder.name for each in analyses_in(tmp_path) if not each.is_whole]
    assert unfinished == ["partial", "stopped2", "stopped10", "tables"]


def test_an_analysis_that_is_at_work_is_left_alone(tmp_path: Path) -> None:
    with claimed(tmp_path):
        with pytest.raises(ConfigError, match="is working on it"):
            with claimed(tmp_path):
                pytest.fail("two at once")
    with claimed(tmp_path):
        pass


class Interrupted:
    """A job that begins its first video and then is interrupted."""

    def __init__(self, *arguments: Any) -> None:
        self.has_begun = False

    def run(self) -> ExitCode:
        """Be interrupted."""
        self.has_begun = True
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("names", "inputs"), [(["a.mp4"], ""), (["a.mp4", "b.mp4"], " {0}/a.mp4 {0}/b.mp4")]
)
def test_an_interrupt_says_which_command_goes_on(
    names: list[str],
    inputs: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "VideoJob", Interrupted)
    words = [str(tmp_path / name) for name in names]
    for word in words:
        Path(word).write_bytes(b"x")
    code = cli.main(["analyze", *words, "--out", str(tmp_path / "out")])
    assert code == ExitCode.INTERRUPTED
    said = capsys.readouterr().err
    assert said.startswith("continue with: ")
    assert said.endswith(f" analyze --resume --out {tmp_path}/out{inputs.format(tmp_path)}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a VIDEO"),
        (["--out", "x"], "name a VIDEO"),
        (["--resume", "--out", "no-such-folder"], "no folder no-such-folder"),
        (["--resume", "--set", "a=1"], "from the run files"),
        (["--resume", "--sample", "5/s"], "from the run files"),
        (["--resume", "--prior", "estimate"], "from the run files"),
    ],
)
def test_what_to_analyze_must_be_said(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["analyze", *words]) == ExitCode.USAGE
    assert said in capsys.readouterr().err


def test_a_configuration_that_is_none_any_more_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(tmp_path / "old", "interrupted")
    analysis = Analysis(tmp_path / "old", RunFile.read(tmp_path / "old"))
    analysis.record.config["detector"]["gone"] = 1
    analysis.record.write(tmp_path / "old")
    assert cli.main(["analyze", "--resume", "--out", str(tmp_path)]) == ExitCode.FAILURE
    assert "started with a configuration that is no longer valid" in capsys.readouterr().out


def listed(out: Path, *results: InputResult, name: str = "summary") -> Path:
    """Write a summary."""
    out.mkdir(parents=True, exist_ok=True)
    write_summary(out / f"{name}.json", results)
    return out / f"{name}.json"


def rows(path: Path) -> list[tuple[str, str]]:
    """Return the status and folder of each row of a summary, which the table has too."""
    found = [
        (row["status"], row["folder"]) for row in json.loads(path.read_text("utf-8"))["inputs"]
    ]
    with path.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        assert found == [(row["status"], row["folder"]) for row in csv.DictReader(file)]
    return found


class Job:
    """Continues with an analysis and finds that it is whole; `options` are those of all."""

    options: ClassVar[list[AnalyzeOptions]] = []

    def __init__(self, *given: Any, resumed: Analysis) -> None:
        self._reporter, self._analysis = given[-1], resumed
        self.options.append(given[-2])

    def run(self) -> ExitCode:
        """Report the end."""
        record = dataclasses.replace(self._analysis.record, status="complete", message="")
        facts = {"folder": str(self._analysis.folder), **dataclasses.asdict(record)}
        self._reporter.end(record.stream, "whole", facts)
        return ExitCode.OK


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> type[Job]:
    monkeypatch.setattr(command, "VideoJob", Job)
    monkeypatch.setattr(Job, "options", [])
    return Job


def test_the_summary_is_brought_up_to_date(tmp_path: Path, job: type[Job]) -> None:
    begun(tmp_path / "a", "interrupted")
    begun(tmp_path / "b", "running")
    begun(tmp_path / "c", "complete", "run.json")
    first = listed(
        tmp_path,
        InputResult(str(tmp_path / "a.mp4"), "video", "interrupted", "a"),
        InputResult(str(tmp_path / "b.mp4"), "video"),
        InputResult(str(tmp_path / "c.mp4"), "video"),
        InputResult(str(tmp_path / "d.mp4"), "video"),
    )
    other = listed(
        tmp_path,
        InputResult(str(tmp_path / "a.mp4"), "video", "complete", "a-2"),
        InputResult(str(tmp_path / "b.mp4"), "video"),
        name="summary-2",
    )
    (tmp_path / "summary-3.json").write_text("{}")
    assert cli.main(["analyze", "--resume", "--out", str(tmp_path)]) == ExitCode.OK
    whole = [("complete", name) for name in "abc"]
    assert rows(first) == [*whole, ("not analyzed", "")]
    assert rows(other) == [("complete", "a-2"), ("not analyzed", "")]
    count = json.loads(first.read_text("utf-8"))["count"]
    assert count == {"complete": 3, "not analyzed": 1}


def test_annotated_video_is_made_where_it_was_asked_for(tmp_path: Path, job: type[Job]) -> None:
    begun(tmp_path / "a", "interrupted")
    begun(tmp_path / "b", "interrupted", video=False)
    assert cli.main(["analyze", "--resume", "--out", str(tmp_path)]) == ExitCode.OK
    assert [options.video for options in job.options] == [True, False]
    assert cli.main(["analyze", "--resume", "--no-video", "--out", str(tmp_path)]) == ExitCode.OK
    assert [options.video for options in job.options[2:]] == [False, False]


def test_states_of_another_version_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = Clip([50] * 5).write(tmp_path / "film.mp4")
    begun(tmp_path / "out" / "film", "interrupted")
    record = RunFile.read(tmp_path / "out" / "film")
    record.input = {"path": str(film), **file_identity(film)}
    record.write(tmp_path / "out" / "film")
    assert cli.main(["analyze", "--resume", "--out", str(tmp_path / "out")]) == ExitCode.FAILURE
    said = capsys.readouterr().out
    assert f"another version of emostream started {tmp_path}/out/film" in said
    assert "without --resume" in said
