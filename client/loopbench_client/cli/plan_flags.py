"""The plan of a comparison, from everything that a command line can give of one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loopbench.spec import InvalidFieldsError, RunGroup, Violation, violations_of
from loopbench.text import kebab
from loopbench_client.cli.options import bad_input
from loopbench_client.cli.run_flags import GROUP, OPTION_FLAGS
from loopbench_client.comparing.plan import FEWEST_GROUPS, Draft, Plan, make_plan
from loopbench_client.comparing.plan_file import read_draft
from loopbench_client.comparing.presets import Preset
from loopbench_client.comparing.spec_text import read_spec
from loopbench_client.comparing.values import Given, Values

NO_SPECS = "is for specs, and there are none: give --spec, --file or --preset"
ONLY_SPECS = "cannot be given together with --across, which finds the runs of specs itself"
ONE_SOURCE = "cannot be given together with --file"


@dataclass(frozen=True)
class PlanFlags:
    """The values of the flags.

    ``shared`` (what all specs have) and ``settings`` (seeds, seed, margin, alpha) hold those that are given, by their
    names.
    """

    groups: tuple[str, ...]
    specs: tuple[str, ...]
    shared: Mapping[str, Any]
    settings: Mapping[str, object]
    file: Path | None = None
    preset: Preset | None = None
    fresh: bool = False
    across: bool = False

    @property
    def for_specs(self) -> list[str]:
        """The flags that apply to specs, and not to existing runs."""
        names = [*self.shared, *(name for name in self.settings if name in ("seeds", "seed"))]
        names += ["fresh"] * self.fresh + ["across"] * self.across
        return [f"--{kebab(name)}" for name in names]


def plan_from_flags(flags: PlanFlags) -> Plan:
    """The plan that the flags describe.

    Raises:
        InvalidSpecError: naming everything that is wrong, by its place.
    """
    faults: list[Violation] = []
    base = _base(flags, faults)
    groups = _groups(flags.groups, faults)
    if flags.across and groups:
        faults.append(Violation(field=GROUP, description=ONLY_SPECS))
    specs = tuple(read_spec(text, faults) for text in flags.specs)
    if not specs and not base.specs and not base.faults:
        faults += [Violation(field=flag, description=NO_SPECS) for flag in flags.for_specs]
    settings = {name: Given(f"--{name}", str(value)) for name, value in flags.settings.items()}
    over = Draft(settings, shared_values(flags.shared, faults), specs, tuple(faults))
    try:
        return make_plan(base, over, groups, fewest=1 if flags.across else FEWEST_GROUPS)
    except InvalidFieldsError as error:
        raise bad_input(error) from error


def _base(flags: PlanFlags, faults: list[Violation]) -> Draft:
    """What the file or the preset gives."""
    if flags.file is not None and flags.preset is not None:
        faults.append(Violation(field="--preset", description=ONE_SOURCE))
    if flags.file is not None:
        return read_draft(flags.file)
    return flags.preset.draft() if flags.preset else Draft()


def shared_values(values: Mapping[str, Any], faults: list[Violation]) -> Mapping[str, Given]:
    """What the flags of a spec give for several; what is wrong with their form goes to ``faults``."""
    common = Values(faults)
    for name, value in values.items():
        if name in OPTION_FLAGS.values():
            common.add_pairs(value, f"--{kebab(name)}")
        else:
            common.add(name, f"--{kebab(name)}", str(value))
    return common.given


def _groups(texts: Iterable[str], faults: list[Violation]) -> tuple[RunGroup, ...]:
    """``tape=ID,ID`` → a group."""
    groups = []
    for text in texts:
        label, equals, run_ids = text.partition("=")
        if not equals:
            faults.append(Violation(field=f"group {text!r}", description="is not of the form LABEL=RUN_ID,RUN_ID..."))
            continue
        try:
            groups.append(RunGroup(label=label, run_ids=tuple(name for name in run_ids.split(",") if name)))
        except ValidationError as error:
            found = violations_of(error.errors(), f"group {label!r}, ")
            faults += [
                violation.model_copy(update={"field": violation.field.replace(" .", " ")}) for violation in found
            ]
    return tuple(groups)
