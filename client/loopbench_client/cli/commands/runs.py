"""``loopbench runs``."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from loopbench import wire
from loopbench.spec import Run, RunFilter
from loopbench.v1.benchmark_service_pb2 import ListRunsResponse
from loopbench_client.channel import DEFAULT_TIMEOUT
from loopbench_client.cli.options import Json, Server, enum_option
from loopbench_client.cli.output import err, out, print_json
from loopbench_client.cli.run_filter import takes_run_filter
from loopbench_client.cli.runs_table import print_runs, print_wide, runs_csv
from loopbench_client.cli.session import connect
from loopbench_client.cli.waiting import waiting
from loopbench_client.requests import PAGE_SIZE
from loopbench_client.run_columns import COLUMNS, sorted_runs

LARGEST_PAGE, LARGEST_LIMIT = 1_000, 1_000_000_000
SortColumn = StrEnum("SortColumn", {column.name.upper(): column.name.upper() for column in COLUMNS})  # type: ignore[misc]  # mypy wants literals

ONE_FORM = "give one of --wide, --csv and --json"


@takes_run_filter
def runs(
    wanted: RunFilter,
    *,
    limit: Annotated[
        int, typer.Option(min=1, max=LARGEST_LIMIT, metavar="NUMBER", help="Runs to show at most.")
    ] = PAGE_SIZE,
    sort: Annotated[
        SortColumn | None, enum_option(SortColumn, "Sort all matching runs by a column, before --limit applies.")
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="With --sort: the largest value first.")] = False,
    wide: Annotated[bool, typer.Option("--wide", help="Show a column for every value that differs.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print all columns as CSV.")] = False,
    server: Server = None,
    json: Json = False,
) -> None:
    """List runs, the newest first. Other commands accept the beginning of an id, from 4 characters on."""
    if wide + csv + json > 1:
        raise typer.BadParameter(ONE_FORM, param_hint="--wide, --csv, --json")
    if reverse and sort is None:
        raise typer.BadParameter("has no effect without --sort", param_hint="--reverse")
    with connect(server) as client, waiting("the list of runs", DEFAULT_TIMEOUT):
        listed: Iterable[Run] = client.list_runs(wanted, page_size=LARGEST_PAGE if sort else min(limit, LARGEST_PAGE))
        if sort:
            listed = sorted_runs(listed, sort.lower(), descending=reverse)
        found = list(islice(listed, limit))
    _print(found, wide=wide, csv=csv, json=json)


def _print(found: Sequence[Run], *, wide: bool, csv: bool, json: bool) -> None:
    if json:
        print_json(ListRunsResponse(runs=map(wire.run_to_wire, found)))
    elif csv:
        typer.echo(runs_csv(found), nl=False)
    elif not found:
        err().print("no runs")
    else:
        show: Callable[..., None] = print_wide if wide else print_runs
        show(out(), found)
