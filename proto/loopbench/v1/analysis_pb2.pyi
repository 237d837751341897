from loopbench.v1 import run_pb2 as _run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_IDENTICAL: _ClassVar[Verdict]
    VERDICT_EQUIVALENT: _ClassVar[Verdict]
    VERDICT_DIFFERENT: _ClassVar[Verdict]
    VERDICT_INCONCLUSIVE: _ClassVar[Verdict]
    VERDICT_DIVERGED: _ClassVar[Verdict]

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIDE_UNSPECIFIED: _ClassVar[Side]
    SIDE_FIRST: _ClassVar[Side]
    SIDE_SECOND: _ClassVar[Side]

class Effect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EFFECT_UNSPECIFIED: _ClassVar[Effect]
    EFFECT_TRAINING: _ClassVar[Effect]
    EFFECT_STATE: _ClassVar[Effect]
    EFFECT_REPORT: _ClassVar[Effect]
    EFFECT_ROUNDING: _ClassVar[Effect]
VERDICT_UNSPECIFIED: Verdict
VERDICT_IDENTICAL: Verdict
VERDICT_EQUIVALENT: Verdict
VERDICT_DIFFERENT: Verdict
VERDICT_INCONCLUSIVE: Verdict
VERDICT_DIVERGED: Verdict
SIDE_UNSPECIFIED: Side
SIDE_FIRST: Side
SIDE_SECOND: Side
EFFECT_UNSPECIFIED: Effect
EFFECT_TRAINING: Effect
EFFECT_STATE: Effect
EFFECT_REPORT: Effect
EFFECT_ROUNDING: Effect

class RunGroup(_message.Message):
    __slots__ = ("label", "run_ids")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    label: str
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, label: _Optional[str] = ..., run_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class GroupSummary(_message.Message):
    __slots__ = ("label", "run_ids", "seeds", "train_accuracies", "validation_accuracies", "train_accuracy_mean", "validation_accuracy_mean", "train_accuracy_sd", "validation_accuracy_sd", "diverged_seeds")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    TRAIN_ACCURACIES_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_ACCURACIES_FIELD_NUMBER: _ClassVar[int]
    TRAIN_ACCURACY_MEAN_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_ACCURACY_MEAN_FIELD_NUMBER: _ClassVar[int]
    TRAIN_ACCURACY_SD_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_ACCURACY_SD_FIELD_NUMBER: _ClassVar[int]
    DIVERGED_SEEDS_FIELD_NUMBER: _ClassVar[int]
    label: str
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    seeds: _containers.RepeatedScalarFieldContainer[int]
    train_accuracies: _containers.RepeatedScalarFieldContainer[float]
    validation_accuracies: _containers.RepeatedScalarFieldContainer[float]
    train_accuracy_mean: float
    validation_accuracy_mean: float
    train_accuracy_sd: float
    validation_accuracy_sd: float
    diverged_seeds: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, label: _Optional[str] = ..., run_ids: _Optional[_Iterable[str]] = ..., seeds: _Optional[_Iterable[int]] = ..., train_accuracies: _Optional[_Iterable[float]] = ..., validation_accuracies: _Optional[_Iterable[float]] = ..., train_accuracy_mean: _Optional[float] = ..., validation_accuracy_mean: _Optional[float] = ..., train_accuracy_sd: _Optional[float] = ..., validation_accuracy_sd: _Optional[float] = ..., diverged_seeds: _Optional[_Iterable[int]] = ...) -> None: ...

