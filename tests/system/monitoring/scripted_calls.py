"""A scripted set of calls and their results for the callers."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from loopbench.spec import (
    Adam,
    Comparison,
    Dataset,
    Device,
    Loss,
    Method,
    Optimizer,
    Run,
    RunGroup,
    RunSpec,
    RunState,
    Sgd,
)
from loopbench_client import Client, LoopbenchError, Tls

JOBS: tuple[tuple[Loss, Optimizer], ...] = (
    (Loss.SUM_OF_SQUARES, Sgd()),
    (Loss.MEAN_SQUARED_ERROR, Sgd()),
    (Loss.SUM_OF_SQUARES, Adam()),
)
EPOCHS = 2
# The first job by the first method.
FIRST = RunSpec(method=Method.GRADIENT_TAPE, dataset=Dataset.DIGITS, epochs=EPOCHS)
SLOTS, QUEUE_SIZE = 2, 1
# Trains until it is cancelled, with a loss that no other run has.
ENDLESS = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, loss=Loss.CATEGORICAL_CROSSENTROPY)
NOBODYS_RUN = "00000000-0000-4000-8000-000000000000"


@dataclass
class CallResults:
    """Results of the calls; ``refused`` are the reasons of the errors in order."""

    runs: list[Run] = field(default_factory=list)
    comparison: Comparison | None = None
    refused: list[str] = field(default_factory=list)
    cancelled: int = 0

    def refuse(self, call: Callable[[], object]) -> None:
        """Makes a call that must fail."""
        try:
            call()
        except LoopbenchError as error:
            self.refused.append(error.reason)
        else:
            raise AssertionError("it was not refused")


def run_scripted_calls(address: str, ca: Path, tokens: dict[str, str], while_busy: Callable[[], None]) -> CallResults:
    """Trains, compares, evaluates and fails; calls ``while_busy`` while all slots and the queue are taken."""
    results, tls = CallResults(), Tls(ca=ca)
    with Client(address, token=tokens["write"], tls=tls) as client:
        _train(client, results)
        _fill(client, results, while_busy)
        results.refuse(lambda: client.train(ENDLESS.model_copy(update={"device": Device.GPU})))
        results.refuse(lambda: client.get_run(NOBODYS_RUN))
    with Client(address, token=tokens["read"], tls=tls) as reader, Client(address, tls=tls) as stranger:
        results.refuse(lambda: reader.train(ENDLESS))
        results.refuse(stranger.get_server_info)
        reader.list_runs()
        reader.get_server_info()
    return results


def _train(client: Client, results: CallResults) -> None:
    """Trains every method with several losses and optimizers, and one run with the defaults."""
    for loss, optimizer in JOBS:
        for method in Method:
            fields = {"method": method, "loss": loss, "optimizer": optimizer}
            results.runs.append(client.train(FIRST.model_copy(update=fields)))
    results.runs.append(client.train(RunSpec(dataset=Dataset.DIGITS)))
    assert [event.state for event in client.watch_run(results.runs[0].id)][-1] is RunState.SUCCEEDED
    groups = [RunGroup(label=run.spec.method, run_ids=(run.id,)) for run in results.runs[: len(Method)]]
    results.comparison = client.compare(groups)
    client.evaluate(results.runs[0].id, method=Method.FIT)


def _fill(client: Client, results: CallResults, while_busy: Callable[[], None]) -> None:
    begun = [client.train(ENDLESS, detach=True).id for _ in range(SLOTS + QUEUE_SIZE)]
    results.refuse(lambda: client.train(ENDLESS, detach=True))
    while_busy()
    for run_id in reversed(begun):
        with suppress(LoopbenchError):
            results.cancelled += client.cancel_run(run_id).state is RunState.CANCELLED
