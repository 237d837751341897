"""Accuracy and agreement of all runs in the store: every server of the store exports the same values."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from loopbench.spec import FinalMetrics, Method, Run
from loopbench_server.runs.maintenance.ended_runs import ResultObserver
from loopbench_server.telemetry.metrics import labels
from loopbench_server.telemetry.metrics.normalization import uses_defaults
from loopbench_server.telemetry.metrics.parity import Parity

KEY = (*labels.SPEC, "parameters")
PARAMETERS = {True: "default", False: "other"}
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
            "loopbench_last_run_diverged", "1 where the last run that succeeded diverged, 0 where not.", *KEY
        )
        self._accuracy = gauge("loopbench_accuracy_ratio", f"Final accuracy of the last run {SOUND}.", *KEY, "split")
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
        # By label values, and by whether diverged runs count.
        self._find_newest: dict[tuple[str, ...], datetime] = {}
        self._parity = Parity()
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
            key = (*labels.spec_labels(run.spec), PARAMETERS[uses_defaults(run.spec)])
            self._show_divergence(key, run.spec.method, run.end_time, diverged=run.result.diverged is not None)
            if not run.result.diverged:
                self._show_accuracy(key, run.end_time, {"train": run.result.train, "validation": run.result.validation})
            self._show_parity(run)

    def _is_newest(self, time: datetime, *key: str) -> bool:
        # Runs of different servers may be found in another order than they ended.
        if key in self._find_newest and time < self._find_newest[key]:
            return False
        self._find_newest[key] = time
        return True

    def _show_divergence(self, key: tuple[str, ...], method: Method, time: datetime, *, diverged: bool) -> None:
        if diverged and time >= self._start:
            self._stored_diverged.labels(method).inc()
        if self._is_newest(time, *key, "any"):
            self._diverged.labels(*key).set(diverged)

    def _show_accuracy(self, key: tuple[str, ...], time: datetime, final_metrics: dict[str, FinalMetrics]) -> None:
        if not self._is_newest(time, *key, "finite"):
            return
        self._success.labels(*key).set(time.timestamp())
        for split, final in final_metrics.items():
            self._accuracy.labels(*key, split).set(final.accuracy)

    def _show_parity(self, run: Run) -> None:
        if agreement := self._parity.add(run):
            key = (run.spec.loss, run.spec.optimizer.kind, run.spec.dataset)
            self._agree.labels(*key).set(agreement.identical)
            self._difference.labels(*key).set(agreement.difference)
