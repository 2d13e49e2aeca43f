"""Without an optional group, each command says in one line which one to install."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emostream.models.engines import ENGINES
from emostream.services.cli.commands import COMMANDS
from emostream.services.cli.processes.stages import STAGES
from emostream.shared import optional_groups
from emostream.shared.errors import MissingPackageError
from emostream.shared.optional_groups import (
    naming_the_group,
    package_of,
    packages_of,
    require,
)
from tests.hidden_packages import (
    BRINGING,
    EVERYTHING,
    GROUPS,
    hidden_modules,
    hidden_without,
    own_packages,
    requirements_of,
    run_hidden,
)

ROOT = Path(__file__).parents[2]
# A stage's line begins with the time.
ONE_LINE = re.compile(
    r'(?:[\d-]+T\S+ )?error: (.+) needs the optional group "([\w-]+)", for [\w-]+: pip install .+'
)
ANY_PORTS = "".join(
    f'[{stage}]\nbind = "tcp://127.0.0.1:*"\nmetrics = "127.0.0.1:0"\n' for stage in STAGES
)


def test_each_command_and_engine_names_a_group_that_pyproject_has() -> None:
    assert {command.group for command in COMMANDS.values()} - {""} <= GROUPS.keys()
    assert STAGES.keys() <= GROUPS.keys()
    for info in ENGINES.values():
        assert set(map(package_of, info.packages)) <= packages_of(info.group)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_brings_what_pyproject_says(group: str) -> None:
    included = [one for one in requirements_of(group) if one.name == "emostream"]
    names = [name for one in included for name in one.extras]
    wanted = own_packages(group).union(*map(packages_of, names))
    assert packages_of(group) == wanted, "pyproject.toml is newer than the install: make install"


def test_each_import_goes_by_the_name_of_its_package() -> None:
    own = set(sys.stdlib_module_names) | {"emostream"}
    known = EVERYTHING | packages_of("")
    folders = ("emostream", "services", "shared", "models")
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            tops = {name.partition(".")[0] for name in names} - own
            assert {package_of(name) for name in tops} - {"cv2", "zmq"} <= known, path


HELP = [["--help"], *([name, "--help"] for name in [*STAGES, *COMMANDS])]


@pytest.mark.parametrize(
    "group", [*(pytest.param(name, marks=pytest.mark.evidence) for name in BRINGING), "all"]
)
def test_without_a_group_every_help_comes_or_names_it(group: str, tmp_path: Path) -> None:
    hidden = hidden_without(group)
    for line, named in help_or_group(hidden, tmp_path):
        assert not named or named in GROUPS, line


@pytest.mark.evidence
@pytest.mark.parametrize("group", GROUPS)
def test_with_one_group_alone_every_help_comes_or_names_another(group: str, tmp_path: Path) -> None:
    hidden = hidden_modules(packages_of(group))
    for line, named in help_or_group(hidden, tmp_path):
        # What it brings is not what is missing, and its own commands have all that they need.
        assert not named or packages_of(named) - packages_of(group), line
        command = COMMANDS.get(line.partition(" ")[0])
        assert not named or (command and command.group != group), line


def help_or_group(hidden: set[str], folder: Path) -> Iterator[tuple[str, str]]:
    """Ask each command for help; yield the line and the group that it names, "" with the help."""
    results = list(run_hidden(hidden, HELP, folder))
    assert len(results) == len(HELP)
    assert results[0][1:] == (0, "")
    for line, code, said in results:
        if code == 0:
            assert said == "", line
            yield line, ""
            continue
        match = ONE_LINE.fullmatch(said.rstrip("\n"))
        assert match, said
        assert (code, match[1]) == (2, f"emostream {line.partition(' ')[0]}")
        yield line, match[2]


CALLS = {
    "capture": {"capture": "capture", "recorder": "recorder", "replay x.db": "recorder"},
    "detector": {"detector --set detector.backend=yunet": "detector"},
    "blazeface": {
        "detector --set detector.backend=blazeface": "blazeface",
        "classifier --set classifier.engine=litert": "classifier",
    },
    "onnxruntime": {"classifier --set classifier.model=x.onnx": "onnxruntime"},
    "keras": {"classifier --set classifier.engine=keras": "keras", "train": "train"},
    "export": {"models export alexnet-fer --engine onnxruntime --out x.onnx": "export"},
    "display": {"display": "display", "analyze x.mp4": "analyze"},
    "analyze": {"analyze x.mp4": "analyze", "export": "analyze", "bench": "bench"},
    "evaluate": {"evaluate": "evaluate"},
    "ray": {
        "batch x.mp4 --out y": "ray",
        "classifier --set classifier.engine=ray": "ray",
        "classifier --check-config --set classifier.engine=ray": "ray",
    },
    "all": {
        "analyze x.mp4": "analyze",
        "bench": "bench",
        "models list": "",
        "models verify": "",
        "models info alexnet-fer": "classifier",
        "models export alexnet-fer --engine litert": "keras",
        "config --explain": "",
        "init": "",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("group", CALLS)
def test_every_call_names_the_group(group: str, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").touch()
    (tmp_path / "ports.toml").write_text(ANY_PORTS)
    lines = [
        [*line.split(), *(["--config", "ports.toml"] if line.split()[0] in STAGES else [])]
        for line in CALLS[group]
    ]
    results = list(run_hidden(hidden_without(group), lines, tmp_path))
    for named, (_, code, said) in zip(CALLS[group].values(), results, strict=True):
        if not named:
            assert (code, said) == (0, "")
            continue
        # Progress may come before.
        match = ONE_LINE.fullmatch(said.rstrip("\n").splitlines()[-1])
        assert match, said
        assert (code, match[2]) == (2, named)


def test_the_library_says_which_group_too(tmp_path: Path) -> None:
    code = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))
import numpy as np
from emostream import Recognizer, load, recognize
for call in (load, Recognizer, lambda: recognize(np.zeros((9, 9), np.uint8), "gray")):
    try:
        call()
    except ImportError as error:
        print(error)
"""
    modules = ",".join(hidden_without("all"))
    done = subprocess.run(
        [sys.executable, "-c", code, modules],
        capture_output=True, text=True, cwd=tmp_path, check=True,
    )  # fmt: skip
    said = done.stdout.splitlines()
    assert [re.findall(r'"(\w+)"', line) for line in said] == [["classifier"], *[["detector"]] * 2]


@pytest.mark.parametrize(
    "statement",
    ["import no_such_module", "import av.no_such_module", "from av import no_such_name"],
)
def test_a_bug_is_not_disguised(statement: str) -> None:
    with pytest.raises(ImportError) as caught, naming_the_group("it", "capture"):
        exec(statement)
    assert not isinstance(caught.value, MissingPackageError)


def test_a_package_beyond_the_group_is_named_with_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional_groups, "is_installed", lambda module: False)
    with pytest.raises(MissingPackageError, match='it needs the optional group "train"'):
        with naming_the_group("it", "capture"):
            raise ModuleNotFoundError(name="scipy.special")
    with pytest.raises(MissingPackageError, match="for sse-starlette"):
        require("it", "display", "sse_starlette")
