"""Runs that the server has, so that a comparison resumes."""

from collections.abc import Collection, Iterable, Iterator

from loopbench.spec import Environment, Run, RunFilter, RunSpec, RunState
from loopbench.spec.environments import installation_of
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


def finished_runs(
    client: Client, specs: Collection[RunSpec], environments: Iterable[Environment]
) -> dict[RunSpec, Run]:
    """The latest run that SUCCEEDED of each spec, on the hardware and by the versions of one of ``environments``.

    Others may train other weights.
    """
    here = {installation_of(environment) for environment in environments}
    found: dict[RunSpec, Run] = {}
    for run in succeeded_runs(client, specs):
        assert run.result is not None, "a run that SUCCEEDED has a result"
        if run.spec not in found and installation_of(run.result.environment) in here:
            found[run.spec] = run
        if len(found) == len(set(specs)):
            break
    return found
