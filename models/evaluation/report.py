"""The report of an evaluation: a self-contained HTML page, and the same data as JSON."""

import base64
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.models.evaluation.domain_gap import DomainGap
from emostream.models.evaluation.evaluator import Evaluation
from emostream.models.evaluation.learning_curves import LearningCurves
from emostream.models.evaluation.priors import PriorComparison
from emostream.models.evaluation.robustness import Robustness
from emostream.models.evaluation.video_scores import VideoReport
from emostream.shared.optional_groups import require

TEMPLATE: Final = Path(__file__).with_name("report.html")
ENLARGED: Final = 96  # minimum size of a mistake's picture in pixels


@dataclass(frozen=True)
class Facts:
    """What was evaluated, on which data, when and how; `parameters` is None if unknown.

    `unknown` counts faces that were left out because the model has no label for their class.
    `prior` is the target of the reweighting, "" if the model states no shares.
    """

    model: str
    sha256: str
    engine: str
    parameters: int | None
    labels: tuple[str, ...]
    data: str
    faces: int
    unknown: dict[str, int]
    date: str
    command: str
    prior: str = ""


@dataclass(frozen=True)
class Report:
    """All measurements."""

    facts: Facts
    evaluation: Evaluation
    robustness: list[Robustness] = field(default_factory=list)
    scenes: list[DomainGap] = field(default_factory=list)
    curves: LearningCurves = field(default_factory=dict)
    priors: PriorComparison | None = None
    videos: list[VideoReport] = field(default_factory=list)


def to_json(report: Report) -> str:
    """Return the report as JSON without the pictures; missing figures are null."""
    tree = asdict(report)
    for mistake in tree["evaluation"]["mistakes"]:
        del mistake["picture"]
    return json.dumps(_without_nan(tree), indent=2)


def _without_nan(value: Any) -> Any:
    """Replace NaN, which JSON does not have, with None."""
    match value:
        case dict():
            return {key: _without_nan(part) for key, part in value.items()}
        case list() | tuple():
            return [_without_nan(part) for part in value]
        case float() if math.isnan(value):
            return None
        case _:
            return value


def require_packages() -> None:
    """Raise MissingPackageError, which names the group, if a package for it is missing."""
    require("the report", "evaluate", "jinja2", "matplotlib")


def to_html(report: Report) -> str:
    """Return the report as a page; the packages that `require` checks must be installed."""
    # Imported here, so that the figures do not need these packages.
    from emostream.models.evaluation import charts
    from emostream.shared.html_templates import templates

    evaluation = report.evaluation
    pages = templates(TEMPLATE.parent, percent=percent, range=interval, picture=picture)
    return pages.get_template(TEMPLATE.name).render(
        report=report,
        facts=report.facts,
        evaluation=evaluation,
        reliability=charts.reliability(evaluation.bins),
        learning=charts.learning(report.curves) if report.curves else "",
    )


def percent(share: float | None, digits: int = 1) -> str:
    """Format a share as a percentage, or a dash if it does not exist."""
    return "–" if share is None or math.isnan(share) else f"{_number(100 * share, digits)}%"


def interval(shares: tuple[float, float], digits: int = 1) -> str:
    """Format an interval of shares in percent."""
    low, high = (_number(100 * share, digits) for share in shares)
    return f"{low} to {high}"


def _number(value: float, digits: int) -> str:
    """Format a number with a real minus sign, but without one before zero."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def picture(face: NDArray[np.uint8]) -> str:
    """Return a face, gray uint8 (H, W), as a data URL of a PNG, enlarged without smoothing."""
    factor = max(1, math.ceil(ENLARGED / max(face.shape)))
    large = face.repeat(factor, axis=0).repeat(factor, axis=1)
    _, code = cv2.imencode(".png", large)
    return f"data:image/png;base64,{base64.b64encode(code.tobytes()).decode()}"
