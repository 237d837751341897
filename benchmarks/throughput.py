"""A complete comparison, with runs one after another and with one run per core."""

import os
import time
from collections.abc import Sequence

from pydantic import BaseModel

from benchmarks.contest import WHOLE
from benchmarks.figures import Spread, ratios, spread
from benchmarks.setting import RunningServer, Setting, ready_server
from loopbench.spec import Method, RunGroup, RunSpec

ROUNDS = 3
SEEDS = 2


class Throughput(BaseModel):
    """``seconds`` from the first call to the verdicts, by runs at once, round by round; ``runs`` in a comparison."""

    runs: int
    cores: int
    seconds: dict[int, list[float]]

    def runs_per_minute(self, slots: int) -> Spread:
        """Return the runs per minute with ``slots`` concurrent runs."""
        return spread([60 * self.runs / seconds for seconds in self.seconds[slots]])

    @property
    def gain(self) -> Spread:
        """Ratio of the throughput with one run per core to that of sequential runs."""
        return ratios(self.seconds[1], self.seconds[self.cores])


def compare(running: RunningServer, groups: dict[str, Sequence[RunSpec]]) -> float:
    """Seconds to train and compare all of ``groups``."""
    start, client = time.perf_counter(), running.client
    ids = {label: tuple(client.train(spec, detach=True).id for spec in specs) for label, specs in groups.items()}
    for run_id in (run_id for members in ids.values() for run_id in members):
        *_, last = client.watch_run(run_id)
        assert last.run is not None
        assert last.run.result is not None
    client.compare([RunGroup(label=label, run_ids=members) for label, members in ids.items()])
    return time.perf_counter() - start


def methods(seeds: int, epochs: int) -> dict[str, Sequence[RunSpec]]:
    """Specs of the three methods under each of the seeds."""
    return {method: [RunSpec(method=method, epochs=epochs, seed=seed) for seed in range(seeds)] for method in Method}


def measure(setting: Setting) -> Throughput:
    """Measure two servers with different slots in turn."""
    cores, groups = os.cpu_count() or 1, methods(SEEDS, WHOLE)
    found: dict[int, list[float]] = {1: [], cores: []}
    with ready_server(setting, "--slots", 1) as alone, ready_server(setting, "--slots", cores) as together:
        for _ in range(ROUNDS):
            for slots, running in ((1, alone), (cores, together)):
                found[slots].append(compare(running, groups))
    return Throughput(runs=len(Method) * SEEDS, cores=cores, seconds=found)
