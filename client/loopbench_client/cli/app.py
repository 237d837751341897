"""The application: its commands and its global options."""

from importlib.metadata import version
from typing import Annotated

import typer

from loopbench_client.cli.access_flags import takes_access
from loopbench_client.cli.commands.cancel import cancel
from loopbench_client.cli.commands.compare import compare
from loopbench_client.cli.commands.delete import delete
from loopbench_client.cli.commands.demo import demo
from loopbench_client.cli.commands.diagnose import diagnose
from loopbench_client.cli.commands.evaluate import evaluate
from loopbench_client.cli.commands.info import info
from loopbench_client.cli.commands.runs import runs
from loopbench_client.cli.commands.show import show
from loopbench_client.cli.commands.sweep import sweep
from loopbench_client.cli.commands.tensorboard import tensorboard
from loopbench_client.cli.commands.train import train
from loopbench_client.cli.commands.watch import watch
from loopbench_client.cli.commands.weights import weights
from loopbench_client.cli.error_output import CommandGroup
from loopbench_client.cli.exit_codes import EPILOG
from loopbench_client.cli.help import Command
from loopbench_client.cli.streams import robust_streams
from loopbench_client.cli.text_arguments import takes_text

COMMANDS = (
    *(train, evaluate, compare, sweep, diagnose, runs, show, watch, weights, tensorboard, cancel, delete, info),
    demo,
)
# A command that calls no server needs no flags for access.
WITHOUT_SERVER = frozenset({sweep})

app = typer.Typer(
    name="loopbench",
    cls=CommandGroup,
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _command in COMMANDS:
    app.command(cls=Command)(takes_text(_command if _command in WITHOUT_SERVER else takes_access(_command)))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"loopbench {version('keras-loopbench')}")
        raise typer.Exit


@app.callback()
def _loopbench(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train one small network in several ways, and find out whether the ways agree."""


def main() -> None:
    """The entry point."""
    with robust_streams():
        app(prog_name="loopbench")
