"""What a run is and what it finds."""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from loopbench.spec.base import Choice, Input, Model, Variant
from loopbench.spec.naming import Naming
from loopbench.spec.networks import NETWORKS, Mlp, Network
from loopbench.spec.optimizers import OPTIMIZERS, Optimizer, Sgd


class Method(Choice):
    """The way of writing the training loop."""

    GRADIENT_TAPE = "GRADIENT_TAPE"
    FIT = "FIT"
    CUSTOM_TRAIN_STEP = "CUSTOM_TRAIN_STEP"


class Loss(Choice):
    """The loss that is minimised; labels are one-hot, outputs are raw."""

    MEAN_SQUARED_ERROR = "MEAN_SQUARED_ERROR"
    SUM_OF_SQUARES = "SUM_OF_SQUARES"
    SUM_OF_SQUARES_FIXED_BATCH = "SUM_OF_SQUARES_FIXED_BATCH"
    SUM_OF_SQUARES_REPLICA_MEAN = "SUM_OF_SQUARES_REPLICA_MEAN"
    CATEGORICAL_CROSSENTROPY = "CATEGORICAL_CROSSENTROPY"


class Dataset(Choice):
    """The images to learn: 28 by 28 pixels in ten classes."""

    MNIST = "MNIST"
    DIGITS = "DIGITS"


# Samples for training and for validation.
SAMPLES: dict[Dataset, tuple[int, int]] = {Dataset.MNIST: (60_000, 10_000), Dataset.DIGITS: (1_438, 359)}


class Device(Choice):
    """Where to train; a GPU that is asked for and absent is an error."""

    AUTO = "AUTO"
    CPU = "CPU"
    GPU = "GPU"


class Execution(Choice):
    """How TensorFlow executes a step."""

    EAGER = "EAGER"
    GRAPH = "GRAPH"
    XLA = "XLA"


class AccuracyMetric(Choice):
    """What counts the accuracy that a loop reports; the final accuracy does not depend on it."""

    SPARSE_CATEGORICAL = "SPARSE_CATEGORICAL"
    CATEGORICAL = "CATEGORICAL"
    ARGMAX = "ARGMAX"
    CATEGORICAL_ON_LABELS = "CATEGORICAL_ON_LABELS"


class LossAggregation(Choice):
    """Which loss an epoch reports; the final loss does not depend on it."""

    MEAN = "MEAN"
    LAST_BATCH = "LAST_BATCH"


class RunState(Choice):
    """Where a run is in its life."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether the run can change no more."""
        return self not in (RunState.QUEUED, RunState.RUNNING)


# Fields of a spec that have several forms, and the forms by their kind.
VARIANTS: dict[str, Mapping[str, type[Variant]]] = {"optimizer": OPTIMIZERS, "network": NETWORKS}
# Fields of a spec that the first digests of one know nothing of, and their defaults.
LATER = {"replicas": 1, "network": Mlp()}


