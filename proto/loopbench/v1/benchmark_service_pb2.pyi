import datetime

from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from loopbench.v1 import analysis_pb2 as _analysis_pb2
from loopbench.v1 import run_pb2 as _run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TrainRequest(_message.Message):
    __slots__ = ("spec", "request_id", "detach", "name", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SPEC_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DETACH_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    spec: _run_pb2.RunSpec
    request_id: str
    detach: bool
    name: str
    labels: _containers.ScalarMap[str, str]
    def __init__(self, spec: _Optional[_Union[_run_pb2.RunSpec, _Mapping]] = ..., request_id: _Optional[str] = ..., detach: _Optional[bool] = ..., name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class EvaluateRequest(_message.Message):
    __slots__ = ("run_id", "spec", "method", "loss", "accuracy_metric")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_METRIC_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    spec: _run_pb2.RunSpec
    method: _run_pb2.Method
    loss: _run_pb2.Loss
    accuracy_metric: _run_pb2.AccuracyMetric
    def __init__(self, run_id: _Optional[str] = ..., spec: _Optional[_Union[_run_pb2.RunSpec, _Mapping]] = ..., method: _Optional[_Union[_run_pb2.Method, str]] = ..., loss: _Optional[_Union[_run_pb2.Loss, str]] = ..., accuracy_metric: _Optional[_Union[_run_pb2.AccuracyMetric, str]] = ...) -> None: ...

class EvaluateResponse(_message.Message):
    __slots__ = ("run_id", "method", "loss", "accuracy_metric", "reported_train", "reported_validation", "train", "validation")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_METRIC_FIELD_NUMBER: _ClassVar[int]
    REPORTED_TRAIN_FIELD_NUMBER: _ClassVar[int]
    REPORTED_VALIDATION_FIELD_NUMBER: _ClassVar[int]
    TRAIN_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    method: _run_pb2.Method
    loss: _run_pb2.Loss
    accuracy_metric: _run_pb2.AccuracyMetric
    reported_train: _run_pb2.ReportedMetrics
    reported_validation: _run_pb2.ReportedMetrics
    train: _run_pb2.FinalMetrics
    validation: _run_pb2.FinalMetrics
    def __init__(self, run_id: _Optional[str] = ..., method: _Optional[_Union[_run_pb2.Method, str]] = ..., loss: _Optional[_Union[_run_pb2.Loss, str]] = ..., accuracy_metric: _Optional[_Union[_run_pb2.AccuracyMetric, str]] = ..., reported_train: _Optional[_Union[_run_pb2.ReportedMetrics, _Mapping]] = ..., reported_validation: _Optional[_Union[_run_pb2.ReportedMetrics, _Mapping]] = ..., train: _Optional[_Union[_run_pb2.FinalMetrics, _Mapping]] = ..., validation: _Optional[_Union[_run_pb2.FinalMetrics, _Mapping]] = ...) -> None: ...

class WatchRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class WatchRunResponse(_message.Message):
    __slots__ = ("state", "queue_position", "progress", "epochs", "run")
    STATE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    state: _run_pb2.RunState
    queue_position: int
    progress: _run_pb2.Progress
    epochs: _containers.RepeatedCompositeFieldContainer[_run_pb2.EpochRecord]
    run: _run_pb2.Run
    def __init__(self, state: _Optional[_Union[_run_pb2.RunState, str]] = ..., queue_position: _Optional[int] = ..., progress: _Optional[_Union[_run_pb2.Progress, _Mapping]] = ..., epochs: _Optional[_Iterable[_Union[_run_pb2.EpochRecord, _Mapping]]] = ..., run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ...) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class RunFilter(_message.Message):
    __slots__ = ("states", "methods", "losses", "datasets", "optimizers", "seeds", "created_after", "created_before", "names", "labels", "id_prefix")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    STATES_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZERS_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ID_PREFIX_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[_run_pb2.RunState]
    methods: _containers.RepeatedScalarFieldContainer[_run_pb2.Method]
    losses: _containers.RepeatedScalarFieldContainer[_run_pb2.Loss]
    datasets: _containers.RepeatedScalarFieldContainer[_run_pb2.Dataset]
    optimizers: _containers.RepeatedScalarFieldContainer[str]
    seeds: _containers.RepeatedScalarFieldContainer[int]
    created_after: _timestamp_pb2.Timestamp
    created_before: _timestamp_pb2.Timestamp
    names: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    id_prefix: str
    def __init__(self, states: _Optional[_Iterable[_Union[_run_pb2.RunState, str]]] = ..., methods: _Optional[_Iterable[_Union[_run_pb2.Method, str]]] = ..., losses: _Optional[_Iterable[_Union[_run_pb2.Loss, str]]] = ..., datasets: _Optional[_Iterable[_Union[_run_pb2.Dataset, str]]] = ..., optimizers: _Optional[_Iterable[str]] = ..., seeds: _Optional[_Iterable[int]] = ..., created_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., names: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., id_prefix: _Optional[str] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    filter: RunFilter
    page_size: int
    page_token: str
    def __init__(self, filter: _Optional[_Union[RunFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs", "next_page_token")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[_run_pb2.Run]
    next_page_token: str
    def __init__(self, runs: _Optional[_Iterable[_Union[_run_pb2.Run, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class DeleteRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class GetWeightsRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class GetWeightsResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class CompareRequest(_message.Message):
    __slots__ = ("groups", "margin", "alpha")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[_analysis_pb2.RunGroup]
    margin: float
    alpha: float
    def __init__(self, groups: _Optional[_Iterable[_Union[_analysis_pb2.RunGroup, _Mapping]]] = ..., margin: _Optional[float] = ..., alpha: _Optional[float] = ...) -> None: ...

class DiagnoseRequest(_message.Message):
    __slots__ = ("first", "second", "verify", "seeds")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    VERIFY_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    first: _analysis_pb2.DiagnosisSubject
    second: _analysis_pb2.DiagnosisSubject
    verify: bool
    seeds: int
    def __init__(self, first: _Optional[_Union[_analysis_pb2.DiagnosisSubject, _Mapping]] = ..., second: _Optional[_Union[_analysis_pb2.DiagnosisSubject, _Mapping]] = ..., verify: _Optional[bool] = ..., seeds: _Optional[int] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeviceInfo(_message.Message):
    __slots__ = ("type", "name")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    type: _run_pb2.Device
    name: str
    def __init__(self, type: _Optional[_Union[_run_pb2.Device, str]] = ..., name: _Optional[str] = ...) -> None: ...

class DatasetInfo(_message.Message):
    __slots__ = ("dataset", "available", "train_samples", "validation_samples")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    TRAIN_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    dataset: _run_pb2.Dataset
    available: bool
    train_samples: int
    validation_samples: int
    def __init__(self, dataset: _Optional[_Union[_run_pb2.Dataset, str]] = ..., available: _Optional[bool] = ..., train_samples: _Optional[int] = ..., validation_samples: _Optional[int] = ...) -> None: ...

class ServerLimits(_message.Message):
    __slots__ = ("slots", "queue_size", "message_bytes")
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_SIZE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    slots: int
    queue_size: int
    message_bytes: int
    def __init__(self, slots: _Optional[int] = ..., queue_size: _Optional[int] = ..., message_bytes: _Optional[int] = ...) -> None: ...

class ServerInfo(_message.Message):
    __slots__ = ("ready", "versions", "devices", "datasets", "limits", "running", "queued", "methods", "losses", "optimizers", "executions", "accuracy_metrics", "loss_aggregations", "networks", "environments")
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    READY_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZERS_FIELD_NUMBER: _ClassVar[int]
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_METRICS_FIELD_NUMBER: _ClassVar[int]
    LOSS_AGGREGATIONS_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    ready: bool
    versions: _containers.ScalarMap[str, str]
    devices: _containers.RepeatedCompositeFieldContainer[DeviceInfo]
    datasets: _containers.RepeatedCompositeFieldContainer[DatasetInfo]
    limits: ServerLimits
    running: int
    queued: int
    methods: _containers.RepeatedScalarFieldContainer[_run_pb2.Method]
    losses: _containers.RepeatedScalarFieldContainer[_run_pb2.Loss]
    optimizers: _containers.RepeatedScalarFieldContainer[str]
    executions: _containers.RepeatedScalarFieldContainer[_run_pb2.Execution]
    accuracy_metrics: _containers.RepeatedScalarFieldContainer[_run_pb2.AccuracyMetric]
    loss_aggregations: _containers.RepeatedScalarFieldContainer[_run_pb2.LossAggregation]
    networks: _containers.RepeatedScalarFieldContainer[str]
    environments: _containers.RepeatedCompositeFieldContainer[_run_pb2.Environment]
    def __init__(self, ready: _Optional[bool] = ..., versions: _Optional[_Mapping[str, str]] = ..., devices: _Optional[_Iterable[_Union[DeviceInfo, _Mapping]]] = ..., datasets: _Optional[_Iterable[_Union[DatasetInfo, _Mapping]]] = ..., limits: _Optional[_Union[ServerLimits, _Mapping]] = ..., running: _Optional[int] = ..., queued: _Optional[int] = ..., methods: _Optional[_Iterable[_Union[_run_pb2.Method, str]]] = ..., losses: _Optional[_Iterable[_Union[_run_pb2.Loss, str]]] = ..., optimizers: _Optional[_Iterable[str]] = ..., executions: _Optional[_Iterable[_Union[_run_pb2.Execution, str]]] = ..., accuracy_metrics: _Optional[_Iterable[_Union[_run_pb2.AccuracyMetric, str]]] = ..., loss_aggregations: _Optional[_Iterable[_Union[_run_pb2.LossAggregation, str]]] = ..., networks: _Optional[_Iterable[str]] = ..., environments: _Optional[_Iterable[_Union[_run_pb2.Environment, _Mapping]]] = ...) -> None: ...
