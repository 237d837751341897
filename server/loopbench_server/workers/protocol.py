"""Tasks and messages between server and worker process, as JSON over a pipe."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from loopbench.spec import (
    DatasetInfo,
    DeviceInfo,
    Diagnosis,
    Divergence,
    Environment,
    EpochRecord,
    Evaluation,
    Model,
    Progress,
    Result,
    RunSpec,
)
from loopbench_server.worker_config import WorkerConfig


class Task(Model):
    """Task for a worker, and the configuration to run it with.

    DESCRIBE and PREPARE need no ``spec`` and no ``run_id``. A process takes another task after PREPARE only.
    ``second`` is for DIAGNOSE, ``weights_digest`` for EVALUATE.
    ``divergences`` hold, for DIAGNOSE, where whole runs of the two diverged, as far as known.
    """

    kind: Literal["describe", "prepare", "train", "evaluate", "diagnose"]
    config: WorkerConfig
    run_id: str = ""
    spec: RunSpec | None = None
    second: RunSpec | None = None
    weights_digest: str = ""
    divergences: tuple[Divergence | None, Divergence | None] = (None, None)


class Started(Model):
    """The process has started, at ``monotonic``: that clock is the same for all processes of a machine."""

    kind: Literal["started"] = "started"
    monotonic: float


class PhaseBegan(Model):
    """The run entered ``phase`` at ``time``, in seconds since 1970. :class:`loopbench.spec.Phases` names the phases."""

    kind: Literal["phase_began"] = "phase_began"
    phase: str
    time: float


class Progressed(Model):
    """Training made progress."""

    kind: Literal["progressed"] = "progressed"
    progress: Progress


class EpochEnded(Model):
    """An epoch ended."""

    kind: Literal["epoch_ended"] = "epoch_ended"
    record: EpochRecord


class Trained(Model):
    """Result of TRAIN; the next frame holds the final weights as the bytes of an ``.npz`` file."""

    kind: Literal["trained"] = "trained"
    result: Result


class Evaluated(Model):
    """Result of EVALUATE."""

    kind: Literal["evaluated"] = "evaluated"
    evaluation: Evaluation


class Diagnosed(Model):
    """Result of DIAGNOSE."""

    kind: Literal["diagnosed"] = "diagnosed"
    diagnosis: Diagnosis


class Described(Model):
    """Result of DESCRIBE."""

    kind: Literal["described"] = "described"
    versions: dict[str, str]
    devices: tuple[DeviceInfo, ...]
    datasets: tuple[DatasetInfo, ...]
    environments: tuple[Environment, ...]


class Prepared(Model):
    """Result of PREPARE: the process waits for a run."""

    kind: Literal["prepared"] = "prepared"


class Failed(Model):
    """The task failed: the reason of a domain error, or RUN_FAILED with a traceback for the log."""

    kind: Literal["failed"] = "failed"
    reason: str
    message: str
    traceback: str = ""


Message = (
    Started | PhaseBegan | Progressed | EpochEnded | Trained | Evaluated | Diagnosed | Described | Prepared | Failed
)
MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])
