"""What a run is, what it finds and what a comparison says, as frozen models.

Accuracies are fractions, 0 to 1; times are seconds; digests are SHA-256 in hexadecimal. Field names are those of the
protobuf messages, so a path in a validation error names the field of either.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator


class Method(StrEnum):
    """The way of writing the training loop."""

    GRADIENT_TAPE = "GRADIENT_TAPE"
    FIT = "FIT"
    CUSTOM_TRAIN_STEP = "CUSTOM_TRAIN_STEP"


class Loss(StrEnum):
    """The loss that is minimised; labels are one-hot, outputs are raw."""

    MEAN_SQUARED_ERROR = "MEAN_SQUARED_ERROR"
    SUM_OF_SQUARES = "SUM_OF_SQUARES"
    SUM_OF_SQUARES_FIXED_BATCH = "SUM_OF_SQUARES_FIXED_BATCH"
    CATEGORICAL_CROSSENTROPY = "CATEGORICAL_CROSSENTROPY"


class Dataset(StrEnum):
    """The images to learn: 28 by 28 pixels in ten classes."""

    MNIST = "MNIST"
    DIGITS = "DIGITS"


class Device(StrEnum):
    """Where to train; a GPU that is asked for and absent is an error."""

    AUTO = "AUTO"
    CPU = "CPU"
    GPU = "GPU"


class Execution(StrEnum):
    """How TensorFlow executes a step."""

    EAGER = "EAGER"
    GRAPH = "GRAPH"
    XLA = "XLA"


class Meter(StrEnum):
    """What counts the accuracy that a loop reports; the audited accuracy does not depend on it."""

    SPARSE_CATEGORICAL = "SPARSE_CATEGORICAL"
    CATEGORICAL = "CATEGORICAL"
    ARGMAX = "ARGMAX"
    CATEGORICAL_ON_LABELS = "CATEGORICAL_ON_LABELS"


class LossReport(StrEnum):
    """Which loss an epoch reports; the audited loss does not depend on it."""

    MEAN = "MEAN"
    LAST_BATCH = "LAST_BATCH"


class RunState(StrEnum):
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


class Verdict(StrEnum):
    """What a comparison says of two groups of runs."""

    IDENTICAL = "IDENTICAL"
    EQUIVALENT = "EQUIVALENT"
    DIFFERENT = "DIFFERENT"
    INCONCLUSIVE = "INCONCLUSIVE"


class Model(BaseModel):
    """Immutable, and closed to fields it does not know. A figure may be NaN: training can diverge."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Input(Model):
    """What a caller asks for: every number is finite."""

    model_config = ConfigDict(allow_inf_nan=False)


