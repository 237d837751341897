"""The sweep that a plan file describes."""

from pathlib import Path

from pydantic import ValidationError

from loopbench.spec import InvalidFieldsError, Violation, violations_of
from loopbench.sweep import FILE_BYTES, LabelledSpec, Sweep
from loopbench_client.comparing.plan import make_plan
from loopbench_client.comparing.plan_file import read_draft

NO_SPECS = "a sweep needs one at least"


def read_plan(file: Path, name: str) -> Sweep:
    """The sweep of that ``name`` in a file of specs and seeds, such as ``compare --file`` takes; one spec will do.

    Raises:
        InvalidFieldsError: naming everything that is wrong, by its place.
    """
    plan = make_plan(read_draft(file), fewest=0)
    if not plan.specs:
        raise _wrong(file, NO_SPECS)
    specs = tuple(LabelledSpec(label=label, spec=spec) for label, spec in plan.specs.items())
    try:
        sweep = Sweep(name=name, seeds=plan.seeds, specs=specs)
    except ValidationError as error:
        raise InvalidFieldsError(violations_of(error.errors(), repr(file.name))) from error
    if len(sweep.text.encode()) > FILE_BYTES:
        raise _wrong(file, f"they take more than {FILE_BYTES:,} bytes as JSON")
    return sweep


def _wrong(file: Path, words: str) -> InvalidFieldsError:
    return InvalidFieldsError((Violation(field=f"{file.name!r}, specs", description=words),))
