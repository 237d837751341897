"""``loopbench weights``."""

from pathlib import Path
from typing import Annotated

import typer

from loopbench.files import replace_file
from loopbench_client.channel import DEFAULT_TIMEOUT
from loopbench_client.cli.files import check_file
from loopbench_client.cli.options import RunId, Server
from loopbench_client.cli.output import err
from loopbench_client.cli.session import connect
from loopbench_client.cli.waiting import waiting
from loopbench_client.output_files import writing


def weights(
    run_id: RunId,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.npz", help="File to write; it is replaced, and its folder is created.", show_default=False
        ),
    ],
    *,
    server: Server = None,
) -> None:
    """Write the final weights of a run to a file of NumPy, in the order of Keras's set_weights."""
    check_file(file, "FILE.npz")
    with connect(server) as client, waiting("the weights", DEFAULT_TIMEOUT):
        packed = client.packed_weights(client.find_run_id(run_id))
    with writing(file):
        replace_file(file, packed)
    err().print(f"{file}: {len(packed):,} bytes", soft_wrap=True)
