"""Background work continues after an unexpected error."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from loopbench.spec import RunState
from loopbench_server.errors import StoreFailedError
from loopbench_server.runs.executor import RunExecutor
from loopbench_server.runs.maintenance import cancel_requests, ended_runs, leases, polling, retention
from loopbench_server.runs.maintenance.retention import Retention
from loopbench_server.store.store import Store
from loopbench_server.telemetry.metrics.runs import RunMetrics


class Failing:
    """A step that raises the error set by the test and counts its calls."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = [*errors]
        self.steps = 0

    async def __call__(self) -> None:
        self.steps += 1
        if self._errors:
            raise self._errors.pop(0)


async def steps(step: Failing, count: int, failed: Callable[[str], None]) -> None:
    task = asyncio.create_task(polling.repeat("enforce_retention", 0.001, step, failed))
    while step.steps < count:
        assert not task.done()
        await asyncio.sleep(0.001)
    task.cancel()


async def test_an_unexpected_error_is_logged_and_counted_and_the_work_goes_on() -> None:
    failed: list[str] = []
    step = Failing(RuntimeError("can't start new thread"), KeyError("a bug"))
    with structlog.testing.capture_logs() as logs:
        await steps(step, 4, failed.append)
    assert failed == ["enforce_retention", "enforce_retention"]
    assert [(line["event"], line["log_level"], line["work"]) for line in logs] == [
        ("background work failed", "error", "enforce_retention")
    ] * 2


async def test_a_database_outage_is_no_unexpected_error() -> None:
    failed: list[str] = []
    with structlog.testing.capture_logs() as logs:
        await steps(Failing(StoreFailedError("it refused")), 2, failed.append)
    assert (failed, logs) == ([], [])


async def test_cancelling_stops_the_work() -> None:
    task = asyncio.create_task(polling.repeat("enforce_retention", 0.001, Failing(), polling.ignore_failure))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def no_thread(*_: Any, **__: Any) -> Any:
    raise RuntimeError("can't start new thread")


# Functions that each kind of work calls in a thread.
WORK: dict[str, tuple[Any, str]] = {
    polling.LEASES: (leases, "run_blocking_reserved"),
    polling.EXPIRED: (leases, "run_blocking_reserved"),
    polling.CANCELLATIONS: (cancel_requests, "run_blocking_reserved"),
    polling.RETENTION: (retention, "run_blocking"),
    polling.RESULTS: (ended_runs, "run_blocking"),
}


def test_the_table_of_background_work_is_complete() -> None:
    # The checks use no thread, or one only after the database has refused.
    assert (*WORK, polling.STORE_CHECK, polling.WRITES_CHECK, polling.FORKSERVER_CHECK) == polling.WORKS


@pytest.mark.parametrize("work", WORK)
async def test_no_work_ends_when_a_thread_cannot_start(
    work: str, store: Store, executor: RunExecutor, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(state=RunState.QUEUED)
    store.add(run)
    executor.active[run.id] = object()  # type: ignore[assignment]  # work that looks at live runs alone has one
    counted: list[str] = []
    monkeypatch.setattr(executor.observer, "work_failed", counted.append)
    module, function = WORK[work]
    monkeypatch.setattr(module, function, no_thread)
    kinds = {
        polling.LEASES: lambda: leases.renew_leases(store, executor),
        polling.EXPIRED: lambda: leases.reap_expired(store, executor),
        polling.CANCELLATIONS: lambda: cancel_requests.poll_cancel_requests(store, executor),
        polling.RETENTION: lambda: retention.enforce_retention(store, executor, Retention(weights=store.lease)),
        polling.RESULTS: lambda: ended_runs.follow_results(
            store, ended_runs.ResultObserver(), executor.observer.work_failed
        ),
    }
    task = asyncio.create_task(kinds[work]())
    while not counted:
        assert not task.done()
        await asyncio.sleep(0.001)
    assert counted == [work]
    task.cancel()
    executor.active.clear()


def test_counters_of_background_work_start_at_zero() -> None:
    registry = CollectorRegistry()
    metrics = RunMetrics(registry, slots=1, queue_size=1)

    def count(work: str) -> float | None:
        return registry.get_sample_value("loopbench_background_errors_total", {"work": work})

    assert [count(work) for work in polling.WORKS] == [0.0] * len(polling.WORKS)
    metrics.work_failed(polling.LEASES)
    assert count(polling.LEASES) == 1.0
