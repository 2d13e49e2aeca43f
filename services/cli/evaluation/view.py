"""The tables that `emostream evaluate` prints."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from emostream.models.evaluation.domain_gap import DomainGap, Proportion
from emostream.models.evaluation.evaluator import Evaluation, format_scores
from emostream.models.evaluation.priors import PriorComparison
from emostream.models.evaluation.report import Report, interval, percent
from emostream.models.evaluation.video_scores import VideoReport


def show(report: Report) -> None:
    """Print the figures of a report, the confusion matrix of the main protocol, and the slices."""
    facts, evaluation = report.facts, report.evaluation
    console = Console(highlight=False)
    print(f"{facts.model} ({facts.engine}, {facts.sha256[:12]}) on {facts.data}")
    if facts.prior:
        print(f"prior: {facts.prior}")
    if facts.unknown:
        left = ", ".join(f"{count} {name}" for name, count in facts.unknown.items())
        print(f"left out because the model has no label for them: {left}")
    for verdict in evaluation.verdicts:
        print()
        print(format_scores(verdict.protocol, verdict.single))
    console.print(_figures(evaluation))
    print(f"{percent(evaluation.flips)} of the faces get a different label when mirrored.")
    console.print(_slices(evaluation))
    if report.robustness:
        console.print(_robustness(report))
    if report.scenes:
        console.print(_scenes(report.scenes))
    if report.priors:
        console.print(_priors(report.priors))
        console.print(_drawn(report.priors))
        if report.priors.chosen:
            print(f"The rule for the default selects: {report.priors.chosen}.")
    if report.videos:
        console.print(_videos(report.videos))


def _table(title: str, columns: Iterable[str], first: int = 1) -> Table:
    """Return a table with text in the first columns and numbers in the others."""
    made = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, show_edge=False
    )
    for place, column in enumerate(columns):
        made.add_column(column, justify="left" if place < first else "right")
    return made


def _figures(evaluation: Evaluation) -> Table:
    columns = ("protocol", "crops", "accuracy", "macro recall", "NLL", "ECE")
    made = _table("One crop, and the mean with its mirror image", columns, 2)
    for verdict in evaluation.verdicts:
        for crops, scores in (("one", verdict.single), ("mirrored mean", verdict.mirrored)):
            made.add_row(
                verdict.protocol,
                crops,
                f"{percent(scores.accuracy, 2)} ({interval(scores.interval)})",
                f"{percent(scores.macro_recall)} ({interval(scores.macro_interval)})",
                f"{scores.nll:.3f}",
                percent(scores.ece),
            )
    return made


def _slices(evaluation: Evaluation) -> Table:
    made = _table(f"Slices, {evaluation.protocol}", ("by", "part", "faces", "accuracy"), 2)
    for row in evaluation.slices:
        made.add_row(
            row.by, row.part, str(row.faces), f"{percent(row.accuracy)} ({interval(row.interval)})"
        )
    return made


def _robustness(report: Report) -> Table:
    title = f"Degraded pictures, {report.evaluation.protocol}"
    columns = ("condition", "faces", "accuracy", "lost", "kept", "accuracy of those", "lost")
    made = _table(title, columns)
    for row in report.robustness:
        accuracy = f"{percent(row.accuracy)} ({interval(row.interval)})"
        kept = (percent(row.kept), percent(row.kept_accuracy), percent(row.kept_lost))
        made.add_row(row.condition, str(row.faces), accuracy, percent(row.lost), *kept)
    return made


def _priors(compared: PriorComparison) -> Table:
    names = list(compared.rows[0].natural)
    columns = ["prior", *(f"{name}: {one}" for name in names for one in ("right", "recall", "ECE"))]
    clear = compared.rows[0].posed.faces
    title = (
        f"Priors; the last two columns are for {clear} clear faces, with equal weight for "
        "each label"
    )
    made = _table(title, (*columns, "clear: recall", "ECE"))
    for row in compared.rows:
        figures = (
            percent(figure)
            for scores in row.natural.values()
            for figure in (scores.accuracy, scores.macro_recall, scores.ece)
        )
        posed = row.posed
        recall = f"{percent(posed.recall)} ({interval(posed.interval)})"
        made.add_row(row.prior, *figures, recall, percent(posed.ece))
    return made


def _drawn(compared: PriorComparison) -> Table:
    title = f"Accuracy / NLL on faces drawn with other shares, {compared.protocol}"
    made = _table(title, ("drawn", *compared.drawn[0].accuracy))
    for row in compared.drawn:
        cells = (f"{percent(row.accuracy[name])} / {row.nll[name]:.3f}" for name in row.accuracy)
        made.add_row(row.shares, *cells)
    return made


def _scenes(gaps: Iterable[DomainGap]) -> Table:
    columns = ["scenes", "faces", "found", "false", "bare", "aligned", "lost", "box"]
    columns += ["kept", "bare", "aligned", "lost"]
    made = _table("In photos: accuracy on detected faces", columns)
    for gap in gaps:
        made.add_row(
            gap.name,
            str(gap.recall.faces),
            f"{percent(gap.recall.share)}\n{interval(gap.recall.interval)}",
            str(gap.invented),
            _share(gap.bare),
            _share(gap.aligned),
            percent(gap.lost) + (f"\n{interval(gap.lost_interval)}" if gap.lost_interval else ""),
            _share(gap.boxed),
            *(_share(gap.kept), _share(gap.kept_bare), _share(gap.kept_aligned)),
            percent(gap.kept_lost),
        )
    return made


def _videos(videos: Iterable[VideoReport]) -> Table:
    columns = ("video", "faces", "found", "false/100", "switches", "first box", "bare", "right")
    made = _table("In video, through emostream analyze", columns)
    for video in videos:
        late = "–" if video.late_ms is None else f"{video.delay_ms:.0f} ms ({video.late_ms:.0f})"
        made.add_row(
            video.name,
            str(video.faces),
            percent(video.recall),
            f"{video.false_per_100:.1f}",
            f"{video.switches} of {video.people}",
            late,
            percent(video.bare),
            percent(video.right),
        )
    return made


def _share(share: Proportion | None) -> str:
    return percent(share.share if share else None)
