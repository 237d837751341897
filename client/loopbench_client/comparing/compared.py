"""Trains what a plan asks for and compares it: :func:`compare_specs`."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from statistics import fmean

from loopbench.spec import Comparison, GroupSummary, PairComparison, Run, RunEvent, RunGroup, RunSpec, ServerInfo
from loopbench.spec.environments import differing_facts
from loopbench.text import counted
from loopbench_client.channel import DEFAULT_TIMEOUT
from loopbench_client.client import Client
from loopbench_client.comparing.cached_runs import finished_runs
from loopbench_client.comparing.plan import FEWEST_GROUPS, Plan
from loopbench_client.comparing.training import train_all
from loopbench_client.errors import InvalidSpecError, LoopbenchError, RunEndedError

# Seconds: a hundred groups are thousands of pairs.
COMPARE_TIMEOUT = 600.0
READY_TIMEOUT = 60.0
LISTED = "the list of runs"


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

    @property
    def differing_facts(self) -> tuple[str, ...]:
        """Names of what differs between the environments of the runs, such as ``processor`` and ``keras``."""
        return differing_facts(run for runs in self.runs.values() for run in runs)

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

    def waiting(self, what: str, seconds: float | None) -> AbstractContextManager[object]:  # noqa: ARG002  for subclasses
        """The block of the result waits for ``what``, ``seconds`` at most; None is no limit."""
        return nullcontext()


def compare_specs(client: Client, plan: Plan, *, fresh: bool = False, watcher: Watcher | None = None) -> Compared:
    """Trains every spec under every seed, and compares the groups.

    Runs that the server has are not trained again, unless they are to be ``fresh``. A run that fails does not stop the
    others. An exception, such as KeyboardInterrupt, cancels what is running; the same call resumes it.

    Raises:
        ServerUnavailableError: the server is not ready, or was lost.
    """
    watcher = watcher or Watcher()
    trained = _trained(client, plan, fresh, watcher) if plan.specs else Trained({}, {}, 0)
    runs = trained.runs
    by_label = {label: by_seed(runs[spec] for spec in plan.seeded(label) if spec in runs) for label in plan.specs}
    groups = [*plan.groups]
    groups += [
        RunGroup(label=label, run_ids=tuple(run.id for run in found)) for label, found in by_label.items() if found
    ]
    comparison = None
    if len(groups) >= FEWEST_GROUPS:
        with watcher.waiting("the verdicts", COMPARE_TIMEOUT):
            comparison = client.compare(groups, plan.margin, plan.alpha, timeout=COMPARE_TIMEOUT)
    with watcher.waiting("the runs of the groups", DEFAULT_TIMEOUT):
        given = {group.label: by_seed(map(client.get_run, group.run_ids)) for group in plan.groups}
    return Compared(
        specs={label: found[0].spec for label, found in given.items()} | {**plan.specs},
        runs=given | {label: found for label, found in by_label.items() if found},
        comparison=comparison,
        failures=tuple(trained.failures.values()),
        reused=trained.reused,
    )


def by_seed(runs: Iterable[Run]) -> tuple[Run, ...]:
    """The runs in the order of their seeds."""
    return tuple(sorted(runs, key=lambda run: run.spec.seed))


@dataclass(frozen=True)
class Trained:
    """Runs and failures of a plan by spec, and how many of the runs were there already."""

    runs: Mapping[RunSpec, Run]
    failures: Mapping[RunSpec, Failure]
    reused: int


def _trained(client: Client, plan: Plan, fresh: bool, watcher: Watcher) -> Trained:
    info = wait_ready(client, watcher)
    with watcher.waiting(LISTED, DEFAULT_TIMEOUT):
        found = {} if fresh else finished_runs(client, plan.jobs(), info.environments)
    return train_missing(client, plan, found, info.limits.slots, watcher)


def wait_ready(client: Client, watcher: Watcher) -> ServerInfo:
    """Waits until the server takes runs, as :meth:`Client.wait_ready` does."""
    with watcher.waiting("the server", READY_TIMEOUT):
        return client.wait_ready(READY_TIMEOUT)


def train_missing(client: Client, plan: Plan, found: Mapping[RunSpec, Run], slots: int, watcher: Watcher) -> Trained:
    """Trains the specs of the plan that have no run in ``found``; each server trains ``slots`` runs at once."""
    jobs, runs, failures = plan.jobs(), {**found}, dict[RunSpec, Failure]()
    watcher.begin(jobs, found)
    missing = {spec: plan.naming(labels) for spec, labels in jobs.items() if spec not in found}
    end = f"the end of {counted(len(missing), 'run')}"
    with watcher.waiting(end, None), closing(train_all(client, missing, slots)) as outcomes:
        for spec, outcome in outcomes:
            if isinstance(outcome, RunEvent):
                watcher.progress(spec, outcome)
                continue
            if isinstance(outcome, Run):
                runs[spec] = outcome
            else:
                failures[spec] = _failure(spec, jobs[spec], outcome)
            watcher.ended(spec, runs.get(spec) or failures[spec])
    return Trained(runs, failures, len(found))


def _failure(spec: RunSpec, labels: Sequence[str], error: LoopbenchError) -> Failure:
    message = error.message
    if isinstance(error, InvalidSpecError):
        message += "".join(f"; {violation.field}: {violation.description}" for violation in error.violations)
    run_id = error.run_id if isinstance(error, RunEndedError) else ""
    return Failure(spec, tuple(labels), error.reason, message, run_id, error.hint)
