"""``loopbench watch``."""

from collections.abc import Iterable

import typer

from loopbench import wire
from loopbench.spec import Run, RunEvent, RunState
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.cli.options import Json, RunId, Server
from loopbench_client.cli.output import out, print_json
from loopbench_client.cli.progress import describe, progress_bar
from loopbench_client.cli.session import connect
from loopbench_client.cli.tables import print_run


def watch(run_id: RunId, *, server: Server = None, json: Json = False) -> None:
    """Follow a run to its end; with --json one event a line. Ctrl-C leaves the run alone."""
    with connect(server) as client:
        run_id = client.find_run_id(run_id)
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
    """A bar on a terminal; a line an event elsewhere."""
    run = None
    with progress_bar(run_id) as on_progress:
        for event in events:
            if on_progress is not None:
                on_progress(event)
            else:
                out().print(describe(event), soft_wrap=True)
            run = event.run or run
    return run