class RunSpec(Input):
    """One training job. The defaults are the article's: row 1 of its table, with the divisor that counts.

    A field with choices also takes a name as the command line spells it: ``RunSpec(method="fit", optimizer="adam")``.
    """

    method: Method = Method.GRADIENT_TAPE
    loss: Loss = Loss.SUM_OF_SQUARES
    optimizer: Optimizer = Sgd()
    dataset: Dataset = Dataset.MNIST
    epochs: Annotated[int, Field(ge=1, le=1_000)] = 10
    batch_size: Annotated[int, Field(ge=1, le=60_000)] = 32
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    shuffle_buffer: Annotated[int, Field(ge=0, le=1_000_000)] = 1_000
    device: Device = Device.AUTO
    execution: Execution = Execution.GRAPH
    steps_per_execution: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    replicas: Annotated[int, Field(ge=1, le=16)] = 1
    accuracy_metric: AccuracyMetric = AccuracyMetric.SPARSE_CATEGORICAL
    loss_aggregation: LossAggregation = LossAggregation.MEAN
    tensorboard: bool = False
    network: Network = Mlp()

    @field_validator(*VARIANTS, mode="before")
    @classmethod
    def _variant_by_name(cls, value: Any) -> Any:
        return {"kind": value.lower()} if isinstance(value, str) else value

    @property
    def unset_later(self) -> frozenset[str]:
        """The later fields that have their defaults: what they are left out of has the digest that it always had."""
        return frozenset(name for name, default in LATER.items() if getattr(self, name) == default)

    @field_validator("steps_per_execution")
    @classmethod
    def _eager_steps_one_at_a_time(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("execution") is Execution.EAGER:
            raise ValueError("must be 0 or 1 under EAGER, which takes one step at a time")
        return value

    @field_validator("replicas")
    @classmethod
    def _replicas_share_every_batch(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and (reasons := tuple(_against_replicas(value, info.data))):
            raise ValueError("; ".join(reasons))
        return value


def _against_replicas(replicas: int, given: Mapping[str, Any]) -> Iterator[str]:
    """Why ``replicas`` cannot share a run of ``given``; an invalid field is not considered."""
    if given.get("method") is Method.GRADIENT_TAPE:
        yield "must be 1 with GRADIENT_TAPE, as fit alone distributes batches"
    if given.get("execution") is Execution.XLA:
        yield "must be 1 under XLA, which compiles for one device"
    if given.get("steps_per_execution", 0) > 1:
        yield "must be 1 where steps_per_execution is above 1"
    single = ("gradient_accumulation_steps", "ema_overwrite_frequency")
    yield from (f"must be 1 with {name}" for name in single if getattr(given.get("optimizer"), name, None))
    if not {"dataset", "batch_size"} <= given.keys():
        return
    dataset, batch_size = given["dataset"], given["batch_size"]
    train, validation = SAMPLES[dataset]
    if batch_size % replicas or train % replicas:
        yield f"must divide batch_size and the {train:,} training samples of {dataset}, for equal shares of every batch"
    if (validation % batch_size or batch_size) < replicas:
        yield f"must be at most {validation % batch_size or batch_size}, the samples in the last validation batch"


class ClassMetrics(Model):
    """The samples of one class, with their numbers by predicted class: a row of the confusion matrix."""

    predicted: tuple[int, ...]
    accuracy: float


class FinalMetrics(Model):
    """Counted on given weights over a whole set; loss is the mean over the samples there are.

    Results of older servers have no ``classes``.
    """

    loss: float
    accuracy: float
    correct: int
    samples: int
    classes: tuple[ClassMetrics, ...] = ()

    @property
    def finite(self) -> bool:
        """Whether neither figure is NaN or infinite."""
        return _finite(self)


class ReportedMetrics(Model):
    """What a loop reported, by its own accuracy metric and loss aggregation: may be wrong."""

    loss: float
    accuracy: float

    @property
    def finite(self) -> bool:
        """Whether neither figure is NaN or infinite."""
        return _finite(self)


def _finite(figures: FinalMetrics | ReportedMetrics) -> bool:
    return math.isfinite(figures.loss) and math.isfinite(figures.accuracy)


class EpochRecord(Model):
    """One epoch, counted from 1, as the loop reported it.

    ``weights_sketch`` are 32 signed sums of the weights after the epoch; epochs of older servers have none.
    """

    epoch: int
    train: ReportedMetrics
    validation: ReportedMetrics
    train_seconds: float
    examples_per_second: float
    samples: int
    weights_sketch: tuple[float, ...] = ()

    @property
    def finite(self) -> bool:
        """Whether no figure that the loop reported is NaN or infinite."""
        return self.train.finite and self.validation.finite


class Divergence(Model):
    """The first epoch that ended with weights or figures that are not finite, and the update of it; both from 1.

    ``step`` is None where the server that trained did not look for it.
    """

    epoch: int
    step: int | None = None

    def __str__(self) -> str:
        return f"epoch {self.epoch}" if self.step is None else f"epoch {self.epoch}, step {self.step}"


class Phases(Model):
    """Wall time of each phase of a run, in seconds."""

    queue_seconds: float = 0.0
    start_seconds: float = 0.0
    load_seconds: float = 0.0
    compile_seconds: float = 0.0
    train_seconds: float = 0.0
    evaluate_seconds: float = 0.0


class Environment(Model):
    """Where a run ran: enough to repeat it."""

    versions: dict[str, str]
    device: Device
    device_name: str
    cpu_model: str
    cpu_count: int
    threads: int
    platform: str
    source_revision: str


class Result(Model):
    """What a run that succeeded found.

    ``diverged`` is set where the final weights or any figure are NaN or infinite; the digest is no evidence then.
    """

    dataset: Dataset
    train: FinalMetrics
    validation: FinalMetrics
    reported_train: ReportedMetrics
    reported_validation: ReportedMetrics
    history: tuple[EpochRecord, ...]
    weights_digest: str
    batch_order_digest: str
    updates: int
    phases: Phases
    environment: Environment
    tensorboard_dir: str = ""
    diverged: Annotated[Divergence | None, Field(validate_default=True)] = None
    notes: tuple[str, ...] = ()

    @field_validator("diverged")
    @classmethod
    def _marked(cls, value: Divergence | None, info: ValidationInfo) -> Divergence | None:
        # Servers of before the mark stored none, and their figures say in which epoch it was.
        return value or _divergence_of(info.data)


def _divergence_of(result: Mapping[str, Any]) -> Divergence | None:
    """What the figures of a result say by themselves; a field that is bad by itself has no say."""
    epochs: tuple[EpochRecord, ...] = result.get("history", ())
    ends = [result[name] for name in ("train", "validation", "reported_train", "reported_validation") if name in result]
    last = [] if all(end.finite for end in ends) else [max(1, len(epochs))]
    broken = [record.epoch for record in epochs if not record.finite] + last
    return Divergence(epoch=broken[0]) if broken else None


class RunError(Model):
    """Why a run failed or was cancelled: a stable reason, and words for people with what to do about it."""

    reason: str
    message: str
    retryable: bool = False
    hint: str = ""


class Run(Model):
    """A run and, once it has ended, what came of it."""

    id: str
    request_id: str
    spec: RunSpec
    state: RunState
    create_time: datetime
    start_time: datetime | None = None
    end_time: datetime | None = None
    result: Result | None = None
    error: RunError | None = None
    name: str = ""
    labels: dict[str, str] = Field(default_factory=dict)

    @property
    def naming(self) -> Naming:
        """The name and the labels that the caller gave the run."""
        return Naming(name=self.name, labels=self.labels)


class Progress(Model):
    """How far a run has come; ``epoch`` counts from 1 and is the one under way.

    Speeds are not set before the first step.
    """

    epoch: int
    epochs: int
    step: int
    steps_per_epoch: int
    train: ReportedMetrics | None = None
    examples_per_second: float | None = None
    seconds_left: float | None = None


class RunEvent(Model):
    """An event of WatchRun: the first holds the run and all epochs so far, the last the run as it ended."""

    state: RunState
    queue_position: int | None = None
    progress: Progress | None = None
    epochs: tuple[EpochRecord, ...] = ()
    run: Run | None = None
