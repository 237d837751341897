"""Accuracy and agreement of all runs in the store.

Every server of the store exports the same values, except for the change from the software before its own.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from loopbench.spec import Environment, Method, Run
from loopbench_server.runs.maintenance.ended_runs import ResultObserver
from loopbench_server.telemetry.metrics import labels
from loopbench_server.telemetry.metrics.accuracy import Accuracies, Key, Means, parameters
from loopbench_server.telemetry.metrics.parity import Parity
from loopbench_server.telemetry.metrics.upgrades import Upgrades

KIND = (*labels.SPEC, "parameters")
# With the digest of the specification.
KEY = (*KIND, "spec")
SPLITS = ("train", "validation")
AGREEMENT = ("loss", "optimizer", "dataset")
SOUND = "that succeeded and did not diverge"
SAME = "The same on every server of the store."


class ResultMetrics(ResultObserver):
    """Exports runs that ended; those that ended before ``start`` are not counted."""

    def __init__(self, registry: CollectorRegistry, start: datetime) -> None:
        def gauge(name: str, text: str, *names: str) -> Gauge:
            return Gauge(name, f"{text} {SAME}", names, registry=registry)

        self._start = start
        self._stored = Counter(
            "loopbench_stored_runs",
            "Runs that ended in the store since this server started. Every server of the store counts all of them.",
            ("method", "outcome"),
            registry=registry,
        )
        self._stored_diverged = Counter(
            "loopbench_stored_runs_diverged",
            "Runs that diverged and ended in the store since this server started. Every server of the store counts all "
            "of them.",
            ("method",),
            registry=registry,
        )
        self._diverged = gauge(
            "loopbench_last_run_diverged", "1 where the last run that succeeded diverged, 0 where not.", *KIND
        )
        self._accuracy = gauge(
            "loopbench_accuracy_ratio",
            f"Mean final accuracy of the runs {SOUND}, over the seeds that all methods of the specification share.",
            *KEY,
            "split",
        )
        self._seeds = gauge("loopbench_accuracy_seeds", "Number of seeds of that mean.", *KEY)
        self._success = gauge("loopbench_last_success_timestamp_seconds", f"When the last run {SOUND} ended.", *KEY)
        self._agree = gauge(
            "loopbench_methods_agree",
            "1 where all methods ended in the same weights under the last specification of several, 0 where not. "
            "Runs that diverged are left out.",
            *AGREEMENT,
        )
        self._difference = gauge(
            "loopbench_parity_difference_ratio",
            "Largest difference of final validation accuracy between methods under that specification and one seed. "
            "Runs that diverged are left out.",
            *AGREEMENT,
        )
        self._same_environments = Gauge(
            "loopbench_environments_agree",
            "1 where the software of this server ended in the same weights as the software before it on the same "
            "hardware, for every specification and seed of both, 0 where not. Runs that diverged are left out.",
            labels.SPEC,
            registry=registry,
        )
        self._environment_difference = Gauge(
            "loopbench_environment_difference_ratio",
            "Largest difference of mean final validation accuracy between both. Runs that diverged are left out.",
            labels.SPEC,
            registry=registry,
        )
        # End of the newest run of each kind, diverged or not.
        self._newest: dict[tuple[str, ...], datetime] = {}
        self._accuracies = Accuracies()
        # Methods that have series, by the specification.
        self._shown: dict[Key, set[Method]] = {}
        self._parity = Parity()
        self._upgrades = Upgrades()
        for method in Method:
            self._stored_diverged.labels(method)
            for outcome in labels.OUTCOMES:
                self._stored.labels(method, outcome)

    def run_found(self, run: Run) -> None:
        """See :class:`ResultObserver`."""
        assert run.end_time is not None
        if run.end_time >= self._start:
            self._stored.labels(run.spec.method, run.state).inc()
        if run.result:
            diverged = run.result.diverged is not None
            self._show_divergence(run, run.end_time, diverged=diverged)
            if not diverged:
                for key, means in self._accuracies.add(run).items():
                    self._show_means(key, means)
            self._show_parity(run)
            self._show_upgrades(self._upgrades.add(run))

    def set_environments(self, environments: Collection[Environment]) -> None:
        """Set the environments of this server, one per type of device."""
        self._show_upgrades(self._upgrades.set_environments(environments))

    def _show_divergence(self, run: Run, time: datetime, *, diverged: bool) -> None:
        if diverged and time >= self._start:
            self._stored_diverged.labels(run.spec.method).inc()
        kind = (*labels.spec_labels(run.spec), parameters(run))
        # Runs of different servers may be found in another order than they ended.
        if time >= self._newest.get(kind, time):
            self._newest[kind] = time
            self._diverged.labels(*kind).set(diverged)

    def _show_means(self, key: Key, means: Mapping[Method, Means]) -> None:
        for method, mean in means.items():
            self._success.labels(method, *key).set(mean.end.timestamp())
            self._seeds.labels(method, *key).set(mean.seeds)
            for split in SPLITS:
                self._accuracy.labels(method, *key, split).set(getattr(mean, split))
        for method in self._shown.get(key, set()) - means.keys():
            self._success.remove(method, *key)
            self._seeds.remove(method, *key)
            for split in SPLITS:
                self._accuracy.remove(method, *key, split)
        self._shown[key] = set(means)
        if not means:
            del self._shown[key]

    def _show_parity(self, run: Run) -> None:
        if agreement := self._parity.add(run):
            key = (run.spec.loss, run.spec.optimizer.kind, run.spec.dataset)
            self._agree.labels(*key).set(agreement.identical)
            self._difference.labels(*key).set(agreement.difference)

    def _show_upgrades(self, changed: Iterable[labels.Spec]) -> None:
        for key in changed:
            if change := self._upgrades.change(key):
                self._same_environments.labels(*key).set(change.identical)
                self._environment_difference.labels(*key).set(change.difference)
            else:
                self._same_environments.remove(*key)
                self._environment_difference.remove(*key)
