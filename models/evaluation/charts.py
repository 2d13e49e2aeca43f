"""The charts of the report, as SVG with the page's dark or light colors."""

import io
import re
from collections.abc import Sequence
from typing import Any, Final

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from emostream.models.evaluation.evaluator import ReliabilityBin
from emostream.models.evaluation.learning_curves import LearningCurves

# Placeholder colors that charts do not use otherwise; the page's colors replace them.
INK, SOFT, FIRST, SECOND, THIRD = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f"
COLORS: Final = {
    INK: "var(--ink)",
    SOFT: "var(--line)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
}
STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "emostream",
    "font.size": 10.0,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": SOFT,
    "legend.frameon": False,
}


def reliability(bins: Sequence[ReliabilityBin]) -> Markup:
    """Plot accuracy over confidence, and the number of faces at each confidence below it."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5, 4.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        confidence = [one.confidence for one in bins]
        upper.plot([0, 1], [0, 1], color=SOFT, linestyle="--")
        upper.plot(confidence, [one.accuracy for one in bins], color=FIRST, marker="o")
        upper.set(ylabel="accuracy", ylim=(0, 1.02), xlim=(0, 1.02))
        lower.bar(confidence, [one.faces for one in bins], width=0.045, color=FIRST)
        lower.set(xlabel="predicted probability", ylabel="faces")
        return _svg(figure, "reliability diagram")


def learning(curves: LearningCurves) -> Markup:
    """Plot losses (top) and accuracies (bottom) over the epochs."""
    losses = [name for name in curves if "loss" in name]
    others = {"epoch", "seconds", *losses}
    shares = [name for name in curves if name not in others and max(curves[name]) <= 1]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5, 4.6), layout="constrained")
        axes = figure.subplots(2, 1, sharex=True)
        for axis, names, title in zip(axes, (losses, shares), ("loss", "accuracy"), strict=True):
            for name, color in zip(names, (FIRST, SECOND, THIRD) * len(names), strict=False):
                axis.plot(curves["epoch"], curves[name], color=color, label=_words(name))
            axis.set(ylabel=title)
            axis.grid(axis="y", alpha=0.5)
            if names:
                axis.legend()
        axes[1].set(xlabel="epoch")
        axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
        return _svg(figure, "learning curves")


def _words(column: str) -> str:
    return column.replace("_", " ")


def _svg(figure: Any, title: str) -> Markup:
    """Return the figure as an SVG element without any URLs."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # A fixed size in points would overflow on a phone; the view box keeps the proportions.
    text = re.sub(
        r'<svg[^>]*?(viewBox="[^"]*")[^>]*>',
        rf'<svg \1 role="img" aria-label="{title}">',
        text,
        count=1,
    )
    text = re.sub(r"font: [^;\"]*", "font: 10px system-ui, sans-serif", text)
    for stand_in, color in COLORS.items():
        text = text.replace(stand_in, color)
    # Make all ids unique, because the page contains several charts.
    return Markup(re.sub(r'(id="|#|url\(#)(?=[\w])', rf"\g<1>{title[:3]}-", text))
