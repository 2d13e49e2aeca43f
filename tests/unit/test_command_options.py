"""The options of every command: no two quarrel about a default, and bad numbers are refused."""

import argparse
from collections import defaultdict
from collections.abc import Iterator

import pytest

from emostream.services.cli.commands import COMMANDS
from emostream.services.cli.main import _parser, main
from emostream.services.cli.processes.stages import ALL_STAGES
from emostream.shared.errors import ExitCode


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


def command_parsers(name: str) -> Iterator[argparse.ArgumentParser]:
    for parser in parsers(_parser([name])):
        if parser.prog.startswith(f"emostream {name}"):
            yield parser


@pytest.mark.parametrize("name", [*ALL_STAGES, *COMMANDS])
def test_options_that_share_a_destination_have_the_same_default(name: str) -> None:
    for parser in command_parsers(name):
        defaults = defaultdict(list)
        for action in parser._actions:
            if action.default != argparse.SUPPRESS:
                defaults[action.dest].append(action.default)
        shared = {dest: values for dest, values in defaults.items() if len(values) > 1}
        for dest, values in shared.items():
            assert all(value == values[0] for value in values), (parser.prog, dest, values)


@pytest.mark.parametrize("name", [*ALL_STAGES, *COMMANDS])
def test_every_default_is_what_its_option_would_give(name: str) -> None:
    for parser in command_parsers(name):
        for action in parser._actions:
            unset = action.default in (None, argparse.SUPPRESS) or isinstance(action.default, str)
            if unset or action.nargs is not None or not callable(action.type):
                continue
            if isinstance(action, argparse._StoreAction) and not isinstance(action.default, tuple):
                given = action.type(str(action.default))
                assert (type(given), given) == (type(action.default), action.default), action


@pytest.mark.parametrize(
    "words",
    [
        ["analyze", "x.mp4", "--prior-strength", "2"],
        ["evaluate", "--min-quality", "x"],
        ["init", "--camera-host", "a/b"],
        ["replay", "x.db", "--speed", "0"],
        ["replay", "x.db", "--speed", "nan"],
        ["replay", "x.db", "--speed", "inf"],
        ["replay", "x.db", "--wait", "-1"],
        ["replay", "x.db", "--fast", "--speed", "2"],
        ["subscribe", "--timeout", "inf"],
        ["subscribe", "--count", "0"],
        ["bench", "--warm-up", "-1"],
        ["bench", "--seconds", "nan"],
        ["train", "--epochs", "0"],
        ["train", "--rate", "inf"],
        ["train", "--threads", "-2"],
        ["capture", "--instance", "-1"],
    ],
)
def test_a_number_out_of_range_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == ExitCode.USAGE
    said = capsys.readouterr().err
    assert said.startswith("error: argument ")
    assert said.count("\n") == 1
    assert f" {words[-2]}: " in said
    assert "; see emostream " in said
    # argparse's own words name a function of the code.
    assert "Traceback" not in said
    assert "invalid" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["analize", "x.mp4"], "error: there is no command analize; did you mean analyze?\n"),
        (["frobnicate"], "error: there is no command frobnicate: `emostream --help` lists them\n"),
    ],
)
def test_an_unknown_command_is_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == ExitCode.USAGE
    assert capsys.readouterr().err == said


def test_without_a_command_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == ExitCode.USAGE
    listed = capsys.readouterr().err
    assert all(name in listed for name in [*ALL_STAGES, *COMMANDS])
