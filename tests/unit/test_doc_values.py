"""The values and figures in the documentation are those of the code and the shipped files."""

import ast
import hashlib
import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from emostream.models import spec, weights
from emostream.services.cli.bench.result_file import ResultFile
from emostream.services.cli.doctor.machine import CLASSIFIER_MB, STAGE_MB
from emostream.services.cli.init.settings_page import key_defaults
from emostream.services.cli.processes.stages import STAGES
from emostream.services.detector.backends import DEFAULTS
from emostream.services.recognition.recognizer import Recognizer
from emostream.shared.config import Classifier, Config
from tests.config_defaults import defaults

ROOT = Path(__file__).parents[2]
IN_ORDER = ("capture", "detector", "classifier", "recorder", "display")
KINDS_OF_SERVICE = ("simulated", "no service time")
KINDS = ("answered", "dropped", "age, p50", "age, p99", "fairness")
CARD = (ROOT / "models" / "CARD.md").read_text("utf-8")
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text("utf-8")
SHIPPED = {path.stem: spec.load_spec(path) for path in sorted(weights.FOLDER.glob("*.toml"))}


def row_of(page: str, start: str) -> list[str]:
    """Return the cells of the page's one table row that begins so, without the first."""
    (row,) = re.findall(rf"^\| {re.escape(start)} \| (.+) \|$", page, re.MULTILINE)
    return [cell.strip() for cell in row.split("|")]


@pytest.mark.parametrize(("key", "default"), list(defaults(Config())))
def test_the_default_of_a_setting_is_the_one_in_the_documentation(key: str, default: Any) -> None:
    told = key_defaults()[key]
    if default is None:
        assert told in ("the backend's", "the model's")
    else:
        assert tomllib.loads(f"value = {told}")["value"] == msgspec.json.decode(
            msgspec.json.encode(default)
        )


def test_the_defaults_of_the_detectors_are_those_in_the_documentation() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    yunet, haar = DEFAULTS["yunet"], DEFAULTS["haar"]
    score, tiles, looks = (
        row_of(page, f"`detector.{key}`")[1] for key in ("score", "tiles", "extra_looks")
    )
    assert f"{yunet.score} (haar: {haar.score:g}). Photos with yunet: {yunet.still_score}" in score
    blazeface = DEFAULTS["blazeface"]
    assert f"{yunet.tiles} (blazeface: {blazeface.tiles}, haar: {haar.tiles})" in tiles
    every = row_of(page, "`detector.tile_every`")[1]
    assert f"(yunet: {yunet.tile_every}, others: {blazeface.tile_every})" in every
    whole = row_of(page, "`detector.search_every`")[1]
    assert f"(yunet: {yunet.search_every}, others: {blazeface.search_every})" in whole
    live = f"{yunet.extra_looks} for recordings, {yunet.live_looks} live"
    assert f"yunet: {live}; blazeface: {blazeface.live_looks:g}; haar: 0" in looks


