"""Trains what a plan asks for and compares it: :func:`compare_specs`."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import fmean

from loopbench.spec import Comparison, GroupSummary, PairComparison, Run, RunEvent, RunGroup, RunSpec
from loopbench_client.client import Client
from loopbench_client.comparing.cached_runs import finished_runs
from loopbench_client.comparing.plan import FEWEST_GROUPS, Plan
from loopbench_client.comparing.training import train_all
from loopbench_client.errors import InvalidSpecError, LoopbenchError, RunEndedError

# Seconds: a hundred groups are thousands of pairs.
COMPARE_TIMEOUT = 600.0


@dataclass(frozen=True)
class Failure:
    """A run that brought no result; ``labels`` are the groups that miss it."""

    spec: RunSpec
    labels: tuple[str, ...]
    reason: str
    message: str
    run_id: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Compared:
    """What came of a comparison; every mapping is by label, in the order of the groups.

    ``runs`` SUCCEEDED, and are in the order of their seeds. A group without any is in none of the others but ``specs``;
    ``comparison`` is None where fewer than two groups are left. ``reused`` counts the runs that were there already.
    """

    specs: Mapping[str, RunSpec]
    runs: Mapping[str, tuple[Run, ...]]
    comparison: Comparison | None
    failures: tuple[Failure, ...] = ()
    reused: int = 0

    def summary(self, label: str) -> GroupSummary | None:
        """The group's figures."""
        groups = self.comparison.groups if self.comparison else ()
        return next((group for group in groups if group.label == label), None)

    def pair(self, first: str, second: str) -> PairComparison | None:
        """The verdict on two groups, in whichever order they stand."""
        pairs = self.comparison.pairs if self.comparison else ()
        return next((pair for pair in pairs if {pair.first_label, pair.second_label} == {first, second}), None)

    def diverged(self, label: str) -> tuple[int, ...]:
        """The seeds under which the group's runs diverged; none of a group without results."""
        summary = self.summary(label)
        return summary.diverged_seeds if summary else ()

    def reported(self, label: str) -> float:
        """Mean of the validation accuracies that the group's loops reported last; an accuracy metric may be wrong."""
        return fmean(run.result.reported_validation.accuracy for run in self.runs[label] if run.result)

    def misreports(self, label: str) -> bool:
        """Whether that differs from what was counted by more than the margin; where runs diverged, neither counts."""
        summary = self.summary(label)
        if self.comparison is None or summary is None or summary.diverged_seeds:
            return False
        return abs(self.reported(label) - summary.validation_accuracy_mean) > self.comparison.margin


class Watcher:
    """Receives the progress of a comparison, in the thread that started it. This class ignores it."""

    def begin(self, jobs: Mapping[RunSpec, tuple[str, ...]], found: Mapping[RunSpec, Run]) -> None:
        """Everything to train with the labels it goes by, and the runs that are there already."""

    def progress(self, spec: RunSpec, event: RunEvent) -> None:
        """A run has come this far."""

    def ended(self, spec: RunSpec, end: Run | Failure) -> None:
        """A run has ended."""


def compare_specs(client: Client, plan: Plan, *, fresh: bool = False, watcher: Watcher | None = None) -> Compared:
    """Trains every spec under every seed, and compares the groups.

    Runs that the server has are not trained again, unless they are to be ``fresh``. A run that fails does not stop the
    others. An exception, such as KeyboardInterrupt, cancels what is running; the same call goes on from there.

    Raises:
        ServerUnavailableError: the server is not ready, or was lost.
    """
    runs, failures, reused = _trained(client, plan, fresh, watcher or Watcher()) if plan.specs else ({}, {}, 0)
    by_label = {label: _by_seed(runs[spec] for spec in plan.seeded(label) if spec in runs) for label in plan.specs}
    groups = [*plan.groups]
    groups += [
        RunGroup(label=label, run_ids=tuple(run.id for run in found)) for label, found in by_label.items() if found
    ]
    comparison = None
    if len(groups) >= FEWEST_GROUPS:
        comparison = client.compare(groups, plan.margin, plan.alpha, timeout=COMPARE_TIMEOUT)
    given = {group.label: _by_seed(map(client.get_run, group.run_ids)) for group in plan.groups}
    return Compared(
        specs={label: found[0].spec for label, found in given.items()} | {**plan.specs},
        runs=given | {label: found for label, found in by_label.items() if found},
        comparison=comparison,
        failures=tuple(failures.values()),
        reused=reused,
    )


def _by_seed(runs: Iterable[Run]) -> tuple[Run, ...]:
    return tuple(sorted(runs, key=lambda run: run.spec.seed))


def _trained(
    client: Client, plan: Plan, fresh: bool, watcher: Watcher
) -> tuple[dict[RunSpec, Run], dict[RunSpec, Failure], int]:
    """Runs and failures by spec, and how many of the runs were there already."""
    info, jobs = client.wait_ready(), plan.jobs()
    runs = {} if fresh else finished_runs(client, jobs, info.versions)
    reused, failures = len(runs), dict[RunSpec, Failure]()
    watcher.begin(jobs, runs)
    missing = {spec: plan.naming(labels) for spec, labels in jobs.items() if spec not in runs}
    with closing(train_all(client, missing, info.limits.slots)) as outcomes:
        for spec, outcome in outcomes:
            if isinstance(outcome, RunEvent):
                watcher.progress(spec, outcome)
                continue
            if isinstance(outcome, Run):
                runs[spec] = outcome
            else:
                failures[spec] = _failure(spec, jobs[spec], outcome)
            watcher.ended(spec, runs.get(spec) or failures[spec])
    return runs, failures, reused


def _failure(spec: RunSpec, labels: Sequence[str], error: LoopbenchError) -> Failure:
    message = error.message
    if isinstance(error, InvalidSpecError):
        message += "".join(f"; {violation.field}: {violation.description}" for violation in error.violations)
    run_id = error.run_id if isinstance(error, RunEndedError) else ""
    return Failure(spec, tuple(labels), error.reason, message, run_id, error.hint)
