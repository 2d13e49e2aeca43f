"""Plots of result files, as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from emostream.services.cli.bench.result_file import Figure, ResultFile
from emostream.shared.errors import EmostreamError

WIDTH: Final = 8.0  # inches, at 120 pixels per inch
DPI: Final = 120
BAR: Final = "#4c72b0"
RANGE: Final = "#222222"


def plot_figures(results: ResultFile, path: Path) -> None:
    """Plot each figure as a bar with its range, with one panel per unit."""
    by_unit: dict[str, dict[str, Figure]] = {}
    for name, figure in results.figures.items():
        by_unit.setdefault(figure.unit, {})[name] = figure
    heights = [0.3 * len(some) + 0.7 for some in by_unit.values()]
    canvas = Canvas((WIDTH, sum(heights) + 0.9), DPI, layout="constrained")
    panels = canvas.subplots(len(by_unit), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (unit, some) in zip(panels, by_unit.items(), strict=True):
        _bars(axes, unit, some)
    canvas.suptitle(title(results), fontsize=10)
    save(canvas, path)


def title(results: ResultFile) -> str:
    """Return the title of a plot: what was measured, and where."""
    machine = results.machine
    return f"{results.what}: {machine.cpu}, {machine.cores} cores, {results.date[:10]}"


def save(canvas: Canvas, path: Path) -> None:
    """Write the plot; EmostreamError if that fails."""
    try:
        # Without date and version, which would change the file each time.
        canvas.savefig(path, metadata={"Software": None})
    except OSError as error:
        raise EmostreamError(f"cannot write {path}: {error.strerror}") from error


def tidy(axes: Axes) -> None:
    """Remove the top and right borders, and draw a light grid behind."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _bars(axes: Axes, unit: str, figures: Mapping[str, Figure]) -> None:
    names = list(figures)
    medians = [figure.median for figure in figures.values()]
    axes.barh(names, medians, color=BAR, height=0.6)
    _ranges(axes, list(figures.values()))
    for place, figure in enumerate(figures.values()):
        axes.annotate(
            f"{figure.median:g}",
            (max(figure.range[1], 0.0), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.margins(x=0.12)
    axes.invert_yaxis()
    axes.set_xlabel(unit, fontsize=9)
    axes.tick_params(labelsize=8)
    tidy(axes)
    axes.grid(False, axis="y")


def _ranges(axes: Axes, figures: Sequence[Figure]) -> None:
    """Draw the range of each figure over its bar, if there is one."""
    for place, figure in enumerate(figures):
        low, high = figure.range
        if low < high:
            axes.plot([low, high], [place, place], color=RANGE, linewidth=1.2)
