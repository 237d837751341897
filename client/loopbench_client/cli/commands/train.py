"""``loopbench train``."""

from typing import Annotated

import typer

from loopbench import wire
from loopbench.spec import Naming, RunSpec
from loopbench.text import kebab
from loopbench_client.cli.interrupts import reporting_cancellation
from loopbench_client.cli.options import Json, Server, validated
from loopbench_client.cli.output import print_json
from loopbench_client.cli.progress import progress_bar
from loopbench_client.cli.run_filter import parse_labels
from loopbench_client.cli.run_flags import takes_run_spec
from loopbench_client.cli.session import await_answer, connect
from loopbench_client.cli.tables import print_run
from loopbench_client.cli.waiting import waiting

EMBEDDED_DETACH = "a detached run outlives the command, and the embedded server does not: name a server with --server"


# Seconds: a year.
LONGEST_TIMEOUT = 365 * 86_400


def _checked_timeout(seconds: float | None) -> float | None:
    if seconds is None or 0 <= seconds <= LONGEST_TIMEOUT:
        return seconds
    raise typer.BadParameter(f"{seconds:g} is not between 0 and {LONGEST_TIMEOUT:,} s; without --timeout, it never is")


@takes_run_spec
def train(
    spec: RunSpec,
    *,
    request_id: Annotated[
        str | None, typer.Option(help="A UUID; the same one returns the same run.", show_default=False)
    ] = None,
    name: Annotated[str, typer.Option(help="A name, by which runs and delete find the run.", show_default=False)] = "",
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A label, likewise. May be given again.", show_default=False),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end of the run.")] = False,
    timeout: Annotated[
        float | None,
        typer.Option(callback=_checked_timeout, help="Seconds after which the run is cancelled.", show_default=False),
    ] = None,
    server: Server = None,
    json: Json = False,
) -> None:
    """Train a model and print what came of it. Ctrl-C cancels the run."""
    if detach and not server:
        raise typer.BadParameter(EMBEDDED_DETACH, param_hint="--detach")
    naming = dict(validated(Naming, {"name": name, "labels": parse_labels(label or ())}))
    with connect(server, ready=True) as client:
        await_answer(client)
        if detach:
            with waiting("a place in the queue", timeout):
                run = client.train(spec, request_id=request_id, **naming, detach=True, timeout=timeout)
        else:
            with progress_bar(kebab(spec.method), timeout) as on_progress, reporting_cancellation() as remember:
                run = client.train(
                    spec, request_id=request_id, **naming, on_progress=remember(on_progress), timeout=timeout
                )
    if json:
        print_json(wire.run_to_wire(run))
    else:
        print_run(run)
