"""``loopbench sweep``."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from loopbench.spec import InvalidFieldsError, Violation, violations_of
from loopbench.sweep import Sweep
from loopbench.text import kebab
from loopbench_client.cli.error_output import command_line
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.cli.options import Json, bad_input, enum_option
from loopbench_client.cli.output import err
from loopbench_client.cli.sweeps import print_sweep, print_sweep_json, printing_outcomes
from loopbench_client.cli.waiting import announcing
from loopbench_client.comparing.plan_file import name_of
from loopbench_client.sweeping.kubernetes import PARALLELISM, manifest
from loopbench_client.sweeping.local import STOP_TIMEOUT, Attempt, Started, processes_at_once, train_locally
from loopbench_client.sweeping.options import JobOptions, SweepOptions
from loopbench_client.sweeping.plan import read_plan

O = TypeVar("O", bound=SweepOptions)  # noqa: E741  # options


class Target(StrEnum):
    """What a sweep can be written for."""

    KUBERNETES = "KUBERNETES"


NOTHING_CHOSEN = "no place to run: give --local, or --emit kubernetes"
BOTH_CHOSEN = "cannot be given together with --emit"
FOR_KUBERNETES = "is for --emit kubernetes"
FOR_LOCAL = "is for --local"
RESUMES = "the same command again resumes here: finished runs are not repeated"
PANEL = "With --emit kubernetes"


def _option(text: str, metavar: str = "NAME") -> Any:
    return typer.Option(metavar=metavar, help=text, show_default=False, rich_help_panel=PANEL)


def sweep(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.yaml", help="Specs and seeds, as for compare --file.", show_default=False)
    ],
    *,
    emit: Annotated[Target | None, enum_option(Target, "Print what runs the sweep elsewhere.")] = None,
    local: Annotated[bool, typer.Option("--local", help="Run it on this machine, and wait for it.")] = False,
    name: Annotated[
        str | None, typer.Option(help="Its name; default: the file's. Under another, all runs are new.")
    ] = None,
    parallelism: Annotated[
        int | None,
        typer.Option(help=f"Runs at once; default: one a core of this machine, {PARALLELISM} in a cluster."),
    ] = None,
    image: Annotated[str | None, _option("Container image; default: loopbench, of this version.", "IMAGE")] = None,
    namespace: Annotated[str | None, _option("Namespace; default: that of kubectl.")] = None,
    queue: Annotated[str | None, _option("LocalQueue of Kueue that admits the Job.")] = None,
    gpus: Annotated[int | None, _option("GPUs a run; default: 0.", "NUMBER")] = None,
    store_secret: Annotated[
        str | None, _option("Secret whose key url has the URL of the store; default: loopbench-store.")
    ] = None,
    data_claim: Annotated[str | None, _option("PersistentVolumeClaim with mnist.npz; without it a download.")] = None,
    json: Json = False,
) -> None:
    """Train every spec of a file under every seed, each run in a separate process, without a server.

    All write to the store that LOOPBENCH_STORE_URL names. Finished runs are not repeated, here or there.
    """
    if emit is None and not local:
        raise typer.BadParameter(NOTHING_CHOSEN, param_hint="--local")
    if emit is not None and local:
        raise typer.BadParameter(BOTH_CHOSEN, param_hint="--local")
    common = {"name": name_of(file) if name is None else name, "parallelism": parallelism}
    job = {
        "image": image,
        "namespace": namespace,
        "queue": queue,
        "gpus": gpus,
        "store_secret": store_secret,
        "data_claim": data_claim,
    }
    given = {option: value for option, value in job.items() if value is not None}
    if local:
        faults = [Violation(field=f"--{kebab(option)}", description=FOR_KUBERNETES) for option in given]
        _run_here(*_checked(file, SweepOptions, common, faults), json=json)
    else:
        faults = [Violation(field="--json", description=FOR_LOCAL)] * json
        typer.echo(manifest(*_checked(file, JobOptions, common | given, faults), command_line()), nl=False)


def _checked(file: Path, kind: type[O], values: dict[str, Any], faults: list[Violation]) -> tuple[Sweep, O]:
    """The sweep in ``file``, and the options.

    Raises:
        InvalidSpecError: naming all that is wrong with both, and the ``faults`` there are.
    """
    try:
        options = kind.model_validate(values)
    except ValidationError as error:
        faults += [
            Violation(field=f"--{kebab(violation.field)}", description=violation.description)
            for violation in violations_of(error.errors())
        ]
    try:
        # A bad name has been reported.
        made = read_plan(file, "any" if faults else options.name)
    except InvalidFieldsError as error:
        faults += error.violations
    if faults:
        raise bad_input(InvalidFieldsError(tuple(faults)))
    return made, options


@contextmanager
def _stopped_at_the_end(
    outcomes: Generator[Started | Attempt, None, None],
) -> Iterator[Iterator[Started | Attempt]]:
    try:
        yield outcomes
    finally:
        with announcing(err(), "the end of the processes", STOP_TIMEOUT):
            outcomes.close()


def _run_here(made: Sweep, options: SweepOptions, *, json: bool) -> None:
    ended: dict[int, Attempt] = {}
    at_once = processes_at_once(made, options.parallelism)
    try:
        with (
            printing_outcomes(made, at_once) as print_outcome,
            _stopped_at_the_end(train_locally(made, at_once)) as outcomes,
        ):
            for outcome in outcomes:
                print_outcome(outcome)
                if isinstance(outcome, Attempt) and outcome.final:
                    ended[outcome.index.number] = outcome
    except KeyboardInterrupt:
        err().print(RESUMES, soft_wrap=True)
        raise
    (print_sweep_json if json else print_sweep)(made, ended)
    if any(number not in ended or ended[number].run is None for number in range(made.size)):
        raise typer.Exit(ExitCode.RUN_FAILED)
