"""Growth of cost with epochs, batch size, network width, seeds and concurrent runs."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import BaseModel

from benchmarks.contest import ours
from benchmarks.figures import spread
from benchmarks.setting import RunningServer, Setting, ready_server
from benchmarks.throughput import compare, methods
from loopbench.spec import Execution, Method, Mlp, RunSpec

TRAIN_SAMPLES = 60_000
EPOCHS = (1, 3, 10, 30)
BATCH_SIZES = (8, 32, 128, 512)
WIDTHS = ((64, 32), (256, 128), (1024, 512), (2048, 1024))
SEEDS = (1, 2, 4, 8)
AT_ONCE = (1, 2, 4)
# Epochs of the runs in which another parameter varies.
SHORT = 3

TAPE, FIT, XLA, JAX = "GRAPH, tape", "GRAPH, fit", "XLA, tape, an epoch compiled whole", "JAX, lax.scan, one core"

Table = dict[str, dict[str, float]]


class Growth(BaseModel):
    """Medians by varied parameter and contestant.

    Seconds from call to result by epochs; seconds an epoch by batch size and by width; seconds of a comparison by
    seeds; seconds an epoch and runs a minute by runs at once.
    """

    epochs: Table
    batch_sizes: Table
    widths: Table
    seeds: Table
    at_once: Table


def _call(running: RunningServer, epochs: int) -> float:
    start = time.perf_counter()
    running.client.train(RunSpec(epochs=epochs))
    return time.perf_counter() - start


def _jax(setting: Setting, *arguments: object) -> float:
    printed = setting.peer("jax_scan", "--epochs", SHORT, "--threads", 1, *arguments)
    return spread(printed["epoch_seconds"][1:]).median


def _by_batch_size(setting: Setting, running: RunningServer, size: int) -> dict[str, float]:
    steps = -(-TRAIN_SAMPLES // size)
    variants: dict[str, dict[str, Any]] = {
        TAPE: {},
        FIT: {"method": Method.FIT},
        XLA: {"execution": Execution.XLA, "steps_per_execution": steps},
    }
    medians = {
        name: spread(ours(running, {"batch_size": size, **fields}, SHORT).epoch_seconds).median
        for name, fields in variants.items()
    }
    return medians | {JAX: _jax(setting, "--batch-size", size)}


def _by_width(setting: Setting, running: RunningServer, layers: tuple[int, ...]) -> dict[str, float]:
    steps = -(-TRAIN_SAMPLES // RunSpec().batch_size)
    variants: dict[str, dict[str, Any]] = {
        TAPE: {},
        XLA: {"execution": Execution.XLA, "steps_per_execution": steps},
    }
    network = Mlp(widths=layers)
    medians = {
        name: spread(ours(running, {"network": network, **fields}, SHORT).epoch_seconds).median
        for name, fields in variants.items()
    }
    return medians | {JAX: _jax(setting, "--layers", *layers)}


def _at_once(running: RunningServer, count: int) -> dict[str, float]:
    start = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        outcomes = list(pool.map(lambda seed: ours(running, {"seed": seed}, SHORT), range(count)))
    seconds = time.perf_counter() - start
    medians = [spread(outcome.epoch_seconds).median for outcome in outcomes]
    return {"seconds an epoch": spread(medians).median, "runs a minute": 60 * count / seconds}


def measure(setting: Setting) -> Growth:
    """One server with a slot per concurrent run, and separate processes for other widths."""
    with ready_server(setting, "--slots", max(AT_ONCE)) as running:
        running.client.train(RunSpec(epochs=1))
        epochs = {str(count): {TAPE: _call(running, count)} for count in EPOCHS}
        batch_sizes = {str(size): _by_batch_size(setting, running, size) for size in BATCH_SIZES}
        at_once = {str(count): _at_once(running, count) for count in AT_ONCE}
    with ready_server(setting) as running:
        seeds = {str(count): {"three methods": compare(running, methods(count, SHORT))} for count in SEEDS}
        widths = {" × ".join(map(str, layers)): _by_width(setting, running, layers) for layers in WIDTHS}
    return Growth(epochs=epochs, batch_sizes=batch_sizes, widths=widths, seeds=seeds, at_once=at_once)
