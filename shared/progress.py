"""A progress bar on stderr: updated in place on a terminal, occasional lines in a log."""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

LOG_INTERVAL: Final = 30.0  # seconds between two lines in a log
REDRAW_INTERVAL: Final = 0.2  # seconds between two states of the bar on a terminal
BAR_WIDTH: Final = 24
LEAST_PER_S: Final = 0.1  # a lower rate is shown per minute


class ProgressBar:
    """Shows how much work is done, the rate, and the time left, as a context manager.

    `total` is the number of `unit`, possibly an estimate; None if unknown. A `transient` bar is
    removed when it is closed.
    """

    def __init__(
        self,
        title: str,
        total: int | None = None,
        unit: str = "",
        *,
        console: Console | None = None,
        transient: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._interval = REDRAW_INTERVAL if self._console.is_interactive else LOG_INTERVAL
        self._shown = clock()
        # Rich's own thread and its capture of stdout would move printed results to stderr.
        self._progress = Progress(
            _Title(),
            BarColumn(BAR_WIDTH),
            _Figures(Column(no_wrap=True)),
            console=self._console,
            transient=transient,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            get_time=clock,
        )
        self._task = self._progress.add_task(title, total=total, unit=unit, note="")
        if self._console.is_interactive:
            self._progress.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Set how much work is done, and update the display if it is time to.

        `total` replaces the total if given. `note` is shown after the figures.
        """
        (task,) = self._progress.tasks
        before = task.completed
        self._progress.update(self._task, completed=done, total=total, note=note)
        now, is_last = self._clock(), before < done == task.total
        if not is_last and now - self._shown < self._interval:
            return
        self._shown = now
        if self._console.is_interactive:
            self._progress.refresh()
        else:
            # Not printed with rich, which would wrap it.
            print(f"{task.description}: {figures(task)}", file=self._console.file, flush=True)

    def advance(self) -> None:
        """Advance by one."""
        (task,) = self._progress.tasks
        self.update(int(task.completed) + 1)

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Remove a transient bar from the terminal while the block prints."""
        self.close()
        try:
            yield
        finally:
            if self._console.is_interactive:
                self._progress.start()

    def close(self) -> None:
        """End the bar's line; an incomplete bar stays on it."""
        if self._console.is_interactive:
            self._progress.stop()


class _Title(ProgressColumn):
    """The title, shortened if the terminal is too narrow for the line."""

    def render(self, task: Task) -> Text:
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _Figures(ProgressColumn):
    """What is done, the rate, the time left and the note."""

    def render(self, task: Task) -> Text:
        return Text(figures(task))


def figures(task: Task) -> str:
    """Return what is done, the rate since the start, the time left, and the note."""
    unit = f" {task.fields['unit']}" if task.fields["unit"] else ""
    parts = [f"{task.completed:,.0f}{'' if task.total is None else f'/{task.total:,.0f}'}{unit}"]
    if task.completed and task.elapsed:
        rate = task.completed / task.elapsed
        parts.append(f"{rate:,.1f}/s" if rate >= LEAST_PER_S else f"{60 * rate:,.1f}/min")
        if task.total is not None and task.completed < task.total:
            left = round((task.total - task.completed) / rate)
            parts.append(f"{timedelta(seconds=left)} left")
    if note := task.fields["note"]:
        parts.append(note)
    return ", ".join(parts)
