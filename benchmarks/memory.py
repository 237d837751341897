"""Memory of a run's process, and of the server over many short runs."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil
from pydantic import BaseModel

from benchmarks.contest import EAGER, OURS
from benchmarks.setting import RunningServer, Setting, ready_server
from loopbench.spec import Dataset, RunSpec
from loopbench_server.workers.process_name import is_standby

EPOCHS = 2
SHORT_RUNS = 1_000
# Short runs between two samples of the server.
STRIDE = 100
SAMPLING_SECONDS = 0.1


class ProcessMemory(BaseModel):
    """Peak memory of a run's process in bytes: resident, and unique to the process."""

    resident: int = 0
    own: int = 0


class Memory(BaseModel):
    """Memory of ``runs`` by program, of the forkserver, and of both servers after each number of short runs."""

    runs: dict[str, ProcessMemory]
    forkserver: ProcessMemory
    short_runs: list[int]
    server_bytes: list[int]
    forkserver_bytes: list[int]
    server_files: list[int]
    short_run_seconds: float

    @property
    def growth(self) -> float:
        """Relative growth of the server over the second half of the short runs, by least squares."""
        half = slice(len(self.short_runs) // 2 - 1, None)
        runs, held = self.short_runs[half], self.server_bytes[half]
        slope = statistics.linear_regression(runs, held).slope
        return slope * (runs[-1] - runs[0]) / statistics.mean(held)


def _forkserver(running: RunningServer) -> psutil.Process:
    """The server's child that forks the runs' processes."""
    return next(child for child in running.process.children() if any("forkserver" in word for word in child.cmdline()))


def _memory(process: psutil.Process) -> ProcessMemory:
    held = process.memory_full_info()
    return ProcessMemory(resident=held.rss, own=held.uss)


def _largest(forkserver: psutil.Process, over: Callable[[], bool]) -> ProcessMemory:
    largest = ProcessMemory()
    while not over():
        for child in forkserver.children():
            if is_standby(child):
                continue
            try:
                now = _memory(child)
            except psutil.Error:  # it ended meanwhile
                continue
            largest = ProcessMemory(resident=max(largest.resident, now.resident), own=max(largest.own, now.own))
        time.sleep(SAMPLING_SECONDS)
    return largest


def _of_a_run(running: RunningServer, spec: RunSpec) -> ProcessMemory:
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(running.client.train, spec)
        largest = _largest(_forkserver(running), training.done)
        training.result()
    return largest


def _train_short_runs(running: RunningServer, count: int) -> None:
    ids = [running.client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1), detach=True).id for _ in range(count)]
    for run_id in ids:
        *_, last = running.client.watch_run(run_id)
        assert last.run is not None
        assert last.run.result is not None


def measure(setting: Setting) -> Memory:
    """Measure one server with runs on MNIST and another with short runs."""
    with ready_server(setting) as running:
        runs = {name: _of_a_run(running, RunSpec(epochs=EPOCHS, **fields)) for name, fields in (OURS | EAGER).items()}
        forkserver = _memory(_forkserver(running))
    with ready_server(setting) as running:
        processes = (running.process, _forkserver(running))
        held: list[tuple[int, ...]] = []
        files: list[int] = []
        start = time.perf_counter()
        for _ in range(0, SHORT_RUNS, STRIDE):
            _train_short_runs(running, STRIDE)
            held.append(tuple(process.memory_info().rss for process in processes))
            files.append(running.process.num_fds())
            print(f"{len(held) * STRIDE} short runs: the server holds {held[-1][0] / 1e6:.1f} MB", flush=True)
        seconds = time.perf_counter() - start
    return Memory(
        runs=runs,
        forkserver=forkserver,
        short_runs=list(range(STRIDE, SHORT_RUNS + 1, STRIDE)),
        server_bytes=[server for server, _ in held],
        forkserver_bytes=[other for _, other in held],
        server_files=files,
        short_run_seconds=seconds / SHORT_RUNS,
    )
