import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Method(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METHOD_UNSPECIFIED: _ClassVar[Method]
    METHOD_GRADIENT_TAPE: _ClassVar[Method]
    METHOD_FIT: _ClassVar[Method]
    METHOD_CUSTOM_TRAIN_STEP: _ClassVar[Method]

class Loss(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOSS_UNSPECIFIED: _ClassVar[Loss]
    LOSS_MEAN_SQUARED_ERROR: _ClassVar[Loss]
    LOSS_SUM_OF_SQUARES: _ClassVar[Loss]
    LOSS_SUM_OF_SQUARES_FIXED_BATCH: _ClassVar[Loss]
    LOSS_CATEGORICAL_CROSSENTROPY: _ClassVar[Loss]
    LOSS_SUM_OF_SQUARES_REPLICA_MEAN: _ClassVar[Loss]

class Dataset(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATASET_UNSPECIFIED: _ClassVar[Dataset]
    DATASET_MNIST: _ClassVar[Dataset]
    DATASET_DIGITS: _ClassVar[Dataset]

class Device(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEVICE_UNSPECIFIED: _ClassVar[Device]
    DEVICE_AUTO: _ClassVar[Device]
    DEVICE_CPU: _ClassVar[Device]
    DEVICE_GPU: _ClassVar[Device]

class Execution(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXECUTION_UNSPECIFIED: _ClassVar[Execution]
    EXECUTION_EAGER: _ClassVar[Execution]
    EXECUTION_GRAPH: _ClassVar[Execution]
    EXECUTION_XLA: _ClassVar[Execution]

class AccuracyMetric(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCURACY_METRIC_UNSPECIFIED: _ClassVar[AccuracyMetric]
    ACCURACY_METRIC_SPARSE_CATEGORICAL: _ClassVar[AccuracyMetric]
    ACCURACY_METRIC_CATEGORICAL: _ClassVar[AccuracyMetric]
    ACCURACY_METRIC_ARGMAX: _ClassVar[AccuracyMetric]
    ACCURACY_METRIC_CATEGORICAL_ON_LABELS: _ClassVar[AccuracyMetric]

class LossAggregation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOSS_AGGREGATION_UNSPECIFIED: _ClassVar[LossAggregation]
    LOSS_AGGREGATION_MEAN: _ClassVar[LossAggregation]
    LOSS_AGGREGATION_LAST_BATCH: _ClassVar[LossAggregation]

class RunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATE_UNSPECIFIED: _ClassVar[RunState]
    RUN_STATE_QUEUED: _ClassVar[RunState]
    RUN_STATE_RUNNING: _ClassVar[RunState]
    RUN_STATE_SUCCEEDED: _ClassVar[RunState]
    RUN_STATE_FAILED: _ClassVar[RunState]
    RUN_STATE_CANCELLED: _ClassVar[RunState]
METHOD_UNSPECIFIED: Method
METHOD_GRADIENT_TAPE: Method
METHOD_FIT: Method
METHOD_CUSTOM_TRAIN_STEP: Method
LOSS_UNSPECIFIED: Loss
LOSS_MEAN_SQUARED_ERROR: Loss
LOSS_SUM_OF_SQUARES: Loss
LOSS_SUM_OF_SQUARES_FIXED_BATCH: Loss
LOSS_CATEGORICAL_CROSSENTROPY: Loss
LOSS_SUM_OF_SQUARES_REPLICA_MEAN: Loss
DATASET_UNSPECIFIED: Dataset
DATASET_MNIST: Dataset
DATASET_DIGITS: Dataset
DEVICE_UNSPECIFIED: Device
DEVICE_AUTO: Device
DEVICE_CPU: Device
DEVICE_GPU: Device
EXECUTION_UNSPECIFIED: Execution
EXECUTION_EAGER: Execution
EXECUTION_GRAPH: Execution
EXECUTION_XLA: Execution
ACCURACY_METRIC_UNSPECIFIED: AccuracyMetric
ACCURACY_METRIC_SPARSE_CATEGORICAL: AccuracyMetric
ACCURACY_METRIC_CATEGORICAL: AccuracyMetric
ACCURACY_METRIC_ARGMAX: AccuracyMetric
ACCURACY_METRIC_CATEGORICAL_ON_LABELS: AccuracyMetric
LOSS_AGGREGATION_UNSPECIFIED: LossAggregation
LOSS_AGGREGATION_MEAN: LossAggregation
LOSS_AGGREGATION_LAST_BATCH: LossAggregation
RUN_STATE_UNSPECIFIED: RunState
RUN_STATE_QUEUED: RunState
RUN_STATE_RUNNING: RunState
RUN_STATE_SUCCEEDED: RunState
RUN_STATE_FAILED: RunState
RUN_STATE_CANCELLED: RunState

class Sgd(_message.Message):
    __slots__ = ("learning_rate", "momentum", "nesterov", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum", "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps")
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    MOMENTUM_FIELD_NUMBER: _ClassVar[int]
    NESTEROV_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_DECAY_FIELD_NUMBER: _ClassVar[int]
    CLIPNORM_FIELD_NUMBER: _ClassVar[int]
    CLIPVALUE_FIELD_NUMBER: _ClassVar[int]
    GLOBAL_CLIPNORM_FIELD_NUMBER: _ClassVar[int]
    USE_EMA_FIELD_NUMBER: _ClassVar[int]
    EMA_MOMENTUM_FIELD_NUMBER: _ClassVar[int]
    EMA_OVERWRITE_FREQUENCY_FIELD_NUMBER: _ClassVar[int]
    LOSS_SCALE_FACTOR_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_ACCUMULATION_STEPS_FIELD_NUMBER: _ClassVar[int]
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    clipnorm: float
    clipvalue: float
    global_clipnorm: float
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int
    loss_scale_factor: float
    gradient_accumulation_steps: int
    def __init__(self, learning_rate: _Optional[float] = ..., momentum: _Optional[float] = ..., nesterov: _Optional[bool] = ..., weight_decay: _Optional[float] = ..., clipnorm: _Optional[float] = ..., clipvalue: _Optional[float] = ..., global_clipnorm: _Optional[float] = ..., use_ema: _Optional[bool] = ..., ema_momentum: _Optional[float] = ..., ema_overwrite_frequency: _Optional[int] = ..., loss_scale_factor: _Optional[float] = ..., gradient_accumulation_steps: _Optional[int] = ...) -> None: ...

class Adam(_message.Message):
    __slots__ = ("learning_rate", "beta_1", "beta_2", "epsilon", "amsgrad", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum", "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps")
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    BETA_1_FIELD_NUMBER: _ClassVar[int]
    BETA_2_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    AMSGRAD_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_DECAY_FIELD_NUMBER: _ClassVar[int]
    CLIPNORM_FIELD_NUMBER: _ClassVar[int]
    CLIPVALUE_FIELD_NUMBER: _ClassVar[int]
    GLOBAL_CLIPNORM_FIELD_NUMBER: _ClassVar[int]
    USE_EMA_FIELD_NUMBER: _ClassVar[int]
    EMA_MOMENTUM_FIELD_NUMBER: _ClassVar[int]
    EMA_OVERWRITE_FREQUENCY_FIELD_NUMBER: _ClassVar[int]
    LOSS_SCALE_FACTOR_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_ACCUMULATION_STEPS_FIELD_NUMBER: _ClassVar[int]
    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float
    amsgrad: bool
    weight_decay: float
    clipnorm: float
    clipvalue: float
    global_clipnorm: float
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int
    loss_scale_factor: float
    gradient_accumulation_steps: int
    def __init__(self, learning_rate: _Optional[float] = ..., beta_1: _Optional[float] = ..., beta_2: _Optional[float] = ..., epsilon: _Optional[float] = ..., amsgrad: _Optional[bool] = ..., weight_decay: _Optional[float] = ..., clipnorm: _Optional[float] = ..., clipvalue: _Optional[float] = ..., global_clipnorm: _Optional[float] = ..., use_ema: _Optional[bool] = ..., ema_momentum: _Optional[float] = ..., ema_overwrite_frequency: _Optional[int] = ..., loss_scale_factor: _Optional[float] = ..., gradient_accumulation_steps: _Optional[int] = ...) -> None: ...

class AdamW(_message.Message):
    __slots__ = ("learning_rate", "weight_decay", "beta_1", "beta_2", "epsilon", "amsgrad", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum", "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps")
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_DECAY_FIELD_NUMBER: _ClassVar[int]
    BETA_1_FIELD_NUMBER: _ClassVar[int]
    BETA_2_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    AMSGRAD_FIELD_NUMBER: _ClassVar[int]
    CLIPNORM_FIELD_NUMBER: _ClassVar[int]
    CLIPVALUE_FIELD_NUMBER: _ClassVar[int]
    GLOBAL_CLIPNORM_FIELD_NUMBER: _ClassVar[int]
    USE_EMA_FIELD_NUMBER: _ClassVar[int]
    EMA_MOMENTUM_FIELD_NUMBER: _ClassVar[int]
    EMA_OVERWRITE_FREQUENCY_FIELD_NUMBER: _ClassVar[int]
    LOSS_SCALE_FACTOR_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_ACCUMULATION_STEPS_FIELD_NUMBER: _ClassVar[int]
    learning_rate: float
    weight_decay: float
    beta_1: float
    beta_2: float
    epsilon: float
    amsgrad: bool
    clipnorm: float
    clipvalue: float
    global_clipnorm: float
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int
    loss_scale_factor: float
    gradient_accumulation_steps: int
    def __init__(self, learning_rate: _Optional[float] = ..., weight_decay: _Optional[float] = ..., beta_1: _Optional[float] = ..., beta_2: _Optional[float] = ..., epsilon: _Optional[float] = ..., amsgrad: _Optional[bool] = ..., clipnorm: _Optional[float] = ..., clipvalue: _Optional[float] = ..., global_clipnorm: _Optional[float] = ..., use_ema: _Optional[bool] = ..., ema_momentum: _Optional[float] = ..., ema_overwrite_frequency: _Optional[int] = ..., loss_scale_factor: _Optional[float] = ..., gradient_accumulation_steps: _Optional[int] = ...) -> None: ...

class RmsProp(_message.Message):
    __slots__ = ("learning_rate", "rho", "momentum", "epsilon", "centered", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum", "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps")
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    RHO_FIELD_NUMBER: _ClassVar[int]
    MOMENTUM_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    CENTERED_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_DECAY_FIELD_NUMBER: _ClassVar[int]
    CLIPNORM_FIELD_NUMBER: _ClassVar[int]
    CLIPVALUE_FIELD_NUMBER: _ClassVar[int]
    GLOBAL_CLIPNORM_FIELD_NUMBER: _ClassVar[int]
    USE_EMA_FIELD_NUMBER: _ClassVar[int]
    EMA_MOMENTUM_FIELD_NUMBER: _ClassVar[int]
    EMA_OVERWRITE_FREQUENCY_FIELD_NUMBER: _ClassVar[int]
    LOSS_SCALE_FACTOR_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_ACCUMULATION_STEPS_FIELD_NUMBER: _ClassVar[int]
    learning_rate: float
    rho: float
    momentum: float
    epsilon: float
    centered: bool
    weight_decay: float
    clipnorm: float
    clipvalue: float
    global_clipnorm: float
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int
    loss_scale_factor: float
    gradient_accumulation_steps: int
    def __init__(self, learning_rate: _Optional[float] = ..., rho: _Optional[float] = ..., momentum: _Optional[float] = ..., epsilon: _Optional[float] = ..., centered: _Optional[bool] = ..., weight_decay: _Optional[float] = ..., clipnorm: _Optional[float] = ..., clipvalue: _Optional[float] = ..., global_clipnorm: _Optional[float] = ..., use_ema: _Optional[bool] = ..., ema_momentum: _Optional[float] = ..., ema_overwrite_frequency: _Optional[int] = ..., loss_scale_factor: _Optional[float] = ..., gradient_accumulation_steps: _Optional[int] = ...) -> None: ...

class Optimizer(_message.Message):
    __slots__ = ("sgd", "adam", "adamw", "rmsprop")
    SGD_FIELD_NUMBER: _ClassVar[int]
    ADAM_FIELD_NUMBER: _ClassVar[int]
    ADAMW_FIELD_NUMBER: _ClassVar[int]
    RMSPROP_FIELD_NUMBER: _ClassVar[int]
    sgd: Sgd
    adam: Adam
    adamw: AdamW
    rmsprop: RmsProp
    def __init__(self, sgd: _Optional[_Union[Sgd, _Mapping]] = ..., adam: _Optional[_Union[Adam, _Mapping]] = ..., adamw: _Optional[_Union[AdamW, _Mapping]] = ..., rmsprop: _Optional[_Union[RmsProp, _Mapping]] = ...) -> None: ...

class Mlp(_message.Message):
    __slots__ = ("widths",)
    WIDTHS_FIELD_NUMBER: _ClassVar[int]
    widths: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, widths: _Optional[_Iterable[int]] = ...) -> None: ...

class Cnn(_message.Message):
    __slots__ = ("filters", "dropout")
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    DROPOUT_FIELD_NUMBER: _ClassVar[int]
    filters: _containers.RepeatedScalarFieldContainer[int]
    dropout: float
    def __init__(self, filters: _Optional[_Iterable[int]] = ..., dropout: _Optional[float] = ...) -> None: ...

class Lstm(_message.Message):
    __slots__ = ("units",)
    UNITS_FIELD_NUMBER: _ClassVar[int]
    units: int
    def __init__(self, units: _Optional[int] = ...) -> None: ...

class Network(_message.Message):
    __slots__ = ("mlp", "cnn", "lstm")
    MLP_FIELD_NUMBER: _ClassVar[int]
    CNN_FIELD_NUMBER: _ClassVar[int]
    LSTM_FIELD_NUMBER: _ClassVar[int]
    mlp: Mlp
    cnn: Cnn
    lstm: Lstm
    def __init__(self, mlp: _Optional[_Union[Mlp, _Mapping]] = ..., cnn: _Optional[_Union[Cnn, _Mapping]] = ..., lstm: _Optional[_Union[Lstm, _Mapping]] = ...) -> None: ...

class RunSpec(_message.Message):
    __slots__ = ("method", "loss", "optimizer", "dataset", "epochs", "batch_size", "seed", "shuffle_buffer", "device", "execution", "steps_per_execution", "accuracy_metric", "loss_aggregation", "tensorboard", "replicas", "network")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZER_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SHUFFLE_BUFFER_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    STEPS_PER_EXECUTION_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_METRIC_FIELD_NUMBER: _ClassVar[int]
    LOSS_AGGREGATION_FIELD_NUMBER: _ClassVar[int]
    TENSORBOARD_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    method: Method
    loss: Loss
    optimizer: Optimizer
    dataset: Dataset
    epochs: int
    batch_size: int
    seed: int
    shuffle_buffer: int
    device: Device
    execution: Execution
    steps_per_execution: int
    accuracy_metric: AccuracyMetric
    loss_aggregation: LossAggregation
    tensorboard: bool
    replicas: int
    network: Network
    def __init__(self, method: _Optional[_Union[Method, str]] = ..., loss: _Optional[_Union[Loss, str]] = ..., optimizer: _Optional[_Union[Optimizer, _Mapping]] = ..., dataset: _Optional[_Union[Dataset, str]] = ..., epochs: _Optional[int] = ..., batch_size: _Optional[int] = ..., seed: _Optional[int] = ..., shuffle_buffer: _Optional[int] = ..., device: _Optional[_Union[Device, str]] = ..., execution: _Optional[_Union[Execution, str]] = ..., steps_per_execution: _Optional[int] = ..., accuracy_metric: _Optional[_Union[AccuracyMetric, str]] = ..., loss_aggregation: _Optional[_Union[LossAggregation, str]] = ..., tensorboard: _Optional[bool] = ..., replicas: _Optional[int] = ..., network: _Optional[_Union[Network, _Mapping]] = ...) -> None: ...

class ClassMetrics(_message.Message):
    __slots__ = ("predicted", "accuracy")
    PREDICTED_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    predicted: _containers.RepeatedScalarFieldContainer[int]
    accuracy: float
    def __init__(self, predicted: _Optional[_Iterable[int]] = ..., accuracy: _Optional[float] = ...) -> None: ...

class FinalMetrics(_message.Message):
    __slots__ = ("loss", "accuracy", "correct", "samples", "classes")
    LOSS_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    CORRECT_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    loss: float
    accuracy: float
    correct: int
    samples: int
    classes: _containers.RepeatedCompositeFieldContainer[ClassMetrics]
    def __init__(self, loss: _Optional[float] = ..., accuracy: _Optional[float] = ..., correct: _Optional[int] = ..., samples: _Optional[int] = ..., classes: _Optional[_Iterable[_Union[ClassMetrics, _Mapping]]] = ...) -> None: ...

class ReportedMetrics(_message.Message):
    __slots__ = ("loss", "accuracy")
    LOSS_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    loss: float
    accuracy: float
    def __init__(self, loss: _Optional[float] = ..., accuracy: _Optional[float] = ...) -> None: ...

class EpochRecord(_message.Message):
    __slots__ = ("epoch", "train", "validation", "train_seconds", "examples_per_second", "samples", "weights_sketch")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TRAIN_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    TRAIN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_SKETCH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    train: ReportedMetrics
    validation: ReportedMetrics
    train_seconds: float
    examples_per_second: float
    samples: int
    weights_sketch: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, epoch: _Optional[int] = ..., train: _Optional[_Union[ReportedMetrics, _Mapping]] = ..., validation: _Optional[_Union[ReportedMetrics, _Mapping]] = ..., train_seconds: _Optional[float] = ..., examples_per_second: _Optional[float] = ..., samples: _Optional[int] = ..., weights_sketch: _Optional[_Iterable[float]] = ...) -> None: ...

class Divergence(_message.Message):
    __slots__ = ("epoch", "step")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    step: int
    def __init__(self, epoch: _Optional[int] = ..., step: _Optional[int] = ...) -> None: ...

class Phases(_message.Message):
    __slots__ = ("queue_seconds", "start_seconds", "load_seconds", "compile_seconds", "train_seconds", "evaluate_seconds")
    QUEUE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    START_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LOAD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    COMPILE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TRAIN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EVALUATE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    queue_seconds: float
    start_seconds: float
    load_seconds: float
    compile_seconds: float
    train_seconds: float
    evaluate_seconds: float
    def __init__(self, queue_seconds: _Optional[float] = ..., start_seconds: _Optional[float] = ..., load_seconds: _Optional[float] = ..., compile_seconds: _Optional[float] = ..., train_seconds: _Optional[float] = ..., evaluate_seconds: _Optional[float] = ...) -> None: ...

class Environment(_message.Message):
    __slots__ = ("versions", "device", "device_name", "cpu_model", "cpu_count", "threads", "platform", "source_revision")
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    CPU_MODEL_FIELD_NUMBER: _ClassVar[int]
    CPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    SOURCE_REVISION_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.ScalarMap[str, str]
    device: Device
    device_name: str
    cpu_model: str
    cpu_count: int
    threads: int
    platform: str
    source_revision: str
    def __init__(self, versions: _Optional[_Mapping[str, str]] = ..., device: _Optional[_Union[Device, str]] = ..., device_name: _Optional[str] = ..., cpu_model: _Optional[str] = ..., cpu_count: _Optional[int] = ..., threads: _Optional[int] = ..., platform: _Optional[str] = ..., source_revision: _Optional[str] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("dataset", "train", "validation", "reported_train", "reported_validation", "history", "weights_digest", "batch_order_digest", "updates", "phases", "environment", "tensorboard_dir", "diverged", "notes")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    TRAIN_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    REPORTED_TRAIN_FIELD_NUMBER: _ClassVar[int]
    REPORTED_VALIDATION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BATCH_ORDER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    PHASES_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    TENSORBOARD_DIR_FIELD_NUMBER: _ClassVar[int]
    DIVERGED_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    dataset: Dataset
    train: FinalMetrics
    validation: FinalMetrics
    reported_train: ReportedMetrics
    reported_validation: ReportedMetrics
    history: _containers.RepeatedCompositeFieldContainer[EpochRecord]
    weights_digest: str
    batch_order_digest: str
    updates: int
    phases: Phases
    environment: Environment
    tensorboard_dir: str
    diverged: Divergence
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, dataset: _Optional[_Union[Dataset, str]] = ..., train: _Optional[_Union[FinalMetrics, _Mapping]] = ..., validation: _Optional[_Union[FinalMetrics, _Mapping]] = ..., reported_train: _Optional[_Union[ReportedMetrics, _Mapping]] = ..., reported_validation: _Optional[_Union[ReportedMetrics, _Mapping]] = ..., history: _Optional[_Iterable[_Union[EpochRecord, _Mapping]]] = ..., weights_digest: _Optional[str] = ..., batch_order_digest: _Optional[str] = ..., updates: _Optional[int] = ..., phases: _Optional[_Union[Phases, _Mapping]] = ..., environment: _Optional[_Union[Environment, _Mapping]] = ..., tensorboard_dir: _Optional[str] = ..., diverged: _Optional[_Union[Divergence, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class RunError(_message.Message):
    __slots__ = ("reason", "message", "retryable", "hint")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    retryable: bool
    hint: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., retryable: _Optional[bool] = ..., hint: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("epoch", "epochs", "step", "steps_per_epoch", "train", "examples_per_second", "seconds_left")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEPS_PER_EPOCH_FIELD_NUMBER: _ClassVar[int]
    TRAIN_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    SECONDS_LEFT_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    epochs: int
    step: int
    steps_per_epoch: int
    train: ReportedMetrics
    examples_per_second: float
    seconds_left: float
    def __init__(self, epoch: _Optional[int] = ..., epochs: _Optional[int] = ..., step: _Optional[int] = ..., steps_per_epoch: _Optional[int] = ..., train: _Optional[_Union[ReportedMetrics, _Mapping]] = ..., examples_per_second: _Optional[float] = ..., seconds_left: _Optional[float] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("id", "request_id", "spec", "state", "create_time", "start_time", "end_time", "result", "error", "name", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    id: str
    request_id: str
    spec: RunSpec
    state: RunState
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    result: Result
    error: RunError
    name: str
    labels: _containers.ScalarMap[str, str]
    def __init__(self, id: _Optional[str] = ..., request_id: _Optional[str] = ..., spec: _Optional[_Union[RunSpec, _Mapping]] = ..., state: _Optional[_Union[RunState, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., result: _Optional[_Union[Result, _Mapping]] = ..., error: _Optional[_Union[RunError, _Mapping]] = ..., name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...
