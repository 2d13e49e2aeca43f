"""The plot of a load: answers, their age, dropped frames, and fairness."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from emostream.services.cli.bench.plots import DPI, save, tidy, title
from emostream.services.cli.bench.result_file import ResultFile

# The limits that must hold in overload.
MOST_AGE_MS: Final = 250.0
MOST_UNFAIR: Final = 1.5
BLUE, ORANGE, GRAY, RED = "#4c72b0", "#dd8452", "#888888", "#c44e52"


def plot_load(results: ResultFile, path: Path) -> None:
    """Plot the steps by number of streams, with the overload step last."""
    steps = [runs[0] for runs in results.details["points"]]
    overload = results.details["overload"][:1]
    canvas = Canvas((8.5, 6.6), DPI, layout="constrained")
    panels = canvas.subplots(2, 2).flat
    answers, ages, drops, fairness = panels
    points = [*steps, *overload]
    streams = [point["work"]["streams"] for point in points]

    def draw(axes: Axes, value: Callable[[Mapping[str, Any]], float], **style: Any) -> None:
        axes.plot(streams, [value(point) for point in points], "o-", markersize=4, **style)

    answers.plot(
        streams,
        [point["work"]["streams"] * point["work"]["fps"] for point in points],
        "--",
        color=GRAY,
        label="frames sent",
    )
    draw(answers, lambda point: float(point["answered"]), color=BLUE, label="answers")
    most = max(point["answered"] for point in points)
    answers.set(ylabel="per second", ylim=(0, 1.6 * most))
    draw(ages, lambda point: float(point["age_p99_ms"]), color=ORANGE, label="p99")
    draw(ages, lambda point: float(point["age_p50_ms"]), color=BLUE, label="p50")
    ages.axhline(MOST_AGE_MS, color=RED, linewidth=1, linestyle=":", label="limit")
    ages.set(ylabel="age of an answer, ms")
    draw(drops, lambda point: float(point["dropped_percent"]), color=BLUE)
    drops.set(ylabel="frames dropped, %")
    draw(fairness, lambda point: float(point["unfairness"]), color=BLUE)
    fairness.axhline(MOST_UNFAIR, color=RED, linewidth=1, linestyle=":", label="limit")
    fairness.set(ylabel="max/min answers of a stream")
    for axes in (answers, ages, drops, fairness):
        axes.set_xscale("log", base=2)
        axes.set_xticks(streams, [str(number) for number in streams])
        axes.minorticks_off()
        axes.set_xlabel("streams")
        axes.tick_params(labelsize=8)
        tidy(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, frameon=False)
        if overload:
            axes.axvspan(
                (streams[-2] * streams[-1]) ** 0.5, streams[-1] * 1.1, color="#f3e3e3", zorder=0
            )
    ages.set_ylim(bottom=0)
    drops.set_ylim(bottom=0)
    fairness.set_ylim(bottom=0.9)
    work = steps[0]["work"]
    canvas.suptitle(
        f"{title(results)}\n{work['width']} x {work['height']} at {work['fps']:g} frames/s, "
        f"faces in each: {work['faces']}" + ("; shaded: overload" if overload else ""),
        fontsize=10,
    )
    save(canvas, path)
