"""What the store holds of accuracy and agreement, whoever trained it: every server on it shows the same."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from loopbench.spec import Audit, Method, Run
from loopbench_server.metrics import labels
from loopbench_server.metrics.parity import Parity
from loopbench_server.metrics.usual import is_usual
from loopbench_server.runs.stored_results import ResultObserver

KEY = (*labels.SPEC, "parameters")
PARAMETERS = {True: "default", False: "other"}
AGREEMENT = ("loss", "optimizer", "dataset")
SAME = "The same on every server of the store."


class ResultMetrics(ResultObserver):
    """Runs that ended before ``start`` are shown, but not counted."""

    def __init__(self, registry: CollectorRegistry, start: datetime) -> None:
        def gauge(name: str, text: str, *names: str) -> Gauge:
            return Gauge(name, f"{text} {SAME}", names, registry=registry)

        self._start = start
        self._stored = Counter(
            "loopbench_stored_runs",
            "Runs that ended in the store since this server started, whoever trained them: every server counts all.",
            ("method", "outcome"),
            registry=registry,
        )
        self._accuracy = gauge(
            "loopbench_accuracy_ratio", "Audited accuracy of the last run that succeeded.", *KEY, "split"
        )
        self._success = gauge(
            "loopbench_last_success_timestamp_seconds", "When the last run that succeeded ended.", *KEY
        )
        self._agree = gauge(
            "loopbench_methods_agree",
            "1 where all methods ended in the same weights under the last specification of several, 0 where not.",
            *AGREEMENT,
        )
        self._difference = gauge(
            "loopbench_parity_difference_ratio",
            "Largest difference of audited validation accuracy between methods under that specification and one seed.",
            *AGREEMENT,
        )
        self._newest: dict[tuple[str, ...], datetime] = {}
        self._parity = Parity()
        for method in Method:
            for outcome in labels.OUTCOMES:
                self._stored.labels(method, outcome)

    def run_found(self, run: Run) -> None:
        """A run that has ended is in the store."""
        assert run.end_time is not None
        if run.end_time >= self._start:
            self._stored.labels(run.spec.method, run.state).inc()
        if run.result:
            self._show_accuracy(run, run.end_time, {"train": run.result.train, "validation": run.result.validation})
            self._show_parity(run)

    def _show_accuracy(self, run: Run, time: datetime, audits: dict[str, Audit]) -> None:
        key = (*labels.spec_labels(run.spec), PARAMETERS[is_usual(run.spec)])
        # Runs of different servers may be found in another order than they ended.
        if key in self._newest and time < self._newest[key]:
            return
        self._newest[key] = time
        self._success.labels(*key).set(time.timestamp())
        for split, audit in audits.items():
            self._accuracy.labels(*key, split).set(audit.accuracy)

    def _show_parity(self, run: Run) -> None:
        if agreement := self._parity.add(run):
            key = (run.spec.loss, run.spec.optimizer.kind, run.spec.dataset)
            self._agree.labels(*key).set(agreement.identical)
            self._difference.labels(*key).set(agreement.difference)
