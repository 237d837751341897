"""Which specs to compare under which seeds: the plan, and how it is made of what people give."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from loopbench.spec import (
    PLAN_LABEL,
    ComparisonRequest,
    Input,
    InvalidFieldsError,
    Naming,
    RunGroup,
    RunSpec,
    Violation,
    shortened,
    violations_of,
)
from loopbench_client.comparing.values import Given, spec_of

DEFAULT_SEEDS = "5"
FEWEST_GROUPS = 2

NO_EFFECT = "has no effect: every spec has its own"
TOO_FEW = "a comparison needs at least two"
START_OF_A_LIST = "the seeds are listed already"


@dataclass(frozen=True)
class NamedSpec:
    """A spec as it is given: ``values`` by their names, and the place that an error names."""

    label: str
    place: str
    values: Mapping[str, Given]


@dataclass(frozen=True)
class Draft:
    """What one source gives of a plan, unchecked but for its form.

    ``settings`` may have ``seeds`` (a number, or a list with commas), ``seed`` (the first), ``margin`` and ``alpha``;
    ``common`` is what the specs share, ``faults`` what is wrong with the form. ``name`` is that of a file or a preset.
    """

    settings: Mapping[str, Given] = field(default_factory=dict)
    common: Mapping[str, Given] = field(default_factory=dict)
    specs: tuple[NamedSpec, ...] = ()
    faults: tuple[Violation, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Plan:
    """Specs by label, each to be trained under every seed; ``groups`` are of runs that there are already.

    ``name`` is that of the file or of the preset; the specs of a command line have none.
    """

    specs: Mapping[str, RunSpec]
    seeds: tuple[int, ...]
    groups: tuple[RunGroup, ...] = ()
    # Where they are None, the server has defaults.
    margin: float | None = None
    alpha: float | None = None
    name: str = field(default="", compare=False)

    def seeded(self, label: str) -> tuple[RunSpec, ...]:
        """The spec with this label under every seed."""
        return tuple(self.specs[label].model_copy(update={"seed": seed}) for seed in self.seeds)

    def jobs(self) -> dict[RunSpec, tuple[str, ...]]:
        """Everything to train, each spec once, with the labels that it goes by; all labels of a seed before the next.

        So there is something to compare early, and a comparison that is interrupted has groups of one size.
        """
        by_label = [(label, self.seeded(label)) for label in self.specs]
        jobs: dict[RunSpec, tuple[str, ...]] = {}
        for index in range(len(self.seeds)):
            for label, specs in by_label:
                jobs[specs[index]] = (*jobs.get(specs[index], ()), label)
        return jobs

    def naming(self, labels: Sequence[str]) -> Naming:
        """The name and the labels of a run that goes by ``labels``: the first of them, and the plan."""
        return Naming(name=shortened(labels[0]), labels={PLAN_LABEL: shortened(self.name)} if self.name else {})


class Seeds(Input):
    """The seeds of a comparison."""

    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1, max_length=1_000)]

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a seed is given twice")
        return value


class SeedRange(Input):
    """How many seeds, and the first of them."""

    seeds: Annotated[int, Field(ge=1, le=1_000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]


def make_plan(
    base: Draft, over: Draft | None = None, groups: Sequence[RunGroup] = (), *, fewest: int = FEWEST_GROUPS
) -> Plan:
    """The plan of two sources, of which ``over`` goes before ``base``; a spec's own values go before both.

    ``fewest`` specs and groups there have to be.

    Raises:
        InvalidFieldsError: naming everything that is wrong, by its place.
    """
    over = over or Draft()
    named = (*base.specs, *over.specs)
    common, settings = {**base.common, **over.common}, {**base.settings, **over.settings}
    faults = [*base.faults, *over.faults, *_without_effect(over.common, named), *_repeated(named, groups)]
    specs = {one.label: spec_of({**common, **one.values}, faults) for one in named}
    seeds = _seeds(settings, faults) if named else ()
    if len(named) + len(groups) < fewest and not faults:
        faults.append(Violation(field="groups", description=TOO_FEW))
    limits = _limits(settings, named, groups, faults)
    if faults:
        raise InvalidFieldsError(tuple(dict.fromkeys(faults)))
    known = {label: spec for label, spec in specs.items() if spec}
    return Plan(known, seeds, tuple(groups), name=base.name, **limits)


def _without_effect(common: Mapping[str, Given], named: Sequence[NamedSpec]) -> Iterable[Violation]:
    for name, given in common.items():
        if named and all(name in one.values for one in named):
            yield Violation(field=given.place, description=NO_EFFECT)


def _repeated(named: Sequence[NamedSpec], groups: Sequence[RunGroup]) -> Iterable[Violation]:
    seen: set[str] = set()
    of_runs = [(group.label, f"group {group.label!r}") for group in groups]
    for label, place in [*of_runs, *((one.label, one.place) for one in named)]:
        if label in seen:
            yield Violation(field=place, description="the label is given twice")
        seen.add(label)


def _seeds(settings: Mapping[str, Given], faults: list[Violation]) -> tuple[int, ...]:
    """The seeds that are listed, or as many as asked for from the first on."""
    first = settings.get("seed", Given("seed", "0"))
    # Without an own number, the first is the one that is too high, if any is.
    asked = settings.get("seeds", Given(first.place, DEFAULT_SEEDS))
    try:
        if "," in asked.text:
            if "seed" in settings:
                faults.append(Violation(field=first.place, description=START_OF_A_LIST))
            return Seeds.model_validate({"seeds": [text for text in asked.text.split(",") if text.strip()]}).seeds
        wanted = SeedRange.model_validate({"seeds": asked.text, "seed": first.text})
        return Seeds(seeds=tuple(range(wanted.seed, wanted.seed + wanted.seeds))).seeds
    except ValidationError as error:
        places = {"seeds": asked.place, "seed": first.place}
        faults += [
            Violation(field=places[violation.field.partition(".")[0]], description=violation.description)
            for violation in violations_of(error.errors())
        ]
        return ()


def _limits(
    settings: Mapping[str, Given], named: Sequence[NamedSpec], groups: Sequence[RunGroup], faults: list[Violation]
) -> dict[str, Any]:
    """Margin and alpha, where they are given; what the contract would refuse later is refused now."""
    places = dict.fromkeys((group.label for group in groups), "groups") | {one.label: one.place for one in named}
    given = {name: settings[name] for name in ("margin", "alpha") if name in settings}
    request = {"groups": [{"label": label, "run_ids": ("to come",)} for label in places]}
    try:
        checked = ComparisonRequest.model_validate(request | {name: one.text for name, one in given.items()})
    except ValidationError as error:
        by_field = {name: one.place for name, one in given.items()} | {"groups": "groups"}
        by_field |= {f"groups.{index}.label": place for index, place in enumerate(places.values())}
        faults += [
            Violation(field=by_field[violation.field], description=violation.description)
            # Whether there are enough is known, and a group with a bad label counts.
            for violation in violations_of([one for one in error.errors() if one["type"] != "too_short"])
        ]
        return {}
    return {name: getattr(checked, name) for name in given}
