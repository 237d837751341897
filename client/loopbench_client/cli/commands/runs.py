"""``loopbench runs``."""

from itertools import islice
from typing import Annotated

import typer

from loopbench import wire
from loopbench.spec import Dataset, Loss, Method, RunFilter, RunState
from loopbench.v1.benchmark_service_pb2 import ListRunsResponse
from loopbench_client.cli.options import Json, Server, enum_option, validated
from loopbench_client.cli.output import out, print_json
from loopbench_client.cli.run_flags import OptimizerKind
from loopbench_client.cli.session import connect
from loopbench_client.cli.tables import runs_table
from loopbench_client.requests import PAGE_SIZE

AGAIN = "May be given again."


def runs(
    *,
    state: Annotated[list[RunState] | None, enum_option(RunState, f"Runs in this state. {AGAIN}")] = None,
    method: Annotated[list[Method] | None, enum_option(Method, f"Runs of this method. {AGAIN}")] = None,
    loss: Annotated[list[Loss] | None, enum_option(Loss, f"Runs of this loss. {AGAIN}")] = None,
    dataset: Annotated[list[Dataset] | None, enum_option(Dataset, f"Runs on this dataset. {AGAIN}")] = None,
    optimizer: Annotated[
        list[OptimizerKind] | None, enum_option(OptimizerKind, f"Runs with this optimizer. {AGAIN}")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help=f"Runs with this seed. {AGAIN}", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="Runs to show at most.")] = PAGE_SIZE,
    server: Server = None,
    json: Json = False,
) -> None:
    """List runs, the newest first."""
    values = {
        "states": state or (),
        "methods": method or (),
        "losses": loss or (),
        "datasets": dataset or (),
        "optimizers": [kind.lower() for kind in optimizer or ()],
        "seeds": seed or (),
    }
    wanted = validated(RunFilter, values)
    with connect(server) as client:
        found = list(islice(client.list_runs(wanted, page_size=min(limit, PAGE_SIZE)), limit))
    if json:
        print_json(ListRunsResponse(runs=map(wire.run_to_wire, found)))
    else:
        out().print(runs_table(found))
