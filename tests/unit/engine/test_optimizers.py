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


# Gradient 2 on a weight of 1. SGD: 1 - 0.1 × 2. Adam's first step is the rate, whatever the gradient's size.
@pytest.mark.parametrize(
    ("spec", "expected"),
    [(Sgd(learning_rate=0.1), 0.8), (Adam(learning_rate=0.1), 0.9), (Sgd(learning_rate=0.1, clipvalue=0.5), 0.95)],
)
def test_first_step(spec: BaseOptimizer, expected: float) -> None:
    variable = keras.Variable(np.float32(1))
    build_optimizer(spec).apply([keras.ops.convert_to_tensor(np.float32(2))], [variable])
    assert float(variable) == pytest.approx(expected, rel=1e-6)
