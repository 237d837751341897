"""``loopbench show``."""

from loopbench import wire
from loopbench_client.channel import DEFAULT_TIMEOUT
from loopbench_client.cli.options import Json, RunId, Server
from loopbench_client.cli.output import out, print_json
from loopbench_client.cli.session import connect
from loopbench_client.cli.tables import history_table, print_run
from loopbench_client.cli.waiting import waiting


def show(run_id: RunId, *, server: Server = None, json: Json = False) -> None:
    """Show a run with its history by epoch."""
    with connect(server) as client, waiting("the run", DEFAULT_TIMEOUT):
        run = client.get_run(client.find_run_id(run_id))
    if json:
        print_json(wire.run_to_wire(run))
        return
    print_run(run)
    if run.result is not None:
        out().print(history_table(run.result.history))
