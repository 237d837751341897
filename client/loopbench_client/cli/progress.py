"""The progress bar of a run, on a terminal's stderr."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from loopbench.spec import RunEvent, RunState
from loopbench_client.cli.options import kebab
from loopbench_client.cli.output import err, percent


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


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[RunEvent], None] | None]:
    """What to call with every event of a run; None where stderr is no terminal, and nobody would see it."""
    console = err()
    if not console.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    with RunProgress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda event: _update(bar, task, event)
