"""Verdicts on one spec in two environments: did another version, driver or machine change training?

:func:`compare_environments` groups the runs of a plan by the environment that trained them.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from loopbench.spec import (
    Comparison,
    Device,
    InvalidFieldsError,
    PairComparison,
    Run,
    RunGroup,
    RunSpec,
    ServerInfo,
    Violation,
)
from loopbench.spec.environments import EnvironmentKey, differing, environment_key
from loopbench_client.channel import DEFAULT_TIMEOUT
from loopbench_client.client import Client
from loopbench_client.comparing.cached_runs import succeeded_runs
from loopbench_client.comparing.compared import (
    COMPARE_TIMEOUT,
    LISTED,
    Failure,
    Watcher,
    by_seed,
    train_missing,
    wait_ready,
)
from loopbench_client.comparing.plan import FEWEST_GROUPS, Plan

# The baseline is then the environment before that of the servers, on the same hardware.
PREVIOUS = "previous"
# Of one comparison.
MOST_ENVIRONMENTS = 100
NO_FORM = f"is neither NAME=VALUE,NAME=VALUE... nor {PREVIOUS}"

Environments = Mapping[str, "FoundEnvironment"]


@dataclass
class FoundEnvironment:
    """An environment, the newest run of each spec in it, and when the first of its runs was created.

    ``here`` says whether the servers of this client have the environment now.
    """

    key: EnvironmentKey
    here: bool = False
    runs: dict[RunSpec, Run] = field(default_factory=dict)
    began: datetime | None = None

    def add_older(self, run: Run) -> None:
        """Takes a run that was created before all others here."""
        self.runs.setdefault(run.spec, run)
        self.began = run.create_time

    def add_newer(self, run: Run) -> None:
        """Takes a run that was created after all others here."""
        self.runs[run.spec] = run
        self.began = self.began or run.create_time


@dataclass(frozen=True)
class SpecComparison:
    """A comparison of environments by their labels, on the runs of one spec.

    ``gated`` are the pairs to which a requirement applies.
    """

    spec: str
    comparison: Comparison
    gated: tuple[PairComparison, ...]


@dataclass(frozen=True)
class AcrossEnvironments:
    """Environments of a plan, and their comparisons.

    Attributes:
        environments: environments with runs, by label, in the order of their first runs.
        comparisons: comparisons of each spec; several where each pair with the baseline is compared separately.
        not_compared: specs without a comparison.
        unproven: specs of which the named baseline has no run, so that a requirement cannot be met.
        failures: runs that ended without a result.
        reused: number of runs that were not trained again.
    """

    environments: Environments
    comparisons: tuple[SpecComparison, ...]
    not_compared: tuple[str, ...]
    unproven: tuple[str, ...]
    failures: tuple[Failure, ...]
    reused: int


def compare_environments(
    client: Client, plan: Plan, baseline: str | None = None, *, fresh: bool = False, watcher: Watcher | None = None
) -> AcrossEnvironments:
    """Trains the plan in the environment of the server, and compares the runs of each spec across environments.

    Runs that the server's environment has already are not trained again, unless they are to be ``fresh``.

    Args:
        client: client of a server, or of several in one environment.
        plan: specs, without groups of runs.
        baseline: environment to compare with. None compares every two environments. ``previous`` compares the
            environment of the server with the one before it on the same hardware. Values such as ``keras=3.12.0`` or
            ``tensorflow=2.20,device=cpu`` compare the environment that has them with every other one.
        fresh: whether to train everything again.
        watcher: observer of the progress.

    Raises:
        InvalidFieldsError: not exactly one environment has the values of the baseline, or there are too many
            environments to compare every two.
        ServerUnavailableError: the server is not ready, or was lost.
    """
    watcher = watcher or Watcher()
    info, jobs = wait_ready(client, watcher), plan.jobs()
    here = {one.device: FoundEnvironment(environment_key(one), here=True) for one in info.environments}
    found = {one.key: one for one in here.values()}
    with watcher.waiting(LISTED, DEFAULT_TIMEOUT):
        for run in succeeded_runs(client, jobs):
            _environment(run, found).add_older(run)
    # Before hours of training.
    named = None if baseline in (None, PREVIOUS) else match_baseline(str(baseline), found)
    own = {} if fresh else _own_runs(jobs, here, info)
    trained = train_missing(client, plan, own, info.limits.slots, watcher)
    for spec in trained.runs.keys() - own.keys():
        environment = _environment(trained.runs[spec], found)
        environment.add_newer(trained.runs[spec])
        environment.here = True
    environments = _labelled(found.values())
    chosen = next((label for label, one in environments.items() if one.key == named), baseline)
    with watcher.waiting("the verdicts", COMPARE_TIMEOUT):
        compared = tuple(
            one for label in plan.specs for one in _compare_spec(client, plan, label, environments, chosen)
        )
    not_compared = tuple(label for label in plan.specs if label not in {one.spec for one in compared})
    moved = named is not None and any(one.here and one.key != named for one in environments.values())
    return AcrossEnvironments(
        environments=environments,
        comparisons=compared,
        not_compared=not_compared,
        unproven=not_compared if moved else (),
        failures=tuple(trained.failures.values()),
        reused=trained.reused,
    )


def _own_runs(jobs: Iterable[RunSpec], here: Mapping[Device, FoundEnvironment], info: ServerInfo) -> dict[RunSpec, Run]:
    """The runs that the server would repeat bit for bit."""
    places = {spec: here.get(_device(spec, info)) for spec in jobs}
    return {spec: place.runs[spec] for spec, place in places.items() if place and spec in place.runs}


def _environment(run: Run, found: dict[EnvironmentKey, FoundEnvironment]) -> FoundEnvironment:
    assert run.result is not None, "a run that SUCCEEDED has a result"
    key = environment_key(run.result.environment)
    return found.setdefault(key, FoundEnvironment(key))


def _device(spec: RunSpec, info: ServerInfo) -> Device:
    """The device on which the server would train."""
    if spec.device is not Device.AUTO:
        return spec.device
    gpus = sum(device.type is Device.GPU for device in info.devices)
    return Device.GPU if gpus >= spec.replicas else Device.CPU


def _labelled(found: Iterable[FoundEnvironment]) -> dict[str, FoundEnvironment]:
    """``#1`` for the environment of the first run, and so on; an environment without runs has no label."""
    began = [(one.began, number, one) for number, one in enumerate(found) if one.began]
    return {f"#{place}": one for place, (*_, one) in enumerate(sorted(began), 1)}


