"""``loopbench watch``."""

from collections.abc import Iterable

import typer

from loopbench import wire
from loopbench.spec import Run, RunEvent, RunState
from loopbench_client.channel import DEFAULT_TIMEOUT
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.cli.options import Json, RunId, Server
from loopbench_client.cli.output import print_json
from loopbench_client.cli.progress import progress_bar
from loopbench_client.cli.runs_table import ID_DIGITS
from loopbench_client.cli.session import connect
from loopbench_client.cli.tables import print_run
from loopbench_client.cli.waiting import waiting


def watch(run_id: RunId, *, server: Server = None, json: Json = False) -> None:
    """Follow a run to its end; with --json one event a line. Ctrl-C leaves the run alone."""
    with connect(server) as client:
        with waiting("the run", DEFAULT_TIMEOUT):
            run_id = client.find_run_id(run_id)
            client.get_run(run_id)  # a watch has no time limit, in which the server must answer
        events = client.watch_run(run_id)
        run = _print_json_lines(events) if json else _follow(run_id, events)
    if run is not None and not json:
        print_run(run)
    if run is None or run.state is not RunState.SUCCEEDED:
        raise typer.Exit(ExitCode.RUN_FAILED)


def _print_json_lines(events: Iterable[RunEvent]) -> Run | None:
    run = None
    for event in events:
        print_json(wire.event_to_wire(event), indent=None)
        run = event.run or run
    return run


def _follow(run_id: str, events: Iterable[RunEvent]) -> Run | None:
    run = None
    with progress_bar(run_id[:ID_DIGITS]) as on_progress:
        for event in events:
            on_progress(event)
            run = event.run or run
    return run
