"""``loopbench cancel``."""

from loopbench import wire
from loopbench.text import kebab
from loopbench_client.channel import DEFAULT_TIMEOUT
from loopbench_client.cli.options import Json, RunId, Server
from loopbench_client.cli.output import out, print_json
from loopbench_client.cli.session import connect
from loopbench_client.cli.waiting import waiting


def cancel(run_id: RunId, *, server: Server = None, json: Json = False) -> None:
    """End a run that is queued or running."""
    with connect(server) as client, waiting("the end of the run", DEFAULT_TIMEOUT):
        run = client.cancel_run(client.find_run_id(run_id))
    if json:
        print_json(wire.run_to_wire(run))
    else:
        out().print(f"run {run.id}  {kebab(run.state)}", soft_wrap=True)
