"""The documentation names every setting, metric, topic and message field, and no others."""

import ast
import inspect
import itertools
import re
import signal
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from emostream.services.capture.metrics import SourceCollector
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.ray_gateway import PoolMetrics
from emostream.services.detector.metrics import DetectorMetrics
from emostream.services.display.metrics import DisplayMetrics
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.services.relay.metrics import RelayMetrics
from emostream.shared import config, messages
from emostream.shared.errors import ExitCode
from emostream.shared.metrics import StageMetrics

DOCS = Path(__file__).parents[2] / "docs"


def rows(text: str) -> list[str]:
    """Return the first cell's name of each table row."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def section(page: str, title: str) -> str:
    """Return the part of the page below a heading, up to the next one."""
    text = (DOCS / page).read_text("utf-8")
    start = text.index(f"## {title}\n")
    end = text.find("\n## ", start)
    return text[start : end if end > 0 else None]


def test_the_wire_format_names_every_common_field() -> None:
    fields = {field.name for field in msgspec.structs.fields(messages.Header)}
    assert set(rows(section("wire-format.md", "Every header"))) == fields | {"v"}


@pytest.mark.parametrize("name", messages.KINDS)
def test_the_wire_format_names_every_field_of_a_topic(name: str) -> None:
    common = {field.name for field in msgspec.structs.fields(messages.Header)}
    own = {field.name for field in msgspec.structs.fields(messages.KINDS[name])} - common
    assert set(rows(section("wire-format.md", f"`{name}/`"))) == own


@pytest.mark.parametrize(
    ("page_section", "struct"),
    [("`faces/`", messages.Face), ("`emotion/`", messages.EmotionFace)],
)
def test_the_wire_format_names_every_field_of_a_face(
    page_section: str, struct: type[msgspec.Struct]
) -> None:
    text = section("wire-format.md", page_section)
    for field in msgspec.structs.fields(struct):
        assert f"`{field.name}`" in text


def settings(struct: type[msgspec.Struct], prefix: str = "") -> set[str]:
    """Return the dotted paths of all keys."""
    paths: set[str] = set()
    for field in msgspec.structs.fields(struct):
        path = f"{prefix}{field.name}"
        if isinstance(field.type, type) and issubclass(field.type, config.Section):
            paths |= settings(field.type, f"{path}.")
        elif field.name == "sources":
            paths |= settings(config.Source, "sources.")
        else:
            paths.add(path)
    return paths


def test_every_setting_stands_in_the_documentation() -> None:
    text = (DOCS / "configuration.md").read_text("utf-8")
    assert set(rows(text)) == settings(config.Config)


def test_every_metric_stands_in_the_documentation_and_no_other() -> None:
    registry = CollectorRegistry()
    StageMetrics("stage", registry)
    ClassifierMetrics(registry)
    PoolMetrics(registry)
    DetectorMetrics(registry, Counter())
    RecorderMetrics(registry)
    DisplayMetrics(registry)
    RelayMetrics(registry, ())
    registry.register(SourceCollector(dict))
    suffix = {"counter": "_total", "info": "_info"}
    names = {
        family.name + suffix.get(family.type, "")
        for family in registry.collect()
        if family.name.startswith("emostream_")
    }
    assert set(rows((DOCS / "metrics.md").read_text("utf-8"))) == names


def test_every_file_that_the_architecture_names_is_there() -> None:
    text = (DOCS / "architecture.md").read_text("utf-8")
    names = re.findall(r"`([\w.]+/[\w./*<>]*)`", text)
    assert len(names) > 40
    for name in names:
        # Topics end in a slash as folders do, but have no folder.
        if name.rstrip("/") not in messages.KINDS and "<" not in name:
            assert list(DOCS.parent.glob(name.rstrip("/"))), name


def meanings() -> dict[int, tuple[str, str]]:
    """Return the name of each exit code with the docstring below it."""
    (enum,) = ast.parse(inspect.getsource(ExitCode)).body
    assert isinstance(enum, ast.ClassDef)
    found = {}
    for member, docstring in itertools.pairwise(enum.body):
        if isinstance(member, ast.Assign) and isinstance(docstring, ast.Expr):
            (target,) = member.targets
            assert isinstance(target, ast.Name)
            found[int(ExitCode[target.id])] = (target.id, ast.literal_eval(docstring.value))
    return found


def test_every_exit_code_stands_in_the_documentation_with_its_meaning() -> None:
    row = r"^\| `(\d+)` \| `(\w+)` \| (.+?) \|$"
    table = re.findall(row, section("operations.md", "Exit codes"), re.MULTILINE)
    assert {int(code): (name, meaning) for code, name, meaning in table} == meanings()
    assert meanings().keys() == set(ExitCode)
    # No code of ours: what a shell says of SIGTERM.
    assert f"| `{128 + signal.SIGTERM}` |" in section("operations.md", "Exit codes")
