"""How a comparison goes, on stderr: a live table on a terminal, elsewhere a line as each run ends."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from statistics import fmean

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from loopbench.spec import Run, RunEvent, RunSpec
from loopbench.text import kebab
from loopbench_client.cli.output import err, live, percent
from loopbench_client.cli.tables import seconds, table
from loopbench_client.cli.waiting import announcing
from loopbench_client.comparing.compared import Failure, Watcher
from loopbench_client.comparing.plan import Plan

# Columns that fit on a terminal; more seeds are counted.
MOST_COLUMNS = 10
REFRESHES_PER_SECOND = 4

End = Run | Failure
QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
DIVERGED = "diverged"


def _print_found(console: Console, jobs: Mapping[RunSpec, object], found: Mapping[RunSpec, object]) -> None:
    missing = len(jobs) - len(found)
    console.print(f"found {len(found)} of {len(jobs)} runs on the server; training {missing}", soft_wrap=True)


def _print_id(console: Console, jobs: Mapping[RunSpec, tuple[str, ...]], spec: RunSpec, event: RunEvent) -> None:
    """The id of a run, as soon as it is known: the run can then be watched or cancelled by others."""
    if event.run is not None and not event.state.ended:
        console.print(f"run {event.run.id}  {', '.join(jobs[spec])}, seed {spec.seed}", soft_wrap=True)


class _Printing(Watcher):
    """What both forms have in common: a line for a long wait."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def waiting(self, what: str, seconds: float | None) -> AbstractContextManager[object]:
        """Prints what the block waits for, if the wait is long."""
        return announcing(self._console, what, seconds)


class Lines(_Printing):
    """A line as each run ends."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._jobs: Mapping[RunSpec, tuple[str, ...]] = {}
        self.done = 0

    def begin(self, jobs: Mapping[RunSpec, tuple[str, ...]], found: Mapping[RunSpec, Run]) -> None:
        """Says how many runs exist."""
        self._jobs, self.done = jobs, len(found)
        _print_found(self._console, jobs, found)

    def progress(self, spec: RunSpec, event: RunEvent) -> None:
        """Prints the id of the run."""
        _print_id(self._console, self._jobs, spec, event)

    def ended(self, spec: RunSpec, end: End) -> None:
        """Says what came of the run."""
        self.done += 1
        where = f"{self.done}/{len(self._jobs)} {', '.join(self._jobs[spec])}, seed {spec.seed}"
        self._console.print(f"{where}: {_outcome(end)}", soft_wrap=True)


def _outcome(end: End) -> str:
    if isinstance(end, Failure):
        # The whole of it follows at the end.
        first, _, _ = end.message.partition("\n")
        return f"failed, {first}"
    assert end.result is not None, "a run that Train returned has SUCCEEDED"
    accuracies = f"{percent(end.result.train.accuracy)} / {percent(end.result.validation.accuracy)}"
    diverged = f"diverged at {end.result.diverged}, " if end.result.diverged else ""
    return f"{diverged}{accuracies} in {seconds(end):.1f} s"


class Board(_Printing):
    """A table with a row a spec and a column a seed."""

    def __init__(self, console: Console, plan: Plan) -> None:
        super().__init__(console)
        self._plan = plan
        self._rows = {label: plan.seeded(label) for label in plan.specs}
        self._total = len(plan.jobs())
        self._latest: dict[RunSpec, RunEvent | End] = {}

    def begin(self, jobs: Mapping[RunSpec, tuple[str, ...]], found: Mapping[RunSpec, Run]) -> None:
        """Says how many runs exist."""
        self._latest.update(found)
        _print_found(self._console, jobs, found)

    def progress(self, spec: RunSpec, event: RunEvent) -> None:
        """Takes note; of the end there is more to come."""
        _print_id(self._console, self._plan.jobs(), spec, event)
        if not event.state.ended:
            self._latest[spec] = event

    def ended(self, spec: RunSpec, end: End) -> None:
        """Takes note."""
        self._latest[spec] = end

    def render(self) -> Group:
        """The table as it is now."""
        seeds = self._plan.seeds
        each = len(seeds) <= MOST_COLUMNS
        columns = [f"seed {seed}" for seed in seeds] if each else self._counted
        cells = self._cells if each else self._counts
        rows = [(label, *cells(specs), self._mean(specs)) for label, specs in self._rows.items()]
        ended = sum(isinstance(end, End) for end in self._latest.copy().values())
        return Group(table("", *columns, "validation", rows=rows), Text(f"{ended} of {self._total} runs done"))

    def _cells(self, specs: tuple[RunSpec, ...]) -> list[str]:
        return [_cell(self._latest.get(spec)) for spec in specs]

    def _counts(self, specs: tuple[RunSpec, ...]) -> list[str]:
        counts = Counter(_state(self._latest.get(spec)) for spec in specs)
        return [str(counts[state]) for state in self._counted]

    @property
    def _counted(self) -> list[str]:
        """The columns where seeds are many; that of diverged runs only where there are any."""
        ended = [end for end in self._latest.copy().values() if isinstance(end, Run)]
        return [DONE, RUNNING, QUEUED, FAILED] + ([DIVERGED] if any(map(_diverged, ended)) else [])

    def _mean(self, specs: tuple[RunSpec, ...]) -> str:
        ended = [end for end in map(self._latest.get, specs) if isinstance(end, Run)]
        found = [_accuracy(run) for run in ended if not _diverged(run)]
        return percent(fmean(found)) if found else ""


def _accuracy(run: Run) -> float:
    assert run.result is not None, "a run that Train returned has SUCCEEDED"
    return run.result.validation.accuracy


def _diverged(run: Run) -> bool:
    return run.result is not None and run.result.diverged is not None


def _state(latest: RunEvent | End | None) -> str:
    if isinstance(latest, RunEvent):
        return kebab(latest.state)
    if isinstance(latest, Run) and _diverged(latest):
        return DIVERGED
    return {Run: DONE, Failure: FAILED}.get(type(latest), QUEUED)


def _cell(latest: RunEvent | End | None) -> str:
    """The accuracy in percent, the epoch under way or a word; nothing for a run that is not asked for yet."""
    if isinstance(latest, Run) and not _diverged(latest):
        return f"{100 * _accuracy(latest):.2f}"
    if isinstance(latest, RunEvent) and latest.progress:
        return f"{latest.progress.epoch}/{latest.progress.epochs}"
    return "" if latest is None else _state(latest)


@contextmanager
def watching(plan: Plan) -> Iterator[Watcher]:
    """The observer that shows the progress of a comparison while the block runs."""
    console = err()
    if not console.is_terminal or not plan.specs:
        yield Lines(console)
        return
    board = Board(console, plan)
    shown = Live(get_renderable=board.render, console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True)
    with live(shown):
        yield board
