"""The article's job by loopbench and by the peers, in turn."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel

from benchmarks.figures import Spread, ratios, spread
from benchmarks.setting import RunningServer, Setting, ready_server
from loopbench.spec import Execution, Method, RunSpec

# Epochs of the run whose accuracy counts, and of those whose time does.
WHOLE, PART = 10, 3
ROUNDS = 3
# Largest difference of validation accuracy from loopbench's, in points.
BAND = 0.5

OURS: dict[str, dict[str, Any]] = {
    "GRAPH, tape": {"method": Method.GRADIENT_TAPE},
    "GRAPH, fit": {"method": Method.FIT},
    "GRAPH, train_step": {"method": Method.CUSTOM_TRAIN_STEP},
    "XLA, tape, an epoch compiled whole": {"execution": Execution.XLA, "steps_per_execution": 1_875},
    "XLA, tape": {"execution": Execution.XLA},
    "XLA, fit": {"execution": Execution.XLA, "method": Method.FIT},
    "XLA, train_step": {"execution": Execution.XLA, "method": Method.CUSTOM_TRAIN_STEP},
}
# Too slow for every round; GRAPH is compared with its bits.
EAGER = {"EAGER, tape": {"execution": Execution.EAGER}}

# Module and threads, where 0 is the library's own choice.
PEERS = {
    "article: eager tape": ("keras_eager_tape", 0),
    "article: fit on arrays": ("keras_fit", 0),
    "article: train_step": ("keras_train_step", 0),
    "PyTorch, DataLoader": ("torch_dataloader", 0),
    "PyTorch, indexed tensors": ("torch_indexed", 0),
    "PyTorch, indexed tensors, one thread": ("torch_indexed", 1),
    "JAX, lax.scan": ("jax_scan", 0),
    "JAX, lax.scan, one core": ("jax_scan", 1),
    "NumPy": ("numpy_by_hand", 0),
    "NumPy, one thread": ("numpy_by_hand", 1),
}
JAX = ("JAX, lax.scan", "JAX, lax.scan, one core")


class Outcome(BaseModel):
    """One training: seconds of each epoch, and accuracies on the final weights.

    Ours has the weights' digest, and the seconds of *start* and *compile*; a peer's has the bytes that its process held
    at most.
    """

    epoch_seconds: list[float]
    train_accuracy: float
    validation_accuracy: float
    digest: str = ""
    start_seconds: float = 0.0
    peak_bytes: int = 0


Train = Callable[[int], Outcome]


class Contest(BaseModel):
    """``whole`` has a training of all epochs by each; ``seconds`` the epoch's time by each, round by round."""

    whole: dict[str, Outcome]
    seconds: dict[str, list[float]]

    def epoch(self, name: str) -> Spread:
        """Spread of the seconds per epoch."""
        return spread(self.seconds[name])

    def times(self, name: str, other: str) -> Spread:
        """Ratio of the time of ``name`` to that of ``other``."""
        return ratios(self.seconds[name], self.seconds[other])

    def fastest(self, *names: str) -> str:
        """The name with the lowest median."""
        return min(names, key=lambda name: self.epoch(name).median)

    def digests(self, execution: str) -> set[str]:
        """Digests of loopbench's runs of 10 epochs with ``execution``."""
        return {outcome.digest for name, outcome in self.whole.items() if name.startswith(execution)}

    def outside(self) -> list[str]:
        """Names outside the accuracy band."""
        centre = self.whole["GRAPH, tape"].validation_accuracy
        return [name for name, each in self.whole.items() if abs(each.validation_accuracy - centre) > BAND / 100]


def ours(running: RunningServer, fields: dict[str, Any], epochs: int) -> Outcome:
    """Trains on the server; the epochs' times exclude tracing and validation, like the peers' times."""
    result = running.client.train(RunSpec(epochs=epochs, **fields)).result
    assert result is not None
    return Outcome(
        epoch_seconds=[record.train_seconds for record in result.history],
        train_accuracy=result.train.accuracy,
        validation_accuracy=result.validation.accuracy,
        digest=result.weights_digest,
        start_seconds=result.phases.start_seconds + result.phases.compile_seconds,
    )


def peer(
    setting: Setting, module: str, threads: int, epochs: int, *, network: str = "mlp", device: str = "cpu"
) -> Outcome:
    """Trains in a peer's process; the first epoch, which may compile, does not count."""
    flags = ("--epochs", epochs, "--threads", threads, "--network", network, "--device", device)
    printed = setting.peer(module, *flags)
    return Outcome.model_validate({**printed, "epoch_seconds": printed["epoch_seconds"][1:]})


def measure(setting: Setting) -> Contest:
    """Measure all contestants once for the whole job, then in rounds for the time."""
    with ready_server(setting) as running:
        contestants: dict[str, Train] = {
            **{name: partial(ours, running, fields) for name, fields in OURS.items()},
            **{name: partial(peer, setting, *fields) for name, fields in PEERS.items()},
        }
        whole = {name: run(WHOLE) for name, run in contestants.items()}
        whole |= {name: ours(running, fields, WHOLE) for name, fields in EAGER.items()}
        return Contest(whole=whole, seconds=in_rounds(contestants, PART))


def in_rounds(contestants: Mapping[str, Train], epochs: int) -> dict[str, list[float]]:
    """Seconds per epoch of each contestant, which train in alternation."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            seconds[name].append(spread(run(epochs).epoch_seconds).median)
            print(f"{name}: {seconds[name][-1]:.3f} s an epoch", flush=True)
    return seconds
