"""Evaluations, filters, and what a server is."""

import re
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from loopbench.spec.base import LONGEST_LIST, Input, Model
from loopbench.spec.naming import Labels, Name
from loopbench.spec.networks import NETWORKS
from loopbench.spec.optimizers import OPTIMIZERS
from loopbench.spec.run import (
    AccuracyMetric,
    Dataset,
    Device,
    Environment,
    Execution,
    FinalMetrics,
    Loss,
    LossAggregation,
    Method,
    ReportedMetrics,
    RunSpec,
    RunState,
)

T = TypeVar("T")
# An id from its beginning; shorter ones match by chance.
ID_PREFIX = re.compile(r"[0-9a-f-]{4,36}")
Listed = Annotated[tuple[T, ...], Field(max_length=LONGEST_LIST)]


def _id_prefix(text: str) -> str:
    if text and not ID_PREFIX.fullmatch(text.lower()):
        raise ValueError("must be the first 4 to 36 characters of a run id")
    return text.lower()


class Evaluation(Model):
    """Stored weights evaluated one way, and counted."""

    run_id: str
    method: Method
    loss: Loss
    accuracy_metric: AccuracyMetric
    reported_train: ReportedMetrics
    reported_validation: ReportedMetrics
    train: FinalMetrics
    validation: FinalMetrics


class EvaluationRequest(Input):
    """Which stored weights to evaluate and how; what is not given is the run's own."""

    run_id: str | None = None
    spec: Annotated[RunSpec | None, Field(validate_default=True)] = None
    method: Method | None = None
    loss: Loss | None = None
    accuracy_metric: AccuracyMetric | None = None

    @field_validator("spec")
    @classmethod
    def _one_source(cls, value: RunSpec | None, info: ValidationInfo) -> RunSpec | None:
        if (info.data.get("run_id") is None) == (value is None):
            raise ValueError("exactly one of run_id and spec must be set")
        return value


class RunFilter(Input):
    """A run matches when, for every field that is not empty, one of its values matches.

    Of ``labels`` all have to match. ``id_prefix`` has at least four characters.
    """

    states: Listed[RunState] = ()
    methods: Listed[Method] = ()
    losses: Listed[Loss] = ()
    datasets: Listed[Dataset] = ()
    optimizers: Listed[Literal["sgd", "adam", "adamw", "rmsprop"]] = ()
    seeds: Listed[Annotated[int, Field(ge=0, lt=2**32)]] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    names: Listed[Annotated[Name, Field(min_length=1)]] = ()
    labels: Labels = Field(default_factory=dict)
    id_prefix: Annotated[str, AfterValidator(_id_prefix)] = ""


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
    environments: tuple[Environment, ...]
    running: int
    queued: int
    methods: tuple[Method, ...] = tuple(Method)
    losses: tuple[Loss, ...] = tuple(Loss)
    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    networks: tuple[str, ...] = tuple(NETWORKS)
    executions: tuple[Execution, ...] = tuple(Execution)
    accuracy_metrics: tuple[AccuracyMetric, ...] = tuple(AccuracyMetric)
    loss_aggregations: tuple[LossAggregation, ...] = tuple(LossAggregation)