class PairComparison(_message.Message):
    __slots__ = ("first_label", "second_label", "verdict", "difference", "interval_low", "interval_high", "effect_size", "equivalence_p_value", "difference_p_value", "paired", "seeds_needed", "explanation")
    FIRST_LABEL_FIELD_NUMBER: _ClassVar[int]
    SECOND_LABEL_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_LOW_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_HIGH_FIELD_NUMBER: _ClassVar[int]
    EFFECT_SIZE_FIELD_NUMBER: _ClassVar[int]
    EQUIVALENCE_P_VALUE_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_P_VALUE_FIELD_NUMBER: _ClassVar[int]
    PAIRED_FIELD_NUMBER: _ClassVar[int]
    SEEDS_NEEDED_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    first_label: str
    second_label: str
    verdict: Verdict
    difference: float
    interval_low: float
    interval_high: float
    effect_size: float
    equivalence_p_value: float
    difference_p_value: float
    paired: bool
    seeds_needed: int
    explanation: str
    def __init__(self, first_label: _Optional[str] = ..., second_label: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., difference: _Optional[float] = ..., interval_low: _Optional[float] = ..., interval_high: _Optional[float] = ..., effect_size: _Optional[float] = ..., equivalence_p_value: _Optional[float] = ..., difference_p_value: _Optional[float] = ..., paired: _Optional[bool] = ..., seeds_needed: _Optional[int] = ..., explanation: _Optional[str] = ...) -> None: ...

class Comparison(_message.Message):
    __slots__ = ("groups", "pairs", "margin", "alpha")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[GroupSummary]
    pairs: _containers.RepeatedCompositeFieldContainer[PairComparison]
    margin: float
    alpha: float
    def __init__(self, groups: _Optional[_Iterable[_Union[GroupSummary, _Mapping]]] = ..., pairs: _Optional[_Iterable[_Union[PairComparison, _Mapping]]] = ..., margin: _Optional[float] = ..., alpha: _Optional[float] = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("name", "description", "expected", "observed")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    expected: float
    observed: float
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., expected: _Optional[float] = ..., observed: _Optional[float] = ...) -> None: ...

class Cause(_message.Message):
    __slots__ = ("reason", "title", "evidence", "consequence", "fix", "side", "effect")
    REASON_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    CONSEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FIX_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    title: str
    evidence: _containers.RepeatedCompositeFieldContainer[Evidence]
    consequence: str
    fix: str
    side: Side
    effect: Effect
    def __init__(self, reason: _Optional[str] = ..., title: _Optional[str] = ..., evidence: _Optional[_Iterable[_Union[Evidence, _Mapping]]] = ..., consequence: _Optional[str] = ..., fix: _Optional[str] = ..., side: _Optional[_Union[Side, str]] = ..., effect: _Optional[_Union[Effect, str]] = ...) -> None: ...

class Diagnosis(_message.Message):
    __slots__ = ("causes", "controls", "verification", "first", "second", "fixed_first", "fixed_second", "rounding", "not_tested", "replay")
    CAUSES_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    FIXED_FIRST_FIELD_NUMBER: _ClassVar[int]
    FIXED_SECOND_FIELD_NUMBER: _ClassVar[int]
    ROUNDING_FIELD_NUMBER: _ClassVar[int]
    NOT_TESTED_FIELD_NUMBER: _ClassVar[int]
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    causes: _containers.RepeatedCompositeFieldContainer[Cause]
    controls: _containers.RepeatedCompositeFieldContainer[Evidence]
    verification: Comparison
    first: _run_pb2.RunSpec
    second: _run_pb2.RunSpec
    fixed_first: _run_pb2.RunSpec
    fixed_second: _run_pb2.RunSpec
    rounding: _containers.RepeatedCompositeFieldContainer[Cause]
    not_tested: _containers.RepeatedScalarFieldContainer[str]
    replay: Replay
    def __init__(self, causes: _Optional[_Iterable[_Union[Cause, _Mapping]]] = ..., controls: _Optional[_Iterable[_Union[Evidence, _Mapping]]] = ..., verification: _Optional[_Union[Comparison, _Mapping]] = ..., first: _Optional[_Union[_run_pb2.RunSpec, _Mapping]] = ..., second: _Optional[_Union[_run_pb2.RunSpec, _Mapping]] = ..., fixed_first: _Optional[_Union[_run_pb2.RunSpec, _Mapping]] = ..., fixed_second: _Optional[_Union[_run_pb2.RunSpec, _Mapping]] = ..., rounding: _Optional[_Iterable[_Union[Cause, _Mapping]]] = ..., not_tested: _Optional[_Iterable[str]] = ..., replay: _Optional[_Union[Replay, _Mapping]] = ...) -> None: ...

class SideValues(_message.Message):
    __slots__ = ("first", "second")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    first: float
    second: float
    def __init__(self, first: _Optional[float] = ..., second: _Optional[float] = ...) -> None: ...

