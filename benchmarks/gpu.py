"""The article's job on a GPU by loopbench and by the peers, in turn, as in :mod:`benchmarks.contest`."""

import time
from functools import partial
from typing import Any

from benchmarks.contest import OURS, Contest, Outcome, Train, in_rounds, ours, peer
from benchmarks.setting import Setting, ready_server
from loopbench.spec import Dataset, Device, RunSpec

# Epochs of the run whose accuracy counts, and of those whose time does. A peer's first epoch does not count.
WHOLE, PART = 3, 3
# Time between runs of which the start counts: a standby worker takes seconds to prepare on a GPU.
PAUSE_SECONDS = 15

OPTIMIZERS: dict[str, dict[str, Any]] = {"": {}, ", Adam": {"optimizer": "adam"}}
ON_GPU = {f"{name}{label}": fields | more for label, more in OPTIMIZERS.items() for name, fields in OURS.items()}
EAGER_PEER, GRAPH_PEER, SCAN_PEER = "PyTorch, indexed tensors", "PyTorch, a CUDA graph of the step", "JAX, lax.scan"
PEERS = {EAGER_PEER: "torch_indexed", GRAPH_PEER: "torch_graph", SCAN_PEER: "jax_scan"}


class OnGpu(Contest):
    """``gpu`` is the name of the device."""

    gpu: str

    def methods(self) -> dict[str, set[str]]:
        """Digests of loopbench's runs by execution and optimizer, one each if the methods agree."""
        found: dict[str, set[str]] = {}
        for label in OPTIMIZERS:
            for name in OURS:
                found.setdefault(name.split(",")[0] + label, set()).add(self.whole[name + label].digest)
        return found


def _rested(run: Train) -> Outcome:
    time.sleep(PAUSE_SECONDS)
    return run(WHOLE)


def measure(setting: Setting) -> OnGpu:
    """Measure all contestants once for accuracy, digest and start, then in rounds for the time.

    Raises:
        LoopbenchError: TensorFlow sees no GPU.
    """
    with ready_server(setting) as running:
        first = running.client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1, device=Device.GPU)).result
        assert first is not None
        contestants: dict[str, Train] = {
            **{name: partial(ours, running, {"device": Device.GPU, **fields}) for name, fields in ON_GPU.items()},
            **{name: partial(peer, setting, module, 0, device="gpu") for name, module in PEERS.items()},
        }
        whole = {name: _rested(run) for name, run in contestants.items()}
        return OnGpu(gpu=first.environment.device_name, whole=whole, seconds=in_rounds(contestants, PART))
