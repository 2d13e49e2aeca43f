"""The report says all figures, shows the mistakes, and needs nothing from outside."""

import base64
import json
import re
from html import unescape
from pathlib import Path

import cv2
import numpy as np
import pytest

from emostream.models.evaluation import evaluator
from emostream.models.evaluation.datasets import Dataset
from emostream.models.evaluation.domain_gap import DetectedFaces, measure_gap
from emostream.models.evaluation.learning_curves import find_curves, load_curves
from emostream.models.evaluation.report import (
    Facts,
    Report,
    interval,
    percent,
    picture,
    to_html,
    to_json,
)
from emostream.models.evaluation.robustness import measure_robustness
from emostream.shared.errors import SourceError

pytest.importorskip("jinja2", reason="needs the group `evaluate`")
pytest.importorskip("matplotlib", reason="needs the group `evaluate`")

HISTORY = "epoch,loss,held_out_loss,held_out_accuracy,something_new,seconds\n"
ROWS = "1,2.0,1.9,0.5,0.1,60\n2,1.5,1.4,0.6,0.2,60\n"


class Brightness:
    """Sure of itself: the brighter, the more "bright"."""

    labels = ("dark", "bright <&>", "neither")

    def predict(self, faces: list[np.ndarray] | np.ndarray) -> np.ndarray:
        share = np.array([np.mean(face) / 255 for face in faces])
        return np.stack([1 - share, share, 0 * share], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def report() -> Report:
    model = Brightness()
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (200, 48, 48), np.uint8) // 3
    images[:100] += 150
    votes = np.zeros((200, 10), np.uint8)
    votes[:, 0], votes[:, 1] = 7, 3
    truth = (np.arange(200) < 70).astype(np.intp)
    dataset = Dataset("faces & more", images, {"A": truth, "B": truth}, votes, {"boredom": 4})
    crops = np.zeros((2, 64, 64), np.uint8)
    found = DetectedFaces(3, 5, 1, 12.0, np.array([0, 199]), crops, crops, np.array([0.9, 0.1]))
    nothing = DetectedFaces(
        3, 5, 0, 12.0, np.array([], np.intp), crops[:0], crops[:0], np.array([])
    )
    facts = Facts(
        model="tiny",
        sha256="ab" * 32,
        engine="litert",
        parameters=3715240,
        labels=model.labels,
        data=dataset.source,
        faces=200,
        unknown=dataset.unknown,
        date="2026-11-25 12:00 UTC",
        command="emostream evaluate --model tiny",
    )
    gaps = [
        measure_gap("as drawn", model, dataset, found, min_quality=0.5),
        measure_gap("blur", model, dataset, nothing),
    ]
    return Report(
        facts,
        evaluator.evaluate(model, dataset),
        measure_robustness(model, dataset),
        gaps,
        {"epoch": [1, 2], "loss": [2.0, 1.5], "held_out_accuracy": [0.5, 0.6]},
    )


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return to_html(report)


def cells(page: str, title: str) -> list[list[str]]:
    """Return the text of each row's cells in the first table below a heading."""
    part = page[page.index(title) :]
    rows = re.findall(r"<tr>(.*?)</tr>", part[: part.index("</table>")], re.DOTALL)
    texts = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[unescape(re.sub("<[^>]*>", "", text)).strip() for text in row] for row in texts]


def test_nothing_comes_from_outside(page: str) -> None:
    assert "http" not in page
    assert not re.search(r"<(script|link|iframe)|@import", page)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(source.startswith(("data:", "#")) for source in sources)


def test_facts_and_figures_stand_on_the_page(page: str) -> None:
    for text in ("tiny", "ab" * 32, "litert", "3,715,240", "faces &amp; more", "4 of boredom"):
        assert text in page
    assert "emostream evaluate --model tiny" in page
    assert cells(page, "<h2>Figures")[1][:4] == ["A", "one", "200", "85.00% (79.4 to 89.3)"]
    assert cells(page, "<h2>Figures")[4][:2] == ["B", "mirrored mean"]


