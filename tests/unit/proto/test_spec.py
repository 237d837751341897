import math
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from loopbench import spec


def refused(model: type[BaseModel], given: dict[str, Any]) -> set[str]:
    """Paths of the fields that ``model`` refuses."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)
    return {violation.field for violation in spec.violations_of(caught.value.errors())}


def test_defaults_are_the_documented_job() -> None:
    assert spec.RunSpec().model_dump(mode="json") == {
        "method": "GRADIENT_TAPE",
        "loss": "SUM_OF_SQUARES",
        "optimizer": {
            "kind": "sgd",
            "learning_rate": 0.01,
            "momentum": 0.0,
            "nesterov": False,
            "weight_decay": None,
            "clipnorm": None,
            "clipvalue": None,
            "global_clipnorm": None,
            "use_ema": False,
            "ema_momentum": 0.99,
            "ema_overwrite_frequency": None,
            "loss_scale_factor": None,
            "gradient_accumulation_steps": None,
        },
        "dataset": "MNIST",
        "epochs": 10,
        "batch_size": 32,
        "seed": 0,
        "shuffle_buffer": 1000,
        "device": "AUTO",
        "execution": "GRAPH",
        "steps_per_execution": 0,
        "replicas": 1,
        "accuracy_metric": "SPARSE_CATEGORICAL",
        "loss_aggregation": "MEAN",
        "tensorboard": False,
        "network": {"kind": "mlp", "widths": [256, 128]},
    }


@pytest.mark.parametrize(
    ("optimizer", "own"),
    [
        (spec.Adam(), {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False}),
        (spec.AdamW(), {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False}),
        (spec.RmsProp(), {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False}),
    ],
)
def test_defaults_of_the_other_optimizers(optimizer: spec.BaseOptimizer, own: dict[str, Any]) -> None:
    common = {"use_ema": False, "ema_momentum": 0.99}
    decay = {"weight_decay": 0.004} if isinstance(optimizer, spec.AdamW) else {}
    assert optimizer.model_dump(exclude_none=True, exclude={"kind"}) == common | decay | own


def test_optimizers_stand_in_the_table_under_their_kind() -> None:
    assert set(spec.OPTIMIZERS.values()) == set(spec.BaseOptimizer.__subclasses__())
    for kind, optimizer in spec.OPTIMIZERS.items():
        assert optimizer.model_validate({}).model_dump()["kind"] == kind


# Field of RunSpec with its smallest and largest valid value.
WHOLE_NUMBERS = {
    "epochs": (1, 1_000),
    "batch_size": (1, 60_000),
    "seed": (0, 4_294_967_295),
    "shuffle_buffer": (0, 1_000_000),
    "steps_per_execution": (0, 1_000_000),
    "replicas": (1, 16),
}
# Values that another value requires.
BESIDE = {"replicas": {"method": "FIT"}}


@pytest.mark.parametrize("field", WHOLE_NUMBERS)
def test_whole_numbers_end_at_their_bounds(field: str) -> None:
    low, high = WHOLE_NUMBERS[field]
    for value in (low, high):
        given = BESIDE.get(field, {}) | {field: value}
        assert getattr(spec.RunSpec.model_validate(given), field) == value
    for bad in (low - 1, high + 1, low + 0.5, "many"):
        assert refused(spec.RunSpec, {field: bad}) == {field}


def test_the_table_of_whole_numbers_is_complete() -> None:
    assert {name for name, field in spec.RunSpec.model_fields.items() if field.annotation is int} == set(WHOLE_NUMBERS)


# Optimizer, field, valid values at its bounds, invalid values just outside.
OPTIMIZER_NUMBERS = [
    *((kind, "learning_rate", (5e-324, 1e6), (0, 1_000_001)) for kind in ("sgd", "adam", "adamw", "rmsprop")),
    *((kind, "epsilon", (5e-324, 1e6), (0, 1_000_001)) for kind in ("adam", "adamw", "rmsprop")),
    *((kind, "momentum", (0, 1), (-0.1, 1.1)) for kind in ("sgd", "rmsprop")),
    *((kind, "beta_1", (0, 0.999), (-0.1, 1)) for kind in ("adam", "adamw")),
    *((kind, "beta_2", (0, 0.999), (-0.1, 1)) for kind in ("adam", "adamw")),
    ("rmsprop", "rho", (0, 0.999), (-0.1, 1)),
    *(
        row
        for kind in ("sgd", "adam", "adamw", "rmsprop")
        for row in (
            (kind, "weight_decay", (0, 1e6), (-0.1, 1_000_001)),
            (kind, "clipnorm", (5e-324, 1e12), (0, 1.1e12)),
            (kind, "clipvalue", (5e-324, 1e12), (0, 1.1e12)),
            (kind, "global_clipnorm", (5e-324, 1e12), (0, 1.1e12)),
            (kind, "ema_momentum", (0, 1), (-0.1, 1.1)),
            (kind, "ema_overwrite_frequency", (1, 1_000_000), (0, 1_000_001, 1.5)),
            (kind, "loss_scale_factor", (5e-324, 1e12), (0, 1.1e12)),
            (kind, "gradient_accumulation_steps", (2, 1_000_000), (1, 1_000_001, 2.5)),
        )
    ),
]


@pytest.mark.parametrize(("kind", "field", "inside", "outside"), OPTIMIZER_NUMBERS)
def test_figures_of_an_optimizer_end_at_their_bounds(
    kind: str, field: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    for value in inside:
        given = spec.RunSpec.model_validate({"optimizer": {"kind": kind, field: value}})
        assert getattr(given.optimizer, field) == value
    for value in (*outside, math.nan, math.inf, -math.inf):
        assert refused(spec.RunSpec, {"optimizer": {"kind": kind, field: value}}) == {f"optimizer.{kind}.{field}"}


def test_the_table_of_optimizer_figures_is_complete() -> None:
    switches = {"kind", "use_ema", "nesterov", "amsgrad", "centered"}
    for kind, optimizer in spec.OPTIMIZERS.items():
        assert set(optimizer.model_fields) - switches == {row[1] for row in OPTIMIZER_NUMBERS if row[0] == kind}


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"method": "TORCH"}, "method"),
        ({"loss": ""}, "loss"),
        ({"dataset": "CIFAR10"}, "dataset"),
        ({"device": "TPU"}, "device"),
        ({"execution": 2}, "execution"),
        ({"accuracy_metric": None}, "accuracy_metric"),
        ({"loss_aggregation": "median"}, "loss_aggregation"),
        ({"tensorboard": "perhaps"}, "tensorboard"),
        ({"optimizer": {"kind": "lion"}}, "optimizer"),
        ({"optimizer": {"learning_rate": 0.1}}, "optimizer"),
        ({"optimizer": {"kind": "adamw", "weight_decay": None}}, "optimizer.adamw.weight_decay"),
        ({"optimizer": {"kind": "sgd", "beta_1": 0.9}}, "optimizer.sgd.beta_1"),
        ({"learning_rate": 0.1}, "learning_rate"),
        ({"execution": "EAGER", "steps_per_execution": 2}, "steps_per_execution"),
    ],
)
def test_unknown_fields_and_values_are_refused(given: dict[str, Any], path: str) -> None:
    assert refused(spec.RunSpec, given) == {path}


def test_a_choice_has_its_name_in_any_spelling() -> None:
    made = spec.RunSpec(method="custom-train-step", loss="sum_of_squares", optimizer="adam", network="CNN")
    assert made == spec.RunSpec(
        method=spec.Method.CUSTOM_TRAIN_STEP,
        loss=spec.Loss.SUM_OF_SQUARES,
        optimizer=spec.Adam(),
        network=spec.Cnn(),
    )
    assert spec.Execution("xla") is spec.Execution.XLA
    with pytest.raises(ValueError, match="lion"):
        spec.Execution("lion")


def test_all_bad_fields_are_named_at_once() -> None:
    given = {"epochs": 0, "seed": -1, "method": "x", "optimizer": {"kind": "adam", "beta_1": 1, "epsilon": 0}}
    assert refused(spec.RunSpec, given) == {
        "epochs",
        "seed",
        "method",
        "optimizer.adam.beta_1",
        "optimizer.adam.epsilon",
    }


def test_paths_take_a_prefix() -> None:
    with pytest.raises(ValidationError) as caught:
        spec.RunSpec(epochs=0)
    violations = spec.violations_of(caught.value.errors(), "spec")
    assert [violation.field for violation in violations] == ["spec.epochs"]
    error = spec.InvalidFieldsError(violations)
    assert error.violations == violations
    assert str(error) == f"spec.epochs: {violations[0].description}"


@pytest.mark.parametrize("kind", spec.OPTIMIZERS)
@pytest.mark.parametrize(
    ("ways", "named"),
    [
        ({"clipnorm", "clipvalue"}, {"clipvalue"}),
        ({"clipnorm", "global_clipnorm"}, {"global_clipnorm"}),
        ({"clipvalue", "global_clipnorm"}, {"global_clipnorm"}),
    ],
)
def test_gradients_are_clipped_one_way(kind: str, ways: set[str], named: set[str]) -> None:
    assert refused(spec.OPTIMIZERS[kind], dict.fromkeys(ways, 1.0)) == named
    assert spec.OPTIMIZERS[kind].model_validate(dict.fromkeys(ways) | {min(ways): 1.0})


@pytest.mark.parametrize("steps", [0, 1])
def test_eager_takes_one_step_at_a_time(steps: int) -> None:
    assert spec.RunSpec(execution=spec.Execution.EAGER, steps_per_execution=steps).steps_per_execution == steps


# MNIST has 60,000 training samples and, in batches of 32, a last validation batch of 16; DIGITS 1,438 and, in batches
# of 32, a last one of 7, in batches of 2, one of 1.
SHARED = [
    {"method": "FIT", "replicas": 16},
    {"method": "CUSTOM_TRAIN_STEP", "replicas": 4, "execution": "EAGER", "steps_per_execution": 1},
    {"method": "FIT", "replicas": 2, "dataset": "DIGITS"},
    {"method": "FIT", "replicas": 3, "batch_size": 30},
    {"method": "FIT", "replicas": 2, "optimizer": {"kind": "adam", "clipnorm": 1.0, "use_ema": True}},
]
NOT_SHARED = [
    ({"method": "GRADIENT_TAPE"}, "GRADIENT_TAPE"),
    ({"execution": "XLA"}, "XLA"),
    ({"steps_per_execution": 2}, "steps_per_execution"),
    ({"optimizer": {"kind": "sgd", "gradient_accumulation_steps": 2}}, "gradient_accumulation_steps"),
    ({"optimizer": {"kind": "adam", "ema_overwrite_frequency": 2, "use_ema": True}}, "ema_overwrite_frequency"),
    ({"replicas": 3}, "batch_size"),
    ({"replicas": 7, "batch_size": 7}, "60,000 training samples of MNIST"),
    ({"replicas": 4, "dataset": "DIGITS"}, "1,438 training samples of DIGITS"),
    ({"dataset": "DIGITS", "batch_size": 2}, "at most 1,"),
]


@pytest.mark.parametrize("given", SHARED)
def test_replicas_share_divisible_batches(given: dict[str, Any]) -> None:
    assert spec.RunSpec.model_validate(given).replicas == given["replicas"]


@pytest.mark.parametrize(("given", "message"), NOT_SHARED)
def test_indivisible_batches_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec.RunSpec.model_validate({"method": "FIT", "replicas": 2} | given)
    (violation,) = spec.violations_of(caught.value.errors(), "")
    assert violation.field == "replicas"
    assert message in violation.description


def test_all_replica_violations_are_reported_together() -> None:
    with pytest.raises(ValidationError, match=r"GRADIENT_TAPE.*XLA.*batch_size"):
        spec.RunSpec.model_validate({"replicas": 3, "execution": "XLA"})
    given = {"method": "x", "replicas": 2, "batch_size": 0, "optimizer": 1}
    assert refused(spec.RunSpec, given) == {"method", "batch_size", "optimizer"}, "of bad fields nothing follows"


def test_a_result_may_have_diverged_values(make_result: Callable[..., spec.Result]) -> None:
    final = spec.FinalMetrics(loss=math.nan, accuracy=0, correct=0, samples=359)
    result = make_result(validation=final, reported_train=spec.ReportedMetrics(loss=math.inf, accuracy=math.nan))
    read = spec.Result.model_validate_json(result.model_dump_json())
    assert math.isnan(read.validation.loss)
    assert read.reported_train.loss == math.inf


def test_models_cannot_be_changed() -> None:
    run = spec.RunSpec()
    with pytest.raises(ValidationError):
        run.epochs = 3  # type: ignore[misc]
    with pytest.raises(ValidationError):
        run.optimizer.learning_rate = 3.0  # type: ignore[misc]
    assert run == spec.RunSpec()


def test_ended_states() -> None:
    assert [state.name for state in spec.RunState if state.ended] == ["SUCCEEDED", "FAILED", "CANCELLED"]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, "spec"),
        ({"run_id": "x", "spec": {}}, "spec"),
        ({"spec": {"epochs": 0}}, "spec.epochs"),
        ({"run_id": "x", "accuracy_metric": "MEAN"}, "accuracy_metric"),
    ],
)
def test_an_evaluation_is_of_one_source(given: dict[str, Any], path: str) -> None:
    assert refused(spec.EvaluationRequest, given) == {path}


@pytest.mark.parametrize(
    ("model", "given", "path"),
    [
        (spec.RunFilter, {"optimizers": ["sgd", "lion"]}, "optimizers.1"),
        (spec.RunFilter, {"seeds": [4_294_967_296]}, "seeds.0"),
        (spec.RunFilter, {"states": ["QUEUED", "DONE"]}, "states.1"),
        (spec.RunGroup, {"label": "", "run_ids": ["a"]}, "label"),
        (spec.RunGroup, {"label": "l" * 201, "run_ids": ["a"]}, "label"),
        (spec.RunGroup, {"label": "l", "run_ids": []}, "run_ids"),
        (spec.RunGroup, {"label": "l", "run_ids": ["a"] * 1_001}, "run_ids"),
    ],
)
def test_filters_and_groups_have_bounds(model: type[BaseModel], given: dict[str, Any], path: str) -> None:
    assert refused(model, given) == {path}


def test_a_filter_knows_every_optimizer() -> None:
    assert spec.RunFilter.model_validate({"optimizers": list(spec.OPTIMIZERS)}).optimizers == tuple(spec.OPTIMIZERS)


NETWORKS = [
    ({"kind": "mlp", "widths": "32, 16"}, spec.Mlp(widths=(32, 16))),
    ({"kind": "mlp", "widths": []}, spec.Mlp()),
    ({"kind": "cnn", "filters": "8,", "dropout": "0"}, spec.Cnn(filters=(8,), dropout=0.0)),
    ({"kind": "lstm", "units": "8"}, spec.Lstm(units=8)),
]


@pytest.mark.parametrize(("given", "expected"), NETWORKS)
def test_sizes_of_a_network_may_be_text(given: dict[str, Any], expected: spec.BaseNetwork) -> None:
    assert spec.RunSpec.model_validate({"network": given}).network == expected


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "mlp", "widths": [256, 0]}, "mlp.widths.1"),
        ({"kind": "mlp", "widths": "a"}, "mlp.widths.0"),
        ({"kind": "mlp", "widths": [1] * 9}, "mlp.widths"),
        ({"kind": "mlp", "widths": ""}, "mlp.widths"),
        ({"kind": "cnn", "filters": [1] * 5}, "cnn.filters"),
        ({"kind": "cnn", "dropout": 1.0}, "cnn.dropout"),
        ({"kind": "cnn", "widths": [1]}, "cnn.widths"),
        ({"kind": "lstm", "units": 4_097}, "lstm.units"),
    ],
)
def test_sizes_of_a_network_have_bounds(given: dict[str, Any], field: str) -> None:
    assert refused(spec.RunSpec, {"network": given}) == {f"network.{field}"}


def test_a_spec_of_the_default_network_has_the_digest_that_it_always_had() -> None:
    assert spec.RunSpec(network=spec.Mlp(widths=(256, 128))).unset_later == {"replicas", "network"}
    assert spec.RunSpec(network=spec.Mlp(widths=(128, 256))).unset_later == {"replicas"}