def reasons() -> set[str]:
    """Return the reasons with which the code refuses messages."""
    found = set()
    for path in (path for name in ("services", "shared") for path in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "MessageError":
                found.add(ast.literal_eval(node.args[0]))
    return found


def test_every_reason_for_a_bad_message_stands_in_the_documentation() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    told = row_of(page, "`emostream_bad_messages_total`")[2]
    settings = {"live.max_streams"}
    assert set(re.findall(r"`([^`]+)`", told)) - settings == reasons()


def test_the_card_has_the_sha256_of_every_shipped_file() -> None:
    files = [*weights.FOLDER.glob("*.tflite"), *weights.FOLDER.glob("*.keras")]
    assert len(files) == 4
    for file in files:
        assert f"`{hashlib.sha256(file.read_bytes()).hexdigest()}`" in CARD, file.name
        assert f"{file.stat().st_size / 1e6:.1f} MB" in CARD, file.name


def test_the_card_has_the_shares_of_the_labels() -> None:
    shipped = SHIPPED["alexnet-fer"]
    for name, title in (("natural", "by winning vote"), ("trained", "as drawn")):
        shares = getattr(shipped, name)
        cells = [f"{100 * shares[label]:.1f}%" for label in shipped.labels]
        assert row_of(CARD, f"`{name}`: {title}") == cells


def test_the_pages_name_the_default_prior() -> None:
    shipped = SHIPPED["alexnet-fer"]
    words = f'`"{shipped.prior}"` at strength {shipped.prior_strength}'
    assert (shipped.prior, shipped.prior_strength) == (
        SHIPPED["alexnet-fer-int8"].prior,
        SHIPPED["alexnet-fer-int8"].prior_strength,
    )
    assert f"**{shipped.prior} at strength {shipped.prior_strength}**" in CARD
    for page in ("training.md", "configuration.md"):
        assert words in (ROOT / "docs" / page).read_text("utf-8"), page


def test_the_card_names_the_default_quality_and_what_it_was_fitted_on() -> None:
    assert row_of(CARD, f"**{Classifier().min_quality}**")
    fitted = tomllib.loads((ROOT / "models" / "quality.toml").read_text("utf-8"))["provenance"]
    assert f"fitted to {fitted['faces']:,} detections " in CARD
    assert fitted["classifier_sha256"] in CARD


def test_the_doctor_reckons_with_the_measured_memory() -> None:
    stages = ", ".join(STAGES)
    measured, _ = row_of(PERFORMANCE, f"resident memory: {stages}")
    expected = {**STAGE_MB, "classifier": CLASSIFIER_MB["litert"]}
    assert measured == ", ".join(str(expected[stage]) for stage in STAGES) + " MB"


def test_the_readme_has_the_figures_of_the_page_on_performance() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    table = text.split("| what | measured | command |\n")[1].split("\n\n")[0]
    rows = [row.split(" | ") for row in table.splitlines()[1:]]
    assert len(rows) == 5
    for _, measured, command in rows:
        for figure in re.findall(r"\d[\d,.]*%?", measured.replace("p50", "").replace("p99", "")):
            assert re.search(rf"(?<![\d.]){re.escape(figure)}", PERFORMANCE), figure
        (line,) = re.findall(r"`([^`]+)`", command) or ["emostream bench --runs 3 --seconds 30"]
        assert f"`{line}" in PERFORMANCE


def figures(name: str) -> dict[str, float]:
    """Return the medians of a committed result file."""
    results = ResultFile.read(ROOT / "docs" / "figures" / f"{name}.json")
    return {key: figure.median for key, figure in results.figures.items()}


@pytest.mark.parametrize("name", ["load", "load-180p"])
def test_the_tables_of_load_are_those_of_the_result_files(name: str) -> None:
    found = figures(name)
    measured = {key.partition(" streams: ")[0] for key in found if " streams: " in key}
    assert len(measured) >= 5
    for streams in measured:
        of = {kind: found[f"{streams} streams: {kind}"] for kind in KINDS}
        row = (
            f"{of['answered']:.1f} | {of['dropped']:.1f}% | "
            f"{of['age, p50']:.0f}, {of['age, p99']:.0f} ms | {of['fairness']:.2f} |"
        )
        assert row in PERFORMANCE, row


def test_the_live_figures_are_those_of_the_result_file() -> None:
    found = figures("live")
    p50, p99 = (found[f"capture to emotion, {name}"] for name in ("p50", "p99"))
    told = {
        "end-to-end latency (capture to emotion), p50": f"{p50:.1f} ms",
        "end-to-end latency, p99": f"{p99:.0f} ms",
        "all stages ready, and an event heard, after": f"{found['ready and an event heard']:.1f} s",
    }
    for row, figure in told.items():
        assert row_of(PERFORMANCE, row)[0] == figure
    for kind, unit in (("processor", "ms"), ("memory", "MB")):
        digits = 1 if kind == "processor" else 0
        each = ", ".join(f"{found[f'{stage}: {kind}']:.{digits}f}" for stage in IN_ORDER)
        assert f"| {each} {unit} |" in PERFORMANCE


def test_the_figures_of_analyze_are_those_of_the_result_file() -> None:
    found = figures("analyze")
    for program in ("analyze --no-video", "analyze"):
        speed, times = found[f"{program}: speed"], found[f"{program}: by the original"]
        title = f"`emostream {program}`" + ("" if "video" in program else ", with annotated video")
        fps, ratio, memory = row_of(PERFORMANCE, title)[:3]
        assert fps.startswith(f"{speed:.1f} ")
        assert ratio.startswith(f"{times:.1f} ")
        assert memory == f"{found[f'{program}: memory']:.0f}"


def test_the_cost_of_work_is_that_of_the_result_file() -> None:
    found = figures("cost-of-work")
    for sweep, title, start, digits in (
        ("faces", "faces", "ms per frame and face", 2),
        ("streams", "streams of one face", "ms per second", 0),
        ("pixels", "pixels", "ms per frame and megapixel", 1),
    ):
        more, none, distance = row_of(PERFORMANCE, title)
        assert more.startswith(f"{found[f'{sweep}: all stages, one more']:.{digits}f} {start}")
        assert none.startswith(f"{found[f'{sweep}: all stages, with none']:.0f} ms")
        assert distance == f"{found[f'{sweep}: off the line']:.0f}%"


def test_the_figures_of_the_pool_are_those_of_the_result_file() -> None:
    page = (ROOT / "docs" / "scale.md").read_text("utf-8")
    found = figures("ray-pool")
    for batch in ("1 face", "8 faces", "32 faces"):
        each = [f"{found[f'{batch}: {kind}']:.1f} ms" for kind in ("here", "in an actor", "added")]
        assert row_of(page, batch) == each
    for actors in (1, 2, 4):
        name = f"{actors} actor{'s' if actors > 1 else ''}"
        p50, p99 = (found[f"{name}, simulated: batch {kind}"] for kind in ("p50", "p99"))
        some, most = (found[f"{name}, {kind}: faces per second"] for kind in KINDS_OF_SERVICE)
        row = f"| {actors} | {some:,.0f} | {p50:.0f}, {p99:.0f} ms | {most:,.0f} |"
        assert row in page, row


@pytest.mark.parametrize("motion", ["still", "moving"])
@pytest.mark.parametrize("size", ["80 to 300 px", "32 to 80 px"])
def test_the_card_and_the_page_on_performance_agree(motion: str, size: str) -> None:
    detector = row_of(PERFORMANCE, f"{motion} video, {size}")
    assert row_of(CARD, f"{motion}, {size}")[: len(detector)] == detector


def test_the_page_on_python_names_every_setting_of_a_recognizer() -> None:
    page = (ROOT / "docs" / "library.md").read_text("utf-8")
    table = page.split("| setting | default | meaning |\n")[1].split("\n\n")[0]
    cells = [row.split(" | ")[0] for row in table.splitlines()[1:]]
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(inspect.signature(Recognizer).parameters)
