from typing import Any

import keras
import numpy as np
import pytest

from loopbench.spec import OPTIMIZERS, Adam, BaseOptimizer, Sgd
from loopbench_server.engine.optimizers import KERAS_CLASSES, build_optimizer


def test_tables_are_complete() -> None:
    assert set(KERAS_CLASSES) == set(OPTIMIZERS)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_parameters_and_defaults_are_those_of_keras(kind: str) -> None:
    ours = OPTIMIZERS[kind]().model_dump(exclude={"kind"})
    theirs = KERAS_CLASSES[kind]().get_config()
    theirs.pop("name")
    assert theirs == pytest.approx(ours)


# A value that is no optimizer's default, and the values it requires.
OTHER_VALUES: dict[str, dict[str, Any]] = {
    "learning_rate": {"learning_rate": 0.25},
    "momentum": {"momentum": 0.25},
    "nesterov": {"nesterov": True, "momentum": 0.25},
    "rho": {"rho": 0.25},
    "centered": {"centered": True},
    "beta_1": {"beta_1": 0.25},
    "beta_2": {"beta_2": 0.25},
    "epsilon": {"epsilon": 0.25},
    "amsgrad": {"amsgrad": True},
    "weight_decay": {"weight_decay": 0.25},
    "clipnorm": {"clipnorm": 0.25},
    "clipvalue": {"clipvalue": 0.25},
    "global_clipnorm": {"global_clipnorm": 0.25},
    "use_ema": {"use_ema": True},
    "ema_momentum": {"ema_momentum": 0.25, "use_ema": True},
    "ema_overwrite_frequency": {"ema_overwrite_frequency": 3, "use_ema": True},
    "loss_scale_factor": {"loss_scale_factor": 3.0},
    "gradient_accumulation_steps": {"gradient_accumulation_steps": 3},
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_parameter_reaches_keras(kind: str) -> None:
    wrong = []
    for name in OPTIMIZERS[kind].model_fields:
        if name == "kind":
            continue
        values = OTHER_VALUES[name]
        config = build_optimizer(OPTIMIZERS[kind](**values)).get_config()
        wrong += [(name, key) for key, value in values.items() if config[key] != pytest.approx(value)]
    assert wrong == []


# Gradient 2 on a weight of 1. SGD: 1 - 0.1 × 2. Adam's first step is the rate, whatever the gradient's size.
@pytest.mark.parametrize(
    ("spec", "expected"),
    [(Sgd(learning_rate=0.1), 0.8), (Adam(learning_rate=0.1), 0.9), (Sgd(learning_rate=0.1, clipvalue=0.5), 0.95)],
)
def test_first_step(spec: BaseOptimizer, expected: float) -> None:
    variable = keras.Variable(np.float32(1))
    build_optimizer(spec).apply([keras.ops.convert_to_tensor(np.float32(2))], [variable])
    assert float(variable) == pytest.approx(expected, rel=1e-6)
