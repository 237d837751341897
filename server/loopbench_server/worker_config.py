"""Settings that the server hands to its worker processes."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WorkerLimits:
    """Limits of one worker process.

    Attributes:
        seconds: wall time, including the start of the process.
        megabytes: private memory; memory that the process shares with others does not count.
    """

    seconds: float = 6 * 3_600.0
    megabytes: int = 4_000


@dataclass(frozen=True)
class WorkerConfig:
    """Settings of every task, whatever its specification.

    Attributes:
        threads: intra-op threads of TensorFlow.
        data_dir: folder that is searched for MNIST first.
        tensorboard_dir: folder of TensorBoard logs, with one subfolder per run.
        limits: limits of the worker process.
        gpu_slots: numbers of the GPU slots that the task holds.
        source_revision: commit of the program that started the worker, which a checkout may leave meanwhile.
    """

    threads: int = 1
    data_dir: Path | None = None
    tensorboard_dir: Path = Path("tensorboard")
    limits: WorkerLimits = WorkerLimits()
    gpu_slots: tuple[int, ...] = ()
    source_revision: str = ""

    def log_dir(self, run_id: str) -> Path:
        """Return the folder of a run's TensorBoard logs."""
        return self.tensorboard_dir / run_id