def _compare_spec(
    client: Client, plan: Plan, label: str, environments: Environments, baseline: str | None
) -> Iterable[SpecComparison]:
    runs = {
        name: by_seed(one.runs[spec] for spec in plan.seeded(label) if spec in one.runs)
        for name, one in environments.items()
    }
    known = {name: environments[name] for name, found in runs.items() if found}
    for names in _choices(known, baseline):
        groups = [RunGroup(label=name, run_ids=tuple(run.id for run in runs[name])) for name in names]
        comparison = client.compare(groups, plan.margin, plan.alpha, timeout=COMPARE_TIMEOUT)
        gated = (pair for pair in comparison.pairs if baseline is None or environments[pair.second_label].here)
        yield SpecComparison(label, comparison, tuple(gated))


def _choices(environments: Environments, baseline: str | None) -> list[Sequence[str]]:
    """The labels of each comparison; a baseline comes first."""
    if baseline is None:
        return [_all_of([*environments])] if len(environments) >= FEWEST_GROUPS else []
    if baseline == PREVIOUS:
        befores = ((_before(label, environments), label) for label, one in environments.items() if one.here)
        return [(before, label) for before, label in befores if before]
    return [(baseline, label) for label in environments if label != baseline and baseline in environments]


def _all_of(labels: Sequence[str]) -> Sequence[str]:
    if len(labels) > MOST_ENVIRONMENTS:
        fault = f"is necessary: there are runs of {len(labels)} environments (limit {MOST_ENVIRONMENTS} without it)"
        raise InvalidFieldsError((Violation(field="baseline", description=fault),))
    return labels


def _before(label: str, environments: Environments) -> str | None:
    """The last environment before ``label`` on the same hardware."""
    labels = [*environments]
    earlier = reversed(labels[: labels.index(label)])
    hardware = environments[label].key.hardware
    return next((other for other in earlier if environments[other].key.hardware == hardware), None)


def match_baseline(text: str, keys: Collection[EnvironmentKey]) -> EnvironmentKey:
    """The only one of ``keys`` that has all values of ``text``.

    A value may be given by its beginning, up to a point or a space: 2.20 stands for 2.20.0, and 2.2 does not.

    Raises:
        InvalidFieldsError: there is none, or there are several.
    """
    wanted = [word.partition("=") for word in text.split(",")]
    if not all(name and value for name, _, value in wanted):
        raise _unusable(text, NO_FORM)
    found = [key for key in keys if all(_begins(key.facts.get(name, ""), value) for name, _, value in wanted)]
    if len(found) == 1:
        return found[0]
    number = f"matches {len(found)} environments" if found else "matches no environment"
    listed = "; ".join(describe(key, found or keys) for key in found or keys)
    raise _unusable(text, f"{number}; name one of: {listed}")


def _begins(value: str, text: str) -> bool:
    return bool(re.match(rf"{re.escape(text)}(?!\w)", value, re.IGNORECASE))


def _unusable(text: str, fault: str) -> InvalidFieldsError:
    return InvalidFieldsError((Violation(field="baseline", description=f"{text!r} {fault}"),))


def describe(key: EnvironmentKey, among: Collection[EnvironmentKey]) -> str:
    """The values by which an environment differs from others; all values of one that is alone."""
    names = differing(among) or key.facts
    return ",".join(f"{name}={key.facts[name]}" for name in names if name in key.facts)
