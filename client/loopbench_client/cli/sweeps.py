"""How a sweep goes, on stderr, and what came of it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from google.protobuf import json_format
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from loopbench import wire
from loopbench.spec import Run
from loopbench.sweep import Sweep
from loopbench.text import counted
from loopbench_client.cli.output import err, live, out, percent
from loopbench_client.cli.runs_table import ID_DIGITS
from loopbench_client.cli.tables import DIGEST_DIGITS, seconds, state_of, table
from loopbench_client.cli.waiting import announcing
from loopbench_client.sweeping.local import Attempt, Started

COLUMNS = ("index", "run", "label", "seed", "state", "train", "validation", "weights digest")
WORDS = 5
# Shown if an index was tried again.
TRIES = "tries"


@contextmanager
def printing_outcomes(sweep: Sweep, at_once: int) -> Iterator[Callable[[Started | Attempt], None]]:
    """What to call with every start and attempt: it writes a line of each, above a bar on a terminal."""
    console = err()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with live(Progress(*columns, console=console, transient=True, disable=not console.is_terminal)) as bar:
        task = bar.add_task(sweep.name, total=sweep.size)
        with announcing(console, "the start of the runs") as wait:
            is_first = True

            def print_outcome(outcome: Started | Attempt) -> None:
                nonlocal is_first
                _print_line(console, outcome)
                if isinstance(outcome, Attempt):
                    bar.advance(task, outcome.final)
                if is_first:
                    is_first = False
                    wait.start(f"the end of {counted(sweep.size, 'run')}, {at_once:,} at once")

            yield print_outcome


def _print_line(console: Console, outcome: Started | Attempt) -> None:
    if isinstance(outcome, Started):
        console.print(f"run {outcome.run.id}  {outcome.index.title}", soft_wrap=True)
    else:
        console.print(f"{outcome.index.title}: {_outcome(outcome)}", soft_wrap=True)


def _outcome(attempt: Attempt) -> str:
    if attempt.run:
        where = attempt.run.result and attempt.run.result.diverged
        diverged = f"diverged at {where}, " if where else ""
        accuracies = " / ".join(_accuracies(attempt.run))
        return f"run {attempt.run_id[:ID_DIGITS]}, {diverged}{accuracies} in {seconds(attempt.run):.1f} s"
    return f"{'failed' if attempt.final else 'tried again'}, {attempt.why}"


def _accuracies(run: Run) -> tuple[str, str]:
    assert run.result is not None, "an index is done when its run has SUCCEEDED"
    return percent(run.result.train.accuracy), percent(run.result.validation.accuracy)


def print_sweep(sweep: Sweep, ended: Mapping[int, Attempt]) -> None:
    """A row an index; ``ended`` has the last attempt of each that came to its end."""
    numbers = range(sweep.size)
    rows = [_row(sweep, number, ended.get(number)) for number in numbers]
    columns = [*COLUMNS]
    if any(last.number > 1 for last in ended.values()):
        columns.append(TRIES)
        rows = [[*row, _tries(ended.get(number))] for number, row in zip(numbers, rows, strict=True)]
    out().print(table(*columns, rows=rows, words=WORDS))


def _tries(last: Attempt | None) -> str:
    return str(last.number) if last else ""


def _row(sweep: Sweep, number: int, last: Attempt | None) -> list[str]:
    index = sweep.index(number)
    state = state_of(last.run) if last and last.run else _state(last)
    run_id = last.run_id[:ID_DIGITS] if last else ""
    row = [str(number), run_id, index.label, str(index.spec.seed), state]
    if last is None or last.run is None or last.run.result is None:
        return row + [""] * (len(COLUMNS) - len(row))
    return [*row, *_accuracies(last.run), last.run.result.weights_digest[:DIGEST_DIGITS]]


def _state(last: Attempt | None) -> str:
    if last is None:
        return "not-ended"
    return "succeeded" if last.run else "failed"


def print_sweep_json(sweep: Sweep, ended: Mapping[int, Attempt]) -> None:
    """The same with whole runs, which are in protobuf's JSON form."""
    indices = [_plain(sweep, number, ended.get(number)) for number in range(sweep.size)]
    typer.echo(json.dumps({"name": sweep.full_name, "indices": indices}, indent=2))


def _plain(sweep: Sweep, number: int, last: Attempt | None) -> dict[str, Any]:
    index = sweep.index(number)
    shown: dict[str, Any] = {"index": number, "label": index.label, "seed": index.spec.seed, "state": _state(last)}
    if last is None:
        return shown
    shown |= {"tries": last.number, "exitCode": last.code}
    if last.run is None:
        return shown | {"runId": last.run_id, "error": last.why}
    message = wire.run_to_wire(last.run)
    return shown | {"run": json_format.MessageToDict(message, always_print_fields_with_no_presence=True)}
