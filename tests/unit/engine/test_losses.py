import numpy as np
import pytest

from loopbench.spec import Loss
from loopbench_server.engine.losses import LOSSES

BATCH_SIZE = 4
# Two samples of three outputs: errors (1, 0, -2) and (0.5, 0.5, 0), squares 1 + 0 + 4 = 5 and 0.25 + 0.25 = 0.5.
LABELS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
OUTPUTS = np.array([[2.0, 0.0, -2.0], [0.5, 1.5, 0.0]])
# -log softmax: log(e^2 + e^0 + e^-2) - 2 and log(e^0.5 + e^1.5 + e^0) - 1.5.
CROSSENTROPY = [np.log(np.exp(2) + 1 + np.exp(-2)) - 2, np.log(np.exp(0.5) + np.exp(1.5) + 1) - 1.5]

# Loss → the batch's objective, and the correct value per sample.
EXPECTED = {
    Loss.MEAN_SQUARED_ERROR: ((5 / 3 + 0.5 / 3) / 2, [5 / 3, 0.5 / 3]),
    Loss.SUM_OF_SQUARES: (5.5 / 2, [5, 0.5]),
    Loss.SUM_OF_SQUARES_FIXED_BATCH: (5.5 / BATCH_SIZE, [5, 0.5]),
    Loss.SUM_OF_SQUARES_REPLICA_MEAN: (5.5 / 2, [5, 0.5]),
    Loss.CATEGORICAL_CROSSENTROPY: (sum(CROSSENTROPY) / 2, CROSSENTROPY),
}


def test_tables_are_complete() -> None:
    assert set(LOSSES) == set(EXPECTED) == set(Loss)


@pytest.mark.parametrize("loss", Loss)
def test_batch_and_samples(loss: Loss) -> None:
    batch, samples = EXPECTED[loss]
    built = LOSSES[loss].build(BATCH_SIZE)
    assert float(built(LABELS.astype("float32"), OUTPUTS.astype("float32"))) == pytest.approx(batch, rel=1e-6)
    assert LOSSES[loss].per_sample(LABELS, OUTPUTS).tolist() == pytest.approx(samples, rel=1e-12)


def test_crossentropy_of_large_outputs_does_not_overflow() -> None:
    figures = LOSSES[Loss.CATEGORICAL_CROSSENTROPY].per_sample(np.array([[1.0, 0.0]]), np.array([[1000.0, 2000.0]]))
    assert figures.tolist() == [1000.0]
