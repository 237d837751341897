"""Overhead of a call: seconds from a client's call to its result, less the training steps."""

import time

from pydantic import BaseModel

from benchmarks.contest import OURS, WHOLE
from benchmarks.figures import Spread, spread
from benchmarks.setting import RunningServer, Setting, ready_server
from loopbench.spec import RunSpec

ROUNDS = 3


class Overhead(BaseModel):
    """Calls of one specification: seconds beside training, and the seconds of each phase, round by round."""

    seconds: list[float] = []
    phases: dict[str, list[float]] = {}

    @property
    def total(self) -> Spread:
        """Spread of the seconds beside training."""
        return spread(self.seconds)

    def phase(self, name: str) -> Spread:
        """Spread of the seconds of one phase."""
        return spread(self.phases[name])


class Overheads(BaseModel):
    """Overheads by contestant; ``first`` are the calls without compiled functions."""

    first: dict[str, Overhead]
    warm: dict[str, Overhead]


def _call(running: RunningServer, spec: RunSpec, overhead: Overhead) -> None:
    start = time.perf_counter()
    result = running.client.train(spec).result
    seconds = time.perf_counter() - start
    assert result is not None
    overhead.seconds.append(seconds - result.phases.train_seconds)
    for name, value in result.phases.model_dump().items():
        overhead.phases.setdefault(name.removesuffix("_seconds"), []).append(value)


def measure(setting: Setting) -> Overheads:
    """Measure calls for 10 epochs of MNIST on one server, alternating between the kinds."""
    specs = {name: RunSpec(epochs=WHOLE, **fields) for name, fields in OURS.items()}
    found = Overheads(first={name: Overhead() for name in specs}, warm={name: Overhead() for name in specs})
    with ready_server(setting) as running:
        for number in range(1 + ROUNDS):
            overheads = found.warm if number else found.first
            for name, spec in specs.items():
                _call(running, spec, overheads[name])
    return found
