"""A scripted set of calls, and what became of them as callers are told."""

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
SLOTS, QUEUE_SIZE = 2, 1
# Goes on until it is called off; of a loss that the others do not have.
ENDLESS = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, loss=Loss.CATEGORICAL_CROSSENTROPY)
NOBODYS_RUN = "00000000-0000-4000-8000-000000000000"


@dataclass
class Told:
    """What callers were told; ``refused`` are the reasons of their errors, in order."""

    runs: list[Run] = field(default_factory=list)
    comparison: Comparison | None = None
    refused: list[str] = field(default_factory=list)
    cancelled: int = 0

    def refuse(self, call: Callable[[], object]) -> None:
        """Makes a call that has to fail."""
        try:
            call()
        except LoopbenchError as error:
            self.refused.append(error.reason)
        else:
            raise AssertionError("it was not refused")


def play(address: str, ca: Path, tokens: dict[str, str], while_busy: Callable[[], None]) -> Told:
    """Trains, compares, evaluates and fails; calls ``while_busy`` while all slots and the queue are taken."""
    told, tls = Told(), Tls(ca=ca)
    with Client(address, token=tokens["write"], tls=tls) as client:
        _train(client, told)
        _fill(client, told, while_busy)
        told.refuse(lambda: client.train(ENDLESS.model_copy(update={"device": Device.GPU})))
        told.refuse(lambda: client.get_run(NOBODYS_RUN))
    with Client(address, token=tokens["read"], tls=tls) as reader, Client(address, tls=tls) as stranger:
        told.refuse(lambda: reader.train(ENDLESS))
        told.refuse(stranger.get_server_info)
        reader.list_runs()
        reader.get_server_info()
    return told


def _train(client: Client, told: Told) -> None:
    """Every method under several losses and optimizers; then one as its defaults have it."""
    for loss, optimizer in JOBS:
        for method in Method:
            spec = RunSpec(method=method, loss=loss, optimizer=optimizer, dataset=Dataset.DIGITS, epochs=EPOCHS)
            told.runs.append(client.train(spec))
    told.runs.append(client.train(RunSpec(dataset=Dataset.DIGITS)))
    assert [event.state for event in client.watch_run(told.runs[0].id)][-1] is RunState.SUCCEEDED
    groups = [RunGroup(label=run.spec.method, run_ids=(run.id,)) for run in told.runs[: len(Method)]]
    told.comparison = client.compare(groups)
    client.evaluate(told.runs[0].id, method=Method.FIT)


def _fill(client: Client, told: Told, while_busy: Callable[[], None]) -> None:
    begun = [client.train(ENDLESS, detach=True).id for _ in range(SLOTS + QUEUE_SIZE)]
    told.refuse(lambda: client.train(ENDLESS, detach=True))
    while_busy()
    for run_id in reversed(begun):
        with suppress(LoopbenchError):
            told.cancelled += client.cancel_run(run_id).state is RunState.CANCELLED
