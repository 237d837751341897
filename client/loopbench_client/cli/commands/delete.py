"""``loopbench delete``."""

import json as json_module
import sys
from typing import Annotated

import typer

from loopbench.spec import InvalidFieldsError, Run, RunFilter, Violation
from loopbench.text import counted, kebab
from loopbench_client.channel import DEFAULT_TIMEOUT
from loopbench_client.cli.options import Json, Server, bad_input
from loopbench_client.cli.output import err, out
from loopbench_client.cli.run_filter import takes_run_filter
from loopbench_client.cli.runs_table import ID_DIGITS, print_runs
from loopbench_client.cli.session import connect
from loopbench_client.cli.waiting import waiting
from loopbench_client.client import Client
from loopbench_client.errors import NotFoundError

PAGE_SIZE = 1_000
NOTHING_CHOSEN = "give ids, or flags that choose runs; --all chooses all runs that have ended"
BOTH = "cannot be given together with ids"
# Of matching runs that stay, as many are named.
MOST_NAMED = 5
UNCONFIRMED = "{} would be deleted: add --yes, as there is no terminal to confirm it on"


@takes_run_filter
def delete(
    wanted: RunFilter,
    run_ids: Annotated[
        list[str] | None, typer.Argument(metavar="RUN_ID", help="Ids, or their beginnings.", show_default=False)
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Choose all runs that have ended.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete the chosen runs without a question.")] = False,
    server: Server = None,
    json: Json = False,
) -> None:
    """Delete runs that have ended, with their weights and logs: those named, or all that match.

    Runs that match and have not ended stay.
    """
    chosen = everything or wanted != RunFilter()
    if run_ids and chosen:
        raise bad_input(InvalidFieldsError((Violation(field="flags that choose runs", description=BOTH),)))
    if not run_ids and not chosen:
        raise typer.BadParameter(NOTHING_CHOSEN, param_hint="RUN_ID...")
    with connect(server) as client:
        # All ids are resolved before a run is deleted.
        found = _named(client, run_ids) if run_ids else _matching(client, wanted, confirmed=yes)
        deleted: list[str] = []
        try:
            with waiting(f"the deletion of {counted(len(found), 'run')}", len(found) * DEFAULT_TIMEOUT):
                for run_id in dict.fromkeys(found):
                    _delete(client, run_id, deleted, named=bool(run_ids))
        except BaseException:
            if deleted:  # the error undoes nothing
                _print_deleted(deleted, json=json)
            raise
    _print_deleted(deleted, json=json)


def _print_deleted(deleted: list[str], *, json: bool) -> None:
    if json:
        typer.echo(json_module.dumps({"deleted": deleted}))
        return
    for run_id in deleted:
        out().print(f"run {run_id}  deleted", soft_wrap=True)
    err().print(f"{counted(len(deleted), 'run')} deleted", soft_wrap=True)


def _named(client: Client, run_ids: list[str]) -> list[str]:
    with waiting("the list of runs", DEFAULT_TIMEOUT):
        return [*map(client.find_run_id, run_ids)]


def _matching(client: Client, wanted: RunFilter, *, confirmed: bool) -> list[str]:
    with waiting("the list of runs", DEFAULT_TIMEOUT):
        matching = list(client.list_runs(wanted, page_size=PAGE_SIZE))
    runs = [run for run in matching if run.state.ended]
    if wanted != RunFilter():  # --all alone chooses no other runs
        _print_left([run for run in matching if not run.state.ended])
    return [run.id for run in runs] if not runs or confirmed or _confirm(runs) else []


def _print_left(runs: list[Run]) -> None:
    """The runs that match and are not deleted, and why."""
    if runs:
        named = ", ".join(f"{run.id[:ID_DIGITS]} {kebab(run.state)}" for run in runs[:MOST_NAMED])
        named += ", …" * (len(runs) > MOST_NAMED)
        have = "has" if len(runs) == 1 else "have"
        left = f"left {counted(len(runs), 'run')} that {have} not ended ({named})"
        err().print(f"{left}; loopbench cancel RUN_ID ends a run", soft_wrap=True)


def _confirm(runs: list[Run]) -> bool:
    if not sys.stdin.isatty():
        raise typer.BadParameter(UNCONFIRMED.format(counted(len(runs), "run")), param_hint="--yes")
    print_runs(err(), runs)
    return typer.confirm(f"Delete {counted(len(runs), 'run')}?", err=True)


def _delete(client: Client, run_id: str, deleted: list[str], *, named: bool) -> None:
    """Adds the run to ``deleted``, unless it matched and was deleted elsewhere since."""
    try:
        client.delete_run(run_id)
        deleted.append(run_id)
    except NotFoundError:
        if named:
            raise
