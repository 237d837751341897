"""``loopbench delete``."""

from google.protobuf.empty_pb2 import Empty

from loopbench_client.cli.options import Json, RunId, Server
from loopbench_client.cli.output import out, print_json
from loopbench_client.cli.session import connect


def delete(run_id: RunId, *, server: Server = None, json: Json = False) -> None:
    """Delete a run that has ended."""
    with connect(server) as client:
        client.delete_run(run_id)
    if json:
        print_json(Empty())
    else:
        out().print(f"run {run_id}  deleted", soft_wrap=True)
