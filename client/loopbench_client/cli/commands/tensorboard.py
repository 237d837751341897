"""``loopbench tensorboard``."""

import os
import re
import socket
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from loopbench.addresses import loopback_host
from loopbench.spec import Run
from loopbench.text import kebab
from loopbench_client.channel import DEFAULT_TIMEOUT
from loopbench_client.cli.options import Server
from loopbench_client.cli.output import err, out
from loopbench_client.cli.session import connect
from loopbench_client.cli.tensorboard_process import START_TIMEOUT, tensorboard_process
from loopbench_client.cli.waiting import waiting
from loopbench_client.errors import ErrorDetails, LoopbenchError, PreconditionError

# Of a run's id, where its name is not its own.
ID_DIGITS = 8
# Characters of a name: a file system keeps 255 bytes, and some characters mean something in paths and filters.
LONGEST_NAME = 60
UNSUITABLE = re.compile(r"[^\w.=+-]+")


def _free_port(value: int) -> int:
    """The port, if nothing listens on it; TensorBoard would report it after seconds, in lines of its log."""
    host = loopback_host()
    try:
        socket.create_server((host, value), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        cause = os.strerror(error.errno or 0)
        message = f"port {value} of {host} cannot be used: {cause}; port 0 takes a free one"
        raise typer.BadParameter(message) from error
    return value


def tensorboard(
    run_ids: Annotated[
        list[str],
        typer.Argument(metavar="RUN_ID", help="Runs that were trained with --tensorboard.", show_default=False),
    ],
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, callback=_free_port, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 0,
    server: Server = None,
) -> None:
    """Show the TensorBoard logs of runs side by side until Ctrl-C. The logs have to be on this machine."""
    if find_spec("tensorboard") is None:
        details = ErrorDetails("TensorBoard is not installed here", "NOT_INSTALLED")
        raise LoopbenchError(details, hint="install it beside loopbench: pip install tensorboard")
    with connect(server) as client, waiting("the runs", DEFAULT_TIMEOUT):
        folders = named_folders(client.get_run(run_id) for run_id in dict.fromkeys(map(client.find_run_id, run_ids)))
    with TemporaryDirectory(prefix="loopbench-") as temporary:
        _show(folders, Path(temporary), port)


def named_folders(runs: Iterable[Run]) -> dict[str, Path]:
    """The logs of every run, by the run's name; one without a name goes by what was trained.

    Raises:
        PreconditionError: a run has no logs, or they are not on this machine.
    """
    known = [(_name(run), run.id, _logs(run)) for run in runs]
    times = Counter(name for name, *_ in known)
    return {name if times[name] == 1 else f"{name}-{run_id[:ID_DIGITS]}": logs for name, run_id, logs in known}


def _name(run: Run) -> str:
    # TensorBoard names a run by its path, and takes each part of it for a folder.
    if name := UNSUITABLE.sub("-", run.name)[:LONGEST_NAME].strip("-."):
        return name
    return f"{kebab(run.spec.method)}-{kebab(run.spec.loss)}-{run.spec.optimizer.kind}-seed{run.spec.seed}"


def _logs(run: Run) -> Path:
    if run.result is None:
        raise PreconditionError(f"run {run.id} is {kebab(run.state)} and has no result, and so no finished logs")
    if not run.result.tensorboard_dir:
        raise PreconditionError(f"run {run.id} has no TensorBoard logs", hint="train the same with --tensorboard")
    folder = Path(run.result.tensorboard_dir)
    if not folder.is_dir():
        hint = "use this command on the server's machine, or copy the folder here under the same path"
        raise PreconditionError(f"the logs of run {run.id} are not on this machine: {folder}", hint=hint)
    return folder


def _show(folders: dict[str, Path], temporary: Path, port: int) -> None:
    logs = temporary / "logs"
    logs.mkdir()
    for name, folder in folders.items():
        # TensorBoard names a run by its path, and its help prefers such a tree to --logdir_spec.
        (logs / name).symlink_to(folder.resolve(), target_is_directory=True)
    with tensorboard_process(logs, port, temporary / "log") as board:
        with waiting("the start of TensorBoard", START_TIMEOUT):
            address = board.wait_ready()
        out().print(address, soft_wrap=True)
        err().print(f"{', '.join(folders)}; Ctrl-C ends it", soft_wrap=True)
        try:
            board.wait_ended()
        except KeyboardInterrupt:
            # The way to end it, and no failure.
            return
