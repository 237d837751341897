"""The engine's loop on a network of any width, in a separate process: the service has the article's network only.

Prints one line of JSON.
"""

import argparse
import dataclasses
import json
import os
from pathlib import Path

import keras

from benchmarks.figures import spread
from loopbench.spec import Dataset, Execution, RunSpec
from loopbench_server.engine import data
from loopbench_server.engine.devices import choose_device
from loopbench_server.engine.job import Job, build_job
from loopbench_server.engine.methods import METHODS
from loopbench_server.engine.network import CLASSES
from loopbench_server.engine.recorder import Recorder


def _network(layers: list[int]) -> keras.Sequential:
    hidden = [keras.layers.Dense(units, "relu") for units in layers]
    return keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), *hidden, keras.layers.Dense(CLASSES)])


def _job(spec: RunSpec, layers: list[int], data_dir: Path) -> Job:
    job = build_job(spec, data.load(Dataset.MNIST, data_dir))
    return dataclasses.replace(job, model=_network(layers))


def main() -> None:
    """Train with the arguments of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--layers", type=int, nargs="+", required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--execution", type=Execution, default=Execution.GRAPH)
    parser.add_argument("--steps-per-execution", type=int, default=0)
    options = parser.parse_args()
    spec = RunSpec(epochs=options.epochs, execution=options.execution, steps_per_execution=options.steps_per_execution)
    choose_device(spec.device, threads=1)
    method = METHODS[spec.method](_job(spec, options.layers, options.data_dir))
    method.warm_up()
    recorder = Recorder(method, lambda _: None, lambda _: None)
    os.nice(10)  # as in the service's runs
    method.train([recorder])
    print(json.dumps({"epoch_seconds": spread([record.train_seconds for record in recorder.history]).median}))


if __name__ == "__main__":
    main()
