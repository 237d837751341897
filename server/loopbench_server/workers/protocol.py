"""What a server asks of a worker process and what the process answers, as JSON over a pipe."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from loopbench.spec import (
    DatasetInfo,
    DeviceInfo,
    Diagnosis,
    Divergence,
    EpochRecord,
    Evaluation,
    Model,
    Progress,
    Result,
    RunSpec,
)
from loopbench_server.worker_config import WorkerConfig


class Task(Model):
    """What to do, and the configuration to do it with.

    DESCRIBE needs no ``spec`` and no ``run_id``; ``second`` is for DIAGNOSE, ``weights_digest`` for EVALUATE.
    ``divergences`` say, for DIAGNOSE, where whole runs of the two diverged, as far as that is known.
    """

    kind: Literal["describe", "train", "evaluate", "diagnose"]
    config: WorkerConfig
    run_id: str = ""
    spec: RunSpec | None = None
    second: RunSpec | None = None
    weights_digest: str = ""
    divergences: tuple[Divergence | None, Divergence | None] = (None, None)


class Started(Model):
    """The process runs, since ``monotonic``: that clock is the same for all processes of a machine."""

    kind: Literal["started"] = "started"
    monotonic: float


class PhaseBegan(Model):
    """The run is in ``phase``, as :class:`loopbench.spec.Phases` names them, since ``time`` in seconds since 1970."""

    kind: Literal["phase_began"] = "phase_began"
    phase: str
    time: float


class Progressed(Model):
    """Somewhat further."""

    kind: Literal["progressed"] = "progressed"
    progress: Progress


class EpochEnded(Model):
    """An epoch is complete."""

    kind: Literal["epoch_ended"] = "epoch_ended"
    record: EpochRecord


class Trained(Model):
    """The result; the frame after this one holds the final weights as the bytes of an ``.npz`` file."""

    kind: Literal["trained"] = "trained"
    result: Result


class Evaluated(Model):
    """The answer to EVALUATE."""

    kind: Literal["evaluated"] = "evaluated"
    evaluation: Evaluation


class Diagnosed(Model):
    """The answer to DIAGNOSE."""

    kind: Literal["diagnosed"] = "diagnosed"
    diagnosis: Diagnosis


class Described(Model):
    """The answer to DESCRIBE."""

    kind: Literal["described"] = "described"
    versions: dict[str, str]
    devices: tuple[DeviceInfo, ...]
    datasets: tuple[DatasetInfo, ...]


class Failed(Model):
    """The task ended with an error: a domain error's reason, or RUN_FAILED and a traceback for the log."""

    kind: Literal["failed"] = "failed"
    reason: str
    message: str
    traceback: str = ""


Message = Started | PhaseBegan | Progressed | EpochEnded | Trained | Evaluated | Diagnosed | Described | Failed
MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])
