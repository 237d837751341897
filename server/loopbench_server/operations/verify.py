"""Verifies that a fix closes the gap: trains both sides with and without it, and compares."""

import asyncio
import math
import uuid
from collections.abc import Iterator, Mapping
from statistics import fmean

from loopbench.spec import Cause, ComparisonRequest, Diagnosis, Evidence, Run, RunSpec
from loopbench_server.blocking import run_blocking
from loopbench_server.runs.scheduler import Scheduler

SEEDS = 2**32
# A loop adds up in float32, the final metrics in float64.
ROUNDING = 1e-5


def subjects(diagnosis: Diagnosis) -> dict[str, RunSpec]:
    """Return the specifications to train, by the labels of their groups."""
    known = {
        "first": diagnosis.first,
        "second": diagnosis.second,
        "first, fixed": diagnosis.fixed_first,
        "second, fixed": diagnosis.fixed_second,
    }
    return {label: spec for label, spec in known.items() if spec is not None}


class Verifier:
    """Trains on the scheduler's slots like any caller, on at most as many at the same time."""

    def __init__(self, scheduler: Scheduler, slots: int) -> None:
        self._scheduler = scheduler
        self._slots = asyncio.Semaphore(slots)

    async def verify(self, diagnosis: Diagnosis, seeds: int, caller: str) -> Diagnosis:
        """Return ``diagnosis`` with the comparison under ``seeds`` seeds, and with the metrics that the loops report.

        The runs belong to ``caller``.

        Raises:
            LoopbenchServerError: the error of a run, or of its submission.
        """
        # Imported here: SciPy takes about 50 MB, which a server that compares nothing need not hold.
        from loopbench_server.operations.compare import Group, compare  # noqa: PLC0415

        runs = await self._train(subjects(diagnosis), seeds, caller)
        groups = [Group(label, made) for label, made in runs.items()]
        defaults = ComparisonRequest.model_fields
        comparison = await run_blocking(compare, groups, defaults["margin"].default, defaults["alpha"].default)
        reports = {label: [*_collect_reports(label, made)] for label, made in runs.items()}
        return diagnosis.model_copy(
            update={
                "verification": comparison,
                "causes": tuple(_add_false_reports(cause, reports) for cause in diagnosis.causes),
                "controls": (
                    *diagnosis.controls,
                    *(item for items in reports.values() for item in items if _agrees(item)),
                ),
            }
        )

    async def _train(self, specs: Mapping[str, RunSpec], seeds: int, caller: str) -> dict[str, tuple[Run, ...]]:
        start = next(iter(specs.values())).seed
        by_label = {
            label: [spec.model_copy(update={"seed": (start + offset) % SEEDS}) for offset in range(seeds)]
            for label, spec in specs.items()
        }
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    spec: group.create_task(self._run(spec, caller))
                    for spec in {spec for under_seeds in by_label.values() for spec in under_seeds}
                }
        except ExceptionGroup as errors:
            # The first failure cancels the other runs, so it is the error to report.
            raise errors.exceptions[0] from errors
        return {label: tuple(tasks[spec].result() for spec in under) for label, under in by_label.items()}

    async def _run(self, spec: RunSpec, caller: str) -> Run:
        async with self._slots, self._scheduler.attached(spec, str(uuid.uuid4()), caller) as run:
            return await self._scheduler.wait(run.id)


def _collect_reports(label: str, runs: tuple[Run, ...]) -> Iterator[Evidence]:
    """Yield the reported validation metrics beside the final ones, under the seeds that did not diverge."""
    results = [run.result for run in runs if run.result and not run.result.diverged]
    if not results:
        return
    for figure in ("loss", "accuracy"):
        yield Evidence(
            name=f"validation_{figure}/{label}",
            description=f"Validation {figure} of {label}, mean of the seeds: counted, and as the loop reports it.",
            expected=fmean(getattr(result.validation, figure) for result in results),
            observed=fmean(getattr(result.reported_validation, figure) for result in results),
        )


def _agrees(item: Evidence) -> bool:
    assert item.expected is not None
    assert item.observed is not None
    return math.isclose(item.expected, item.observed, rel_tol=ROUNDING)


def _add_false_reports(cause: Cause, reports: Mapping[str, list[Evidence]]) -> Cause:
    """Return ``cause`` with the false reports of its side in whole runs."""
    false = [item for item in reports.get(cause.side.lower(), ()) if not _agrees(item)] if cause.side else []
    return cause.model_copy(update={"evidence": (*cause.evidence, *false)})
