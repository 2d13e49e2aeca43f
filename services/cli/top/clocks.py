"""The lines of `emostream top` about different clocks."""

from collections.abc import Iterator

from rich.text import Text

from emostream.shared.clocks import offset_text
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape


def clock_lines(scrape: Scrape) -> Iterator[Text]:
    """Yield a line for each clock that measurably differs from the process's own."""
    if not scrape.has(MetricName.CLOCK_OFFSET):
        return
    by = ("stage", "source", "publisher")
    uncertain = scrape.by(MetricName.CLOCK_UNCERTAINTY, by)
    for labels, offset in sorted(scrape.by(MetricName.CLOCK_OFFSET, by).items()):
        if abs(offset) > uncertain.get(labels, 0.0):
            stage, source, _ = labels
            text = offset_text(offset, uncertain.get(labels, 0.0))
            yield Text(
                f"{stage}: the clock of {source} is {text}; times are corrected for it", "dim"
            )
