"""A small load on a server, as data for the dashboards."""

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import suppress

from loopbench.spec import Adam, Dataset, Device, Loss, Method, Optimizer, Run, RunGroup, RunSpec, Sgd
from loopbench_client import Client, LoopbenchError

JOBS: tuple[tuple[Loss, Optimizer], ...] = (
    (Loss.SUM_OF_SQUARES, Sgd()),
    (Loss.MEAN_SQUARED_ERROR, Sgd()),
    (Loss.SUM_OF_SQUARES, Adam()),
    (Loss.CATEGORICAL_CROSSENTROPY, Sgd(learning_rate=0.1)),
)


def rounds(client: Client) -> Iterator[str]:
    """Train, compare, evaluate and make failing calls for ever; yield a description of each step."""
    for number in itertools.count():
        loss, optimizer = JOBS[number % len(JOBS)]
        seed = number // len(JOBS)
        spec = RunSpec(loss=loss, optimizer=optimizer, dataset=Dataset.DIGITS, seed=seed)
        runs = []
        for method in Method:
            runs.append(client.train(spec.model_copy(update={"method": method})))
            yield f"{method} with {loss} and {optimizer.kind}: {_accuracy(runs[-1])}"
        client.compare([RunGroup(label=run.spec.method, run_ids=(run.id,)) for run in runs])
        client.evaluate(runs[0].id)
        yield "compared the three, and evaluated one"
        name, fail = random.choice(FAILURES)  # noqa: S311  # nosec B311  # no secret
        with suppress(LoopbenchError):
            fail(client, spec)
        yield name


def _accuracy(run: Run) -> str:
    assert run.result is not None
    return f"{run.result.validation.accuracy:.2%}"


def _cancel(client: Client, spec: RunSpec) -> None:
    client.cancel_run(client.train(spec.model_copy(update={"epochs": 1_000}), detach=True).id)


FAILURES: tuple[tuple[str, Callable[[Client, RunSpec], object]], ...] = (
    ("cancelled a run", _cancel),
    ("asked for a GPU", lambda client, spec: client.train(spec.model_copy(update={"device": Device.GPU}))),
    ("requested a run that does not exist", lambda client, _: client.get_run("00000000-0000-4000-8000-000000000000")),
)
