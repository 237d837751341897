"""Runs that the server has, so that a comparison resumes."""

from collections.abc import Collection, Iterator, Mapping

from loopbench.spec import Run, RunFilter, RunSpec, RunState
from loopbench_client.client import Client


def succeeded_runs(client: Client, specs: Collection[RunSpec]) -> Iterator[Run]:
    """All runs of ``specs`` that SUCCEEDED, the newest first."""
    wanted = RunFilter(
        states=(RunState.SUCCEEDED,),
        methods=tuple({spec.method for spec in specs}),
        losses=tuple({spec.loss for spec in specs}),
        datasets=tuple({spec.dataset for spec in specs}),
        optimizers=tuple({spec.optimizer.kind for spec in specs}),
        seeds=tuple({spec.seed for spec in specs}),
    )
    return (run for run in client.list_runs(wanted) if run.spec in specs)


def finished_runs(client: Client, specs: Collection[RunSpec], versions: Mapping[str, str]) -> dict[RunSpec, Run]:
    """The latest run that SUCCEEDED of each spec, made by the ``versions`` that the server has now."""
    found: dict[RunSpec, Run] = {}
    for run in succeeded_runs(client, specs):
        if run.spec not in found and _same_versions(run, versions):
            found[run.spec] = run
        if len(found) == len(set(specs)):
            break
    return found


def _same_versions(run: Run, versions: Mapping[str, str]) -> bool:
    """Whether all agree that both name; other versions may train other weights."""
    assert run.result is not None, "a run that SUCCEEDED has a result"
    then = run.result.environment.versions
    return all(then[name] == versions[name] for name in then.keys() & versions.keys())