def test_the_matrix_has_all_its_numbers(page: str) -> None:
    head, dark, bright, neither = cells(page, "Label by label, B")
    assert head[1:4] == ["dark", "bright <&>", "neither"]
    assert dark == ["dark", "100", "30", "0", "130", "76.9%", "100.0%", "87.0%"]
    assert bright == ["bright <&>", "0", "70", "0", "70", "100.0%", "70.0%", "82.4%"]
    assert neither == ["neither", "0", "0", "0", "0", "–", "–", "–"]


def test_twenty_mistakes_are_shown_as_pictures(page: str) -> None:
    pictures = re.findall(r'<img src="data:image/png;base64,([^"]*)"', page)
    assert len(pictures) == 20
    code = np.frombuffer(base64.b64decode(pictures[0]), np.uint8)
    face = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    assert face is not None and face.shape == (96, 96)
    assert page.count("predicted <b>bright &lt;&amp;&gt;</b>") == 20
    assert page.count("votes: 7 neutral, 3 happiness") == 20


def test_charts_take_the_page_s_colors_and_share_no_name(page: str) -> None:
    assert page.count("<svg ") == 2
    assert "var(--first)" in page and "var(--ink)" in page
    assert not re.findall(r"#0[0-9a-f]0[0-9a-f]0[0-9a-f]\b", page)
    names = re.findall(r'\bid="([^"]*)"', page)
    assert len(names) == len(set(names))
    used = set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', page))
    assert {name for pair in used for name in pair if name} <= set(names)


def test_scenes_say_what_is_lost_and_dashes_where_nothing_was_found(page: str) -> None:
    _, drawn, blurred = cells(page, "<h2>In photos")
    assert drawn[:4] == ["as drawn", "5", "40.0% (11.8 to 76.9)", "1"]
    assert drawn[6].startswith("50.0% (")
    assert blurred[4:8] == ["–", "–", "–", "–"]


def test_worse_pictures_and_slices_have_their_rows(page: str) -> None:
    assert len(cells(page, "<h2>Degraded pictures")) == 6
    parts = [row[:3] for row in cells(page, "<h2>Slices")[1:]]
    assert parts[0] == ["agreement", "70 to 90%", "200"]
    assert [row[1] for row in parts[1:4]] == ["darkest third", "middle third", "brightest third"]


def test_a_report_without_extras_has_no_empty_parts(report: Report) -> None:
    page = to_html(Report(report.facts, report.evaluation))
    for title in ("In photos", "Degraded pictures", "learning curves", "lost in the pipeline"):
        assert title not in page


def test_json_has_the_same_figures_and_no_nan(report: Report) -> None:
    tree = json.loads(to_json(report), parse_constant=pytest.fail)
    verdict = tree["evaluation"]["verdicts"][1]
    assert verdict["protocol"] == "B"
    assert verdict["single"]["accuracy"] == 0.85
    assert verdict["single"]["recall"]["neither"] is None
    assert verdict["single"]["confusion"][0] == [100, 30, 0]
    assert len(tree["evaluation"]["mistakes"]) == 20
    assert "picture" not in tree["evaluation"]["mistakes"][0]
    assert tree["facts"]["sha256"] == "ab" * 32
    assert tree["scenes"][0]["lost"] == 0.5
    assert tree["curves"]["loss"] == [2.0, 1.5]


def test_history_keeps_whatever_columns_there_are(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(HISTORY + ROWS)
    curves = load_curves(path)
    assert curves["epoch"] == [1, 2]
    assert curves["something_new"] == [0.1, 0.2]
    assert find_curves(tmp_path / "average.keras") == path
    own = tmp_path / "average.csv"
    own.write_text(HISTORY + ROWS)
    assert find_curves(tmp_path / "average.keras") == own
    assert find_curves(tmp_path / "elsewhere" / "average.keras") is None


@pytest.mark.parametrize("text", ["", "no,such\n1,2\n", "epoch,loss\n1,x\n", "epoch,loss\n1\n"])
def test_what_is_no_history_is_one_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(SourceError, match="not a training history"):
        load_curves(path)


def test_shares_are_written_for_people() -> None:
    assert percent(0.12345) == "12.3%"
    assert percent(-0.0001) == "0.0%"
    assert percent(float("nan")) == percent(None) == "–"
    assert interval((-0.012, 0.034)) == "−1.2 to 3.4"
    assert picture(np.zeros((200, 100), np.uint8)).startswith("data:image/png;base64,")
