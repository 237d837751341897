"""The CNN by loopbench and by the peers, in turn, with the job of :mod:`benchmarks.contest` otherwise."""

from functools import partial
from typing import Any

from benchmarks.contest import Contest, Train, in_rounds, ours, peer
from benchmarks.setting import Setting, ready_server
from loopbench.spec import Cnn, Execution, Method

# Epochs of the run whose accuracy counts, and of those whose time does. A peer's first epoch does not count.
WHOLE, PART = 2, 2

OURS: dict[str, dict[str, Any]] = {
    "GRAPH, tape": {"method": Method.GRADIENT_TAPE},
    "GRAPH, fit": {"method": Method.FIT},
    "GRAPH, train_step": {"method": Method.CUSTOM_TRAIN_STEP},
    "XLA, tape": {"execution": Execution.XLA},
    "XLA, fit": {"execution": Execution.XLA, "method": Method.FIT},
    "XLA, train_step": {"execution": Execution.XLA, "method": Method.CUSTOM_TRAIN_STEP},
}
PEERS = {
    "fit on arrays": ("keras_fit", 0),
    "PyTorch, indexed tensors": ("torch_indexed", 0),
    "PyTorch, indexed tensors, one thread": ("torch_indexed", 1),
    "JAX, compiled step": ("jax_cnn", 0),
    "JAX, compiled step, one core": ("jax_cnn", 1),
}


def measure(setting: Setting) -> Contest:
    """Measure all contestants once for their accuracy, then in rounds for the time."""
    with ready_server(setting) as running:
        contestants: dict[str, Train] = {
            **{name: partial(ours, running, {"network": Cnn(), **fields}) for name, fields in OURS.items()},
            **{name: partial(peer, setting, *fields, network="cnn") for name, fields in PEERS.items()},
        }
        whole = {name: run(WHOLE) for name, run in contestants.items()}
        return Contest(whole=whole, seconds=in_rounds(contestants, PART))
