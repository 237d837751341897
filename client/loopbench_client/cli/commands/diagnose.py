"""``loopbench diagnose``."""

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from loopbench import wire
from loopbench.spec import InvalidFieldsError, RunSpec, Violation
from loopbench.text import describe
from loopbench_client.cli.options import Json, Server, bad_input
from loopbench_client.cli.output import out, print_json, waiting
from loopbench_client.cli.plan_flags import shared_values
from loopbench_client.cli.run_flags import takes_shared_values
from loopbench_client.cli.session import connect
from loopbench_client.comparing.values import Given, Values, spec_of

SIDE = "RUN_ID|'NAME=VALUE…'"
SIDE_HELP = "A run, or a spec as far as it is not the default, for example 'method=fit loss=mean-squared-error'."
NO_EFFECT = "has no effect: two runs have specs already"


@takes_shared_values
def diagnose(
    shared: Mapping[str, Any],
    first: Annotated[str, typer.Argument(metavar=SIDE, help=SIDE_HELP, show_default=False)],
    second: Annotated[str, typer.Argument(metavar=SIDE, help="The other.", show_default=False)],
    *,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Of the specs; default: 0.", show_default=False)
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Also train both with and without the fixes, and compare.")
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Seeds to verify with; the server's default is 3.", show_default=False),
    ] = None,
    server: Server = None,
    json: Json = False,
) -> None:
    """Find out by experiment why two specs, or two runs, end or report differently."""
    if seeds is not None and not verify:
        raise typer.BadParameter("has no effect without --verify", param_hint="--seeds")
    sides = _sides((first, second), shared, seed)
    with connect(server, ready=True) as client, waiting("training both and comparing" if verify else "experimenting"):
        diagnosis = client.diagnose(*sides, verify=verify, seeds=seeds)
    if json:
        print_json(wire.diagnosis_to_wire(diagnosis))
    else:
        out().print(describe(diagnosis), soft_wrap=True)


def _sides(texts: tuple[str, str], shared: Mapping[str, Any], seed: int | None) -> list[RunSpec | str]:
    """The runs' ids, and the specs that the others make on top of what they share.

    Raises:
        InvalidSpecError: naming everything that is wrong, by its place.
    """
    faults: list[Violation] = []
    common = shared_values(shared, faults)
    if all(map(_is_run_id, texts)):
        places = [given.place for given in common.values()] + ["--seed"] * (seed is not None)
        faults += [Violation(field=place, description=NO_EFFECT) for place in places]
    sides = [
        text if _is_run_id(text) else _spec(text, place, common, faults)
        for place, text in zip(("FIRST", "SECOND"), texts, strict=True)
    ]
    if faults:
        raise bad_input(InvalidFieldsError(tuple(faults)))
    seeded = {} if seed is None else {"seed": seed}
    return [side.model_copy(update=seeded) if isinstance(side, RunSpec) else side for side in sides if side]


def _is_run_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _spec(text: str, name: str, common: Mapping[str, Given], faults: list[Violation]) -> RunSpec | None:
    values = Values(faults)
    values.add_pairs(text.split(), f"{name},")
    return spec_of({**common, **values.given}, faults)
