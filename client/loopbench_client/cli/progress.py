"""The progress of a run on stderr: a bar on a terminal, lines elsewhere."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from loopbench.spec import RunEvent, RunState
from loopbench.text import kebab
from loopbench_client.cli.output import err, live, percent
from loopbench_client.cli.waiting import announcing

# Seconds between two lines of the same state.
LINE_SECONDS = 10.0


def describe(event: RunEvent) -> str:
    """Epoch, loss, accuracy, examples/s and time left; or what the run is waiting for."""
    progress = event.progress
    if progress is None:
        ahead = f", {event.queue_position} ahead" if event.queue_position else ""
        return "starting" if event.state is RunState.RUNNING else kebab(event.state) + ahead
    parts = [f"epoch {progress.epoch}/{progress.epochs}"]
    if progress.train is not None:
        parts += [f"loss {progress.train.loss:.4f}", f"accuracy {percent(progress.train.accuracy)}"]
    if progress.examples_per_second is not None:
        parts.append(f"{progress.examples_per_second:,.0f} examples/s")
    if progress.seconds_left is not None:
        parts.append(f"{timedelta(seconds=round(progress.seconds_left))} left")
    return "  ".join(parts)


class RunProgress(Progress):
    """A bar, and below it a line of words, which would not fit beside it on a narrow terminal."""

    status = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar and the line."""
        yield from super().get_renderables()
        yield Text(self.status, no_wrap=True, overflow="ellipsis")


def _update(bar: RunProgress, task: TaskID, event: RunEvent) -> None:
    bar.status = describe(event)
    if event.progress is not None:
        done = (event.progress.epoch - 1) * event.progress.steps_per_epoch + event.progress.step
        bar.update(task, completed=done, total=event.progress.epochs * event.progress.steps_per_epoch)


class ProgressLines:
    """A line when the state changes, and one now and then while the run trains; none twice."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ("", "")
        self._printed = -math.inf

    def __call__(self, event: RunEvent) -> None:
        """Prints a line if it is due."""
        line = (kebab(event.state) if event.progress is None else "training", describe(event))
        is_due = line[0] != self._last[0] or time.monotonic() >= self._printed + LINE_SECONDS
        if line == self._last or not is_due or event.state.ended:
            return
        self._last, self._printed = line, time.monotonic()
        self._console.print(line[1], soft_wrap=True)


@contextmanager
def progress_bar(title: str, seconds: float | None = None) -> Iterator[Callable[[RunEvent], None]]:
    """What to call with every event of a run that takes ``seconds`` at most.

    It prints the id of the run first. Then it moves a bar on a terminal, and prints lines elsewhere.
    """
    console = err()
    with _shown(console, title) as show, announcing(console, "the id of the run", seconds) as wait:
        yield _after_id(console, title, show, lambda: wait.start("the end of the run", seconds))


@contextmanager
def _shown(console: Console, title: str) -> Iterator[Callable[[RunEvent], None]]:
    if not console.is_terminal:
        yield ProgressLines(console)
        return
    # A terminal without Unicode has no spinner of dots.
    spinner = SpinnerColumn("line" if console.options.ascii_only else "dots")
    columns = (spinner, TextColumn("{task.description}"), BarColumn())
    with live(RunProgress(*columns, console=console, transient=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda event: _update(bar, task, event)


def _after_id(
    console: Console, title: str, show: Callable[[RunEvent], None], begin: Callable[[], None]
) -> Callable[[RunEvent], None]:
    known = ""

    def on_progress(event: RunEvent) -> None:
        nonlocal known
        if event.run is not None and event.run.id != known:
            known = event.run.id
            console.print(f"run {known}  {title}", soft_wrap=True)
            begin()
        show(event)

    return on_progress
