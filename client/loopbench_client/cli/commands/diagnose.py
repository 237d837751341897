"""``loopbench diagnose``."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from loopbench import page, wire
from loopbench.spec import Diagnosis, InvalidFieldsError, RunSpec, Violation
from loopbench.spec.environments import differing_facts
from loopbench.text import PLAIN, Context, answer, details, kebab, specs_in_words
from loopbench_client.channel import DIAGNOSE_TIMEOUT
from loopbench_client.cli.comparisons import print_differing
from loopbench_client.cli.files import check_file
from loopbench_client.cli.options import Json, Server, bad_input
from loopbench_client.cli.output import err, out, print_json
from loopbench_client.cli.plan_flags import shared_values
from loopbench_client.cli.python_loops import diagnose_python
from loopbench_client.cli.run_flags import takes_shared_values
from loopbench_client.cli.session import await_answer, connect
from loopbench_client.cli.waiting import waiting
from loopbench_client.client import Client
from loopbench_client.comparing.values import Given, Values, spec_of
from loopbench_client.output_files import writing

# A whole id, or its beginning. A spec has an equals sign.
RUN_ID = re.compile(r"[0-9a-f-]{4,36}")
SIDE = "RUN_ID|'NAME=VALUE...'"
SIDE_HELP = "A run, or a spec as far as it is not the default, for example 'method=fit loss=mean-squared-error'."
PYTHON_HELP = (
    "Diagnose functions of your own program in this process, each as MODULE:NAME or FILE.py:NAME: the model factory, "
    "the data and a loop; a second loop is compared with the first. Needs the extra 'diagnose', and no server."
)
NO_EFFECT = "has no effect: two runs have specs already"
NO_EFFECT_IN_PYTHON = "has no effect with --python"
NO_EFFECT_WITHOUT_PYTHON = "has no effect without --python"


@takes_shared_values
def diagnose(
    shared: Mapping[str, Any],
    first: Annotated[str | None, typer.Argument(metavar=SIDE, help=SIDE_HELP, show_default=False)] = None,
    second: Annotated[str | None, typer.Argument(metavar=SIDE, help="The other.", show_default=False)] = None,
    *,
    python: Annotated[
        tuple[str, str, str] | None,
        # A second loop, where there is one, is the first argument: an option takes a fixed number of words.
        typer.Option("--python", metavar="BUILD_MODEL DATA LOOP [SECOND]", help=PYTHON_HELP, show_default=False),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="Most samples to use of the data of --python; default: 2003.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**32 - 1, help="Of the specs, or of --python; default: 0.", show_default=False),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Also train both with and without the fixes, and compare.")
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Seeds to verify with; the server's default is 3.", show_default=False),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the diagnosis as one HTML file.", show_default=False),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Also print the measurements that agree.")] = False,
    server: Server = None,
    json: Json = False,
) -> None:
    """Find out by experiment why two specs, runs or loops differ, or why a program of your own trains badly."""
    if seeds is not None and not verify:
        raise typer.BadParameter("has no effect without --verify", param_hint="--seeds")
    if report is not None:
        check_file(report, "--report")
    if python is not None:
        _refuse(NO_EFFECT_IN_PYTHON, {"SECOND": second, "--verify": verify, **_flags(shared)})
        loops = diagnose_python((*python, *filter(None, (first,))), samples=samples, seed=seed)
        _print(loops, context=loops.context, verbose=verbose, json=json)
        save: Callable[[Path], Path] = loops.save
    else:
        _refuse(NO_EFFECT_WITHOUT_PYTHON, {"--samples": samples})
        sides = _sides(_both(first, second), shared, seed)
        work = "the experiments and the training of both sides" if verify else "the experiments"
        with connect(server, ready=True) as client:
            await_answer(client)
            with waiting(work, DIAGNOSE_TIMEOUT):
                known = [_whole_id(client, side) for side in sides]
                # Before the experiments: a run that is deleted during them costs nothing.
                other = differing_facts(client.get_run(side) for side in known if isinstance(side, str))
                found = client.diagnose(*known, verify=verify, seeds=seeds)
        _print(found, verbose=verbose, json=json)
        if not json:
            print_differing(other)
        save = partial(_save, found)
    if report is not None:
        with writing(report):
            path = save(report)
        err().print(f"report: {path}", soft_wrap=True)


def _flags(shared: Mapping[str, Any]) -> dict[str, Any]:
    return {f"--{kebab(name)}": value for name, value in shared.items()}


def _refuse(complaint: str, given: Mapping[str, Any]) -> None:
    """Raises an error if any of the values is given, by its place on the command line."""
    places = [place for place, value in given.items() if value is not None and value is not False]
    if places:
        raise bad_input(InvalidFieldsError(tuple(Violation(field=place, description=complaint) for place in places)))


def _both(first: str | None, second: str | None) -> tuple[str, str]:
    if first is None or second is None:
        raise typer.BadParameter("give both sides, or --python", param_hint="FIRST and SECOND")
    return first, second


def _save(diagnosis: Diagnosis, path: Path) -> Path:
    return page.save(path, page.document(diagnosis))


def _print(diagnosis: Diagnosis, *, context: Context = PLAIN, verbose: bool, json: bool) -> None:
    if json:
        # The library's diagnosis has more fields than the contract.
        plain = Diagnosis(**{name: getattr(diagnosis, name) for name in Diagnosis.model_fields})
        more: dict[str, Any] = {"configuration": context.configuration, "notes": context.notes}
        print_json(wire.diagnosis_to_wire(plain), **{name: value for name, value in more.items() if value})
        return
    console = out()
    parts = [
        answer(diagnosis, context),
        "\n".join(f"{name + ':':<7} {words}" for name, words in specs_in_words(diagnosis).items()),
        details(diagnosis, verbose=verbose, context=context),
    ]
    # A terminal shows the end of a long text; a file is read from its beginning.
    ordered = reversed(parts) if console.is_terminal else parts
    console.print("\n\n".join(filter(None, ordered)), soft_wrap=True)


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
    return RUN_ID.fullmatch(text.lower()) is not None


def _whole_id(client: Client, side: RunSpec | str) -> RunSpec | str:
    return client.find_run_id(side) if isinstance(side, str) else side


def _spec(text: str, name: str, common: Mapping[str, Given], faults: list[Violation]) -> RunSpec | None:
    values = Values(faults)
    values.add_pairs(text.split(), f"{name},")
    return spec_of({**common, **values.given}, faults)
