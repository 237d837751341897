"""Many runs in a terminal: what all have in common in a heading, and a line each."""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum

from rich.console import Console

from loopbench.spec import Run, RunState
from loopbench.text import counted, kebab
from loopbench_client.cli.output import percent
from loopbench_client.cli.plain_table import PlainTable
from loopbench_client.cli.tables import table
from loopbench_client.run_columns import COLUMNS, SPEC_COLUMNS, Column, misreported, run_seconds, split_by_variation

# Characters of an id; more where several ids on the page begin with the same ones.
ID_DIGITS = 8
MARK = "!"
MISREPORTED = f"{MARK} the loop reports other validation metrics than its final weights have: loopbench show RUN_ID"
# Shown whatever their values. Of the other fields of a spec, those that differ from the default.
ALWAYS = ("method", "loss", "optimizer", "learning_rate", "dataset", "epochs", "batch_size", "seed")
# What stands before the value of a field; without an entry, its name.
TITLES = {"method": "", "loss": "", "optimizer": "", "learning_rate": "rate", "dataset": "", "optimizer_options": ""}
TITLES |= {"batch_size": "batch"}
# Seconds, and the unit in which a time below them is shown.
UNITS = ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h"), (float("inf"), 86_400, "d"))
SECONDS_WITH_TENTHS = 100
WIDE = tuple(column for column in COLUMNS if column.name not in {"weights_digest", "start_time", "end_time"})


def print_runs(console: Console, runs: Sequence[Run], now: datetime | None = None) -> None:
    """The table that fits into 80 columns, between its heading and its footnote."""
    equal, other = split_by_variation(runs, SPEC_COLUMNS)
    states = {_state(run) for run in runs}
    naming = _shared_naming(runs)
    common = [*([next(iter(states))] if len(states) == 1 else []), *naming, *_words(runs[0], equal, " ")]
    console.print(f"{counted(len(runs), 'run')}: {', '.join(dict.fromkeys(common))}")
    console.print(_compact(runs, other, naming, now or datetime.now(UTC), states=len(states) > 1))
    if any(map(misreported, runs)):
        console.print(MISREPORTED)


def _compact(
    runs: Sequence[Run], columns: Sequence[Column], shared: Collection[str], now: datetime, *, states: bool
) -> PlainTable:
    digits = _digits(runs)
    # Comparisons name runs after their specs: a word that is both is shown once.
    specs = [
        " ".join(dict.fromkeys([*(one for one in _naming(run) if one not in shared), *_words(run, columns, "=")]))
        for run in runs
    ]
    titles = ["id", *(["spec"] if any(specs) else []), *(["state"] if states else [])]
    rows = [
        [run.id[:digits]]
        + ([spec] if any(specs) else [])
        + ([_state(run)] if states else [])
        + [_validation(run), _span((now - run.create_time).total_seconds()), _took(run)]
        for run, spec in zip(runs, specs, strict=True)
    ]
    return table(*titles, "validation", "age", "took", rows=rows, words=len(titles))


def _digits(runs: Sequence[Run]) -> int:
    """Characters with which every id on the page begins differently."""
    ids = {run.id for run in runs}
    longest = max(map(len, ids))
    return next((n for n in range(ID_DIGITS, longest) if len({run_id[:n] for run_id in ids}) == len(ids)), longest)


def _words(run: Run, columns: Iterable[Column], joint: str) -> list[str]:
    """The values of the columns with their titles."""
    shown = []
    for column in columns:
        value = column.value(run)
        if column.name not in ALWAYS and value == column.default:
            continue
        text = f"{value:g}" if isinstance(value, float) else kebab(value) if isinstance(value, StrEnum) else str(value)
        title = TITLES.get(column.name, kebab(column.name))
        shown.append(f"{title}{joint}{text}" if title else text)
    return shown


def _naming(run: Run) -> list[str]:
    """The name, if there is one, and the labels."""
    return [*filter(None, [run.name]), *(f"{key}={value}" for key, value in sorted(run.labels.items()))]


def _shared_naming(runs: Sequence[Run]) -> list[str]:
    """The name and the labels of the first run that all others have, too."""
    return [one for one in _naming(runs[0]) if all(one in _naming(run) for run in runs)]


def _state(run: Run) -> str:
    return "diverged" if run.result and run.result.diverged else kebab(run.state)


def _validation(run: Run) -> str:
    if run.result is None:
        return ""
    return f"{percent(run.result.validation.accuracy)} {MARK if misreported(run) else ' '}"


def _took(run: Run) -> str:
    taken = run_seconds(run)
    return "" if taken is None or run.state is RunState.QUEUED else _span(taken)


def _span(seconds: float) -> str:
    """A time with its unit, to two or three digits."""
    seconds = max(0.0, seconds)
    _, size, unit = next(entry for entry in UNITS if seconds < entry[0])
    if size == 1 and seconds < SECONDS_WITH_TENTHS:
        return f"{seconds:.1f} s"
    return f"{seconds / size:.0f} {unit}"


def print_wide(console: Console, runs: Sequence[Run]) -> None:
    """A column per value that differs, whatever the width of the terminal."""
    equal, other = split_by_variation(runs, WIDE)
    common = (f"{column.name} {_cell(column, runs[0])}" for column in equal if _cell(column, runs[0]))
    console.print(f"{counted(len(runs), 'run')}: {', '.join(common)}", soft_wrap=True)
    titles = [column.name for column in other]
    rows = [[_cell(column, run) for column in other] for run in runs]
    widths = [max(map(len, cells)) + 2 for cells in zip(titles, *rows, strict=True)]
    console.width = max(console.width, sum(widths))
    console.print(table(*titles, rows=rows, words=len(titles)))


def _cell(column: Column, run: Run) -> str:
    value = column.value(run)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return f"{value:.6g}" if isinstance(value, float) else column.text(run)


def runs_csv(runs: Iterable[Run]) -> str:
    """All columns of all runs; times in ISO 8601, and an empty field where a run has no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.name for column in COLUMNS)
    writer.writerows([column.text(run) for column in COLUMNS] for run in runs)
    return text.getvalue()