class UpdateRecord(_message.Message):
    __slots__ = ("number", "weight_distance", "rates", "samples", "gradients", "gradient_norms")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    RATES_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    GRADIENTS_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_NORMS_FIELD_NUMBER: _ClassVar[int]
    number: int
    weight_distance: float
    rates: SideValues
    samples: SideValues
    gradients: SideValues
    gradient_norms: SideValues
    def __init__(self, number: _Optional[int] = ..., weight_distance: _Optional[float] = ..., rates: _Optional[_Union[SideValues, _Mapping]] = ..., samples: _Optional[_Union[SideValues, _Mapping]] = ..., gradients: _Optional[_Union[SideValues, _Mapping]] = ..., gradient_norms: _Optional[_Union[SideValues, _Mapping]] = ...) -> None: ...

class VariableRecord(_message.Message):
    __slots__ = ("name", "gradient_ratio", "applied_over_tape", "first_trains", "second_trains")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_RATIO_FIELD_NUMBER: _ClassVar[int]
    APPLIED_OVER_TAPE_FIELD_NUMBER: _ClassVar[int]
    FIRST_TRAINS_FIELD_NUMBER: _ClassVar[int]
    SECOND_TRAINS_FIELD_NUMBER: _ClassVar[int]
    name: str
    gradient_ratio: float
    applied_over_tape: SideValues
    first_trains: bool
    second_trains: bool
    def __init__(self, name: _Optional[str] = ..., gradient_ratio: _Optional[float] = ..., applied_over_tape: _Optional[_Union[SideValues, _Mapping]] = ..., first_trains: _Optional[bool] = ..., second_trains: _Optional[bool] = ...) -> None: ...

class LayerRecord(_message.Message):
    __slots__ = ("name", "difference")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    difference: float
    def __init__(self, name: _Optional[str] = ..., difference: _Optional[float] = ...) -> None: ...

class MetricRecord(_message.Message):
    __slots__ = ("name", "values", "agrees")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    AGREES_FIELD_NUMBER: _ClassVar[int]
    name: str
    values: SideValues
    agrees: bool
    def __init__(self, name: _Optional[str] = ..., values: _Optional[_Union[SideValues, _Mapping]] = ..., agrees: _Optional[bool] = ...) -> None: ...

class FirstDifference(_message.Message):
    __slots__ = ("update", "place", "text")
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    update: int
    place: str
    text: str
    def __init__(self, update: _Optional[int] = ..., place: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Replay(_message.Message):
    __slots__ = ("updates", "variables", "layers", "first_differing_layer", "metrics", "first_difference", "compared", "not_compared")
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    FIRST_DIFFERING_LAYER_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    FIRST_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    NOT_COMPARED_FIELD_NUMBER: _ClassVar[int]
    updates: _containers.RepeatedCompositeFieldContainer[UpdateRecord]
    variables: _containers.RepeatedCompositeFieldContainer[VariableRecord]
    layers: _containers.RepeatedCompositeFieldContainer[LayerRecord]
    first_differing_layer: str
    metrics: _containers.RepeatedCompositeFieldContainer[MetricRecord]
    first_difference: FirstDifference
    compared: _containers.RepeatedScalarFieldContainer[str]
    not_compared: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, updates: _Optional[_Iterable[_Union[UpdateRecord, _Mapping]]] = ..., variables: _Optional[_Iterable[_Union[VariableRecord, _Mapping]]] = ..., layers: _Optional[_Iterable[_Union[LayerRecord, _Mapping]]] = ..., first_differing_layer: _Optional[str] = ..., metrics: _Optional[_Iterable[_Union[MetricRecord, _Mapping]]] = ..., first_difference: _Optional[_Union[FirstDifference, _Mapping]] = ..., compared: _Optional[_Iterable[str]] = ..., not_compared: _Optional[_Iterable[str]] = ...) -> None: ...

class DiagnosisSubject(_message.Message):
    __slots__ = ("spec", "run_id")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    spec: _run_pb2.RunSpec
    run_id: str
    def __init__(self, spec: _Optional[_Union[_run_pb2.RunSpec, _Mapping]] = ..., run_id: _Optional[str] = ...) -> None: ...