Rate = Annotated[float, Field(gt=0, le=1e6)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Penalty = Annotated[float, Field(ge=0, le=1e6)]
Clip = Annotated[float, Field(gt=0, le=1e12)]


class BaseOptimizer(Input):
    """Parameters that every Keras optimizer takes, with Keras's defaults."""

    weight_decay: Penalty | None = None
    clipnorm: Clip | None = None
    clipvalue: Clip | None = None
    global_clipnorm: Clip | None = None
    use_ema: bool = False
    ema_momentum: Annotated[float, Field(ge=0, le=1)] = 0.99
    ema_overwrite_frequency: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    loss_scale_factor: Clip | None = None
    gradient_accumulation_steps: Annotated[int, Field(ge=2, le=1_000_000)] | None = None

    @field_validator("clipvalue", "global_clipnorm")
    @classmethod
    def _one_way_of_clipping(cls, value: float | None, info: ValidationInfo) -> float | None:
        # Declared after the others, so that the error names a field. Keras refuses two as well.
        if value is not None and any(info.data.get(name) is not None for name in ("clipnorm", "clipvalue")):
            raise ValueError("at most one of clipnorm, clipvalue and global_clipnorm may be set")
        return value


class Sgd(BaseOptimizer):
    """``keras.optimizers.SGD``."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: Rate = 0.01
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.0
    nesterov: bool = False


class Adam(BaseOptimizer):
    """``keras.optimizers.Adam``."""

    kind: Literal["adam"] = "adam"
    learning_rate: Rate = 0.001
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Rate = 1e-7
    amsgrad: bool = False


class AdamW(BaseOptimizer):
    """``keras.optimizers.AdamW``: Adam with decoupled weight decay."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: Rate = 0.001
    weight_decay: Penalty = 0.004
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Rate = 1e-7
    amsgrad: bool = False


class RmsProp(BaseOptimizer):
    """``keras.optimizers.RMSprop``."""

    kind: Literal["rmsprop"] = "rmsprop"
    learning_rate: Rate = 0.001
    rho: Decay = 0.9
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.0
    epsilon: Rate = 1e-7
    centered: bool = False


OPTIMIZERS: dict[str, type[BaseOptimizer]] = {"sgd": Sgd, "adam": Adam, "adamw": AdamW, "rmsprop": RmsProp}
Optimizer = Annotated[Sgd | Adam | AdamW | RmsProp, Field(discriminator="kind")]


class RunSpec(Input):
    """One training job. The defaults are the article's: row 1 of its table, with the divisor that counts."""

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
    meter: Meter = Meter.SPARSE_CATEGORICAL
    loss_report: LossReport = LossReport.MEAN
    tensorboard: bool = False

    @field_validator("steps_per_execution")
    @classmethod
    def _eager_steps_one_at_a_time(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("execution") is Execution.EAGER:
            raise ValueError("must be 0 or 1 under EAGER, which takes one step at a time")
        return value


class Audit(Model):
    """Counted on given weights over a whole set; loss is the mean over the samples there are."""

    loss: float
    accuracy: float
    correct: int
    samples: int


class Reported(Model):
    """What a loop reported, by its own meter and loss report: may be wrong."""

    loss: float
    accuracy: float


class EpochRecord(Model):
    """One epoch, counted from 1, as the loop reported it."""

    epoch: int
    train: Reported
    validation: Reported
    train_seconds: float
    examples_per_second: float
    samples: int


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
    """What a run that succeeded found."""

    dataset: Dataset
    train: Audit
    validation: Audit
    reported_train: Reported
    reported_validation: Reported
    history: tuple[EpochRecord, ...]
    weights_digest: str
    batch_order_digest: str
    updates: int
    phases: Phases
    environment: Environment
    tensorboard_dir: str = ""


class RunError(Model):
    """Why a run failed or was cancelled: a stable reason, and words for people."""

    reason: str
    message: str
    retryable: bool = False


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


class Progress(Model):
    """How far a run has come; ``epoch`` counts from 1 and is the one under way.

    Speeds are not set before the first step.
    """

    epoch: int
    epochs: int
    step: int
    steps_per_epoch: int
    train: Reported | None = None
    examples_per_second: float | None = None
    seconds_left: float | None = None


class RunEvent(Model):
    """What a watcher is told: the first event holds the run and all epochs so far, the last the run as it ended."""

    state: RunState
    queue_position: int | None = None
    progress: Progress | None = None
    epochs: tuple[EpochRecord, ...] = ()
    run: Run | None = None


class Evaluation(Model):
    """Stored weights evaluated one way, and counted."""

    run_id: str
    method: Method
    loss: Loss
    meter: Meter
    reported_train: Reported
    reported_validation: Reported
    train: Audit
    validation: Audit


class EvaluationRequest(Input):
    """Which stored weights to evaluate and how; what is not given is the run's own."""

    run_id: str | None = None
    spec: Annotated[RunSpec | None, Field(validate_default=True)] = None
    method: Method | None = None
    loss: Loss | None = None
    meter: Meter | None = None

    @field_validator("spec")
    @classmethod
    def _one_source(cls, value: RunSpec | None, info: ValidationInfo) -> RunSpec | None:
        if (info.data.get("run_id") is None) == (value is None):
            raise ValueError("exactly one of run_id and spec must be set")
        return value


class RunFilter(Input):
    """A run matches when, for every field that is not empty, one of its values matches."""

    states: tuple[RunState, ...] = ()
    methods: tuple[Method, ...] = ()
    losses: tuple[Loss, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    optimizers: tuple[Literal["sgd", "adam", "adamw", "rmsprop"], ...] = ()
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None


class RunGroup(Input):
    """Runs of one specification under several seeds."""

    label: Annotated[str, Field(min_length=1, max_length=200)]
    run_ids: Annotated[tuple[str, ...], Field(min_length=1, max_length=1_000)]


class ComparisonRequest(Input):
    """Groups to compare; ``margin`` is the difference of accuracy that counts for nothing, a fraction."""

    groups: Annotated[tuple[RunGroup, ...], Field(min_length=2, max_length=100)]
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.005
    alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.05

    @field_validator("groups")
    @classmethod
    def _labels_name_one_group(cls, value: tuple[RunGroup, ...]) -> tuple[RunGroup, ...]:
        labels = [group.label for group in value]
        if len(set(labels)) < len(labels):
            raise ValueError("every group needs a label of its own")
        return value


class GroupSummary(Model):
    """A group's audited accuracies; the standard deviations need two seeds."""

    label: str
    run_ids: tuple[str, ...]
    seeds: tuple[int, ...]
    train_accuracies: tuple[float, ...]
    validation_accuracies: tuple[float, ...]
    train_accuracy_mean: float
    validation_accuracy_mean: float
    train_accuracy_sd: float | None = None
    validation_accuracy_sd: float | None = None


class PairComparison(Model):
    """The verdict on two groups; ``difference`` is first minus second, audited validation accuracy."""

    first_label: str
    second_label: str
    verdict: Verdict
    difference: float
    interval_low: float | None = None
    interval_high: float | None = None
    effect_size: float | None = None
    equivalence_p_value: float | None = None
    difference_p_value: float | None = None
    paired: bool
    seeds_needed: int | None = None
    explanation: str


class Comparison(Model):
    """Every group and the verdict on every pair."""

    groups: tuple[GroupSummary, ...]
    pairs: tuple[PairComparison, ...]
    margin: float
    alpha: float


class Evidence(Model):
    """A measurement that speaks for or against a cause."""

    name: str
    description: str
    expected: float | None = None
    observed: float | None = None


class Side(StrEnum):
    """One of the two that are diagnosed."""

    FIRST = "FIRST"
    SECOND = "SECOND"


class Cause(Model):
    """Why two ways of training end, or report, differently; ``side`` is the one at fault, if one is."""

    reason: str
    title: str
    evidence: tuple[Evidence, ...]
    effect: str
    fix: str
    side: Side | None = None


class Diagnosis(Model):
    """Causes, the strongest first, and the experiments that found no difference.

    The specifications are those of the two sides, as diagnosed and with every fix applied, where specifications were
    diagnosed; a loop of one's own has none.
    """

    causes: tuple[Cause, ...]
    controls: tuple[Evidence, ...]
    verification: Comparison | None = None
    first: RunSpec | None = None
    second: RunSpec | None = None
    fixed_first: RunSpec | None = None
    fixed_second: RunSpec | None = None


class DiagnosisSubject(Input):
    """One side of a diagnosis: a specification, or the run that has it."""

    spec: RunSpec | None = None
    run_id: Annotated[str | None, Field(validate_default=True)] = None

    @field_validator("run_id")
    @classmethod
    def _one_source(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "spec" in info.data and (info.data["spec"] is None) == (value is None):
            raise ValueError("exactly one of spec and run_id must be set")
        return value


class DiagnosisRequest(Input):
    """Two sides; ``verify`` asks to train both with and without the fixes under ``seeds`` seeds."""

    first: DiagnosisSubject
    second: DiagnosisSubject
    verify: bool = False
    seeds: Annotated[int, Field(ge=1, le=100)] = 3


class DeviceInfo(Model):
    """A device as TensorFlow names it."""

    type: Device
    name: str


class DatasetInfo(Model):
    """A dataset and whether a run on it can start without a download."""

    dataset: Dataset
    available: bool
    train_samples: int
    validation_samples: int


class ServerLimits(Model):
    """Runs at once, runs that may wait, bytes of a message."""

    slots: int
    queue_size: int
    message_bytes: int


class ServerInfo(Model):
    """What a server is and what it can do."""

    ready: bool
    versions: dict[str, str]
    devices: tuple[DeviceInfo, ...]
    datasets: tuple[DatasetInfo, ...]
    limits: ServerLimits
    running: int
    queued: int
    methods: tuple[Method, ...] = tuple(Method)
    losses: tuple[Loss, ...] = tuple(Loss)
    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    executions: tuple[Execution, ...] = tuple(Execution)
    meters: tuple[Meter, ...] = tuple(Meter)
    loss_reports: tuple[LossReport, ...] = tuple(LossReport)


class Violation(Model):
    """A field, by its path, and what is wrong with it."""

    field: str
    description: str


class InvalidFieldsError(ValueError):
    """Input that breaks the contract; ``violations`` names every bad field."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" if v.field else v.description for v in violations))
        self.violations = violations


def violations_of(errors: list[Any], prefix: str = "") -> tuple[Violation, ...]:
    """The errors of a ``pydantic.ValidationError`` (``error.errors()``) as field paths below ``prefix``."""
    return tuple(
        Violation(
            field=".".join([prefix, *map(str, error["loc"])] if prefix else map(str, error["loc"])),
            description=error["msg"].removeprefix("Value error, "),
        )
        for error in errors
    )
