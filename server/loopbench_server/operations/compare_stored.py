"""Compares runs of the store."""

from itertools import chain

from loopbench.spec import Comparison, ComparisonRequest, InvalidFieldsError, Run, Violation
from loopbench_server.errors import RunWithoutResultError
from loopbench_server.ids import NO_RUN_ID, normalize_uuid
from loopbench_server.store.store import Store

# Limit of runs in one comparison, which then takes seconds.
MAX_RUNS = 5_000


def compare_stored(store: Store, request: ComparisonRequest) -> Comparison:
    """Return the comparison that ``request`` asks for.

    Raises:
        InvalidFieldsError: an id is not a UUID, or a group mixes specifications or repeats a seed; all faults are
            named.
        RunNotFoundError: no run has an id of the request.
        RunWithoutResultError: a run did not succeed.
    """
    # Imported here: SciPy takes about 50 MB, which a server that compares nothing need not hold.
    from loopbench_server.operations.compare import Group, compare  # noqa: PLC0415

    ids = _ids(request)
    # Each run once, in however many groups: a request may name thousands, and a run may hold a thousand epochs.
    runs = {run_id: _run(store, run_id) for run_id in dict.fromkeys(chain.from_iterable(ids))}
    groups = [
        Group(group.label, tuple(runs[run_id] for run_id in run_ids))
        for group, run_ids in zip(request.groups, ids, strict=True)
    ]
    violations = [
        Violation(field=f"groups.{index}.run_ids", description=fault)
        for index, group in enumerate(groups)
        for fault in _faults(group.runs)
    ]
    if violations:
        raise InvalidFieldsError(tuple(violations))
    return compare(groups, request.margin, request.alpha)


def _ids(request: ComparisonRequest) -> list[list[str]]:
    """Return the normalized ids of the runs, group by group."""
    count = sum(len(group.run_ids) for group in request.groups)
    if count > MAX_RUNS:
        fault = f"hold {count:,} runs in total (limit {MAX_RUNS:,})"
        raise InvalidFieldsError((Violation(field="groups", description=fault),))
    violations, ids = [], []
    for index, group in enumerate(request.groups):
        ids.append([normalize_uuid(run_id) for run_id in group.run_ids])
        violations += [
            Violation(field=f"groups.{index}.run_ids.{place}", description=NO_RUN_ID)
            for place, run_id in enumerate(ids[-1])
            if not run_id
        ]
    if violations:
        raise InvalidFieldsError(tuple(violations))
    return ids


def _run(store: Store, run_id: str) -> Run:
    run = store.get(run_id)
    if run.result is None:
        raise RunWithoutResultError(f"run {run_id} is {run.state} and has no result", run_id=run_id)
    # Epochs are not compared, and thousands of runs would hold many.
    return run.model_copy(update={"result": run.result.model_copy(update={"history": ()})})


def _faults(runs: tuple[Run, ...]) -> list[str]:
    """Return what keeps ``runs`` from being one specification under different seeds."""
    seeds = [run.spec.seed for run in runs]
    specs = {run.spec.model_copy(update={"seed": 0}) for run in runs}
    faults = {
        "two runs have the same seed": len(set(seeds)) < len(seeds),
        "the runs differ in more than their seed": len(specs) > 1,
    }
    return [fault for fault, found in faults.items() if found]
