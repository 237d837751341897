"""``loopbench demo``."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Annotated

import typer

from loopbench import wire
from loopbench.spec import Dataset, Loss, Method, Result, Run, RunSpec, Sgd
from loopbench.text import counted, kebab
from loopbench.v1.benchmark_service_pb2 import ListRunsResponse
from loopbench_client.cli.options import Json, Server, enum_option, validated
from loopbench_client.cli.output import err, out, percent, print_json
from loopbench_client.cli.progress import progress_bar
from loopbench_client.cli.session import await_answer, connect
from loopbench_client.cli.tables import DIGEST_DIGITS, seconds, table
from loopbench_client.client import Client

MEAN, SUM = Loss.MEAN_SQUARED_ERROR, Loss.SUM_OF_SQUARES
RATE = 0.01
# The classes of either dataset, and so the outputs that the mean is taken over.
OUTPUTS = 10


def demo(
    *,
    dataset: Annotated[Dataset, enum_option(Dataset, "The images to learn.", default=Dataset.DIGITS)] = Dataset.DIGITS,
    epochs: Annotated[int, typer.Option(help="Passes over the training set.")] = 10,
    seed: Annotated[int, typer.Option(help="Initial weights and batch order follow from it.")] = 0,
    server: Server = None,
    json: Json = False,
) -> None:
    """Train by all three methods under two losses, and say what agrees and what does not."""
    shared = {"dataset": dataset, "epochs": epochs, "seed": seed, "optimizer": Sgd(learning_rate=RATE)}
    specs = [validated(RunSpec, {"method": m, "loss": loss, **shared}) for loss, m in product((MEAN, SUM), Method)]
    with connect(server, ready=True) as client:
        await_answer(client)
        runs = [*_train_all(client, specs, quiet=json)]
    if json:
        print_json(ListRunsResponse(runs=map(wire.run_to_wire, runs)))
        return
    shown = f"dataset {kebab(dataset)}, {counted(epochs, 'epoch')}, seed {seed}, SGD with learning rate {RATE:g}"
    out().print(shown)
    out().print(_table(runs))
    for sentence in findings(runs):
        out().print(sentence, soft_wrap=True)


def _train_all(client: Client, specs: list[RunSpec], *, quiet: bool) -> Iterator[Run]:
    for number, spec in enumerate(specs, start=1):
        title = f"{number}/{len(specs)} {kebab(spec.method)}, {kebab(spec.loss)}"
        with progress_bar(title) as on_progress:
            run = client.train(spec, on_progress=on_progress)
        if not quiet:
            err().print(f"{title}: {seconds(run):.1f} s", soft_wrap=True)
        yield run


def _result(run: Run) -> Result:
    assert run.result is not None, "a run that Train returned has SUCCEEDED"
    return run.result


def _table(runs: Iterable[Run]) -> object:
    rows = [
        (
            kebab(run.spec.method),
            kebab(run.spec.loss),
            percent(_result(run).train.accuracy),
            percent(_result(run).validation.accuracy),
            _result(run).weights_digest[:DIGEST_DIGITS],
            f"{seconds(run):.1f}",
        )
        for run in runs
    ]
    return table("method", "loss", "train", "validation", "weights digest", "s", rows=rows, words=2)


def findings(runs: Iterable[Run]) -> Iterator[str]:
    """What the results say: which methods agree under each loss, and what the loss changes."""
    by_loss: dict[Loss, list[Run]] = {MEAN: [], SUM: []}
    for run in runs:
        by_loss[run.spec.loss].append(run)
    for loss, group in by_loss.items():
        yield f"{kebab(loss)}: {_agreement(group)}"
    mean, total = (sum(_result(run).validation.accuracy for run in group) / len(group) for group in by_loss.values())
    yield (
        f"Validation accuracy under {kebab(SUM)} minus that under {kebab(MEAN)}: {100 * (total - mean):+.2f} points. "
        f"The mean over {OUTPUTS} outputs makes the loss, and with it the SGD gradient, {OUTPUTS} times smaller: "
        f"{kebab(MEAN)} at learning rate {RATE:g} is {kebab(SUM)} at {RATE / OUTPUTS:g}."
    )


def _agreement(runs: Sequence[Run]) -> str:
    diverged = [kebab(run.spec.method) for run in runs if _result(run).diverged]
    if diverged:
        return f"{', '.join(diverged)} diverged, so that the weights say nothing."
    methods: dict[str, list[str]] = {}
    for run in runs:
        methods.setdefault(_result(run).weights_digest, []).append(kebab(run.spec.method))
    groups = [", ".join(names) for names in methods.values()]
    if len(groups) == 1:
        return f"the weights of {groups[0]} are bit-identical."
    return f"the weights of {' | '.join(groups)} differ."
