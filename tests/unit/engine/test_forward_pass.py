"""Outputs on a whole set, in parts where one batch takes too much memory."""

import numpy as np
import pytest

from loopbench.spec import SAMPLES, Cnn, Dataset, Loss, Method, RunSpec
from loopbench_server.engine import forward_pass
from loopbench_server.engine.data import Data
from loopbench_server.engine.evaluation import evaluate
from loopbench_server.engine.final_metrics import compute_final_metrics
from loopbench_server.engine.forward_pass import compute_outputs, largest_batch
from loopbench_server.engine.networks import build_model
from loopbench_server.worker_config import WorkerConfig

CNN = RunSpec(dataset=Dataset.DIGITS, network=Cnn(filters=(3,)))


def test_the_default_network_takes_mnist_in_one_batch() -> None:
    assert largest_batch(build_model(RunSpec())) >= SAMPLES[Dataset.MNIST][0]


def test_feature_maps_limit_the_batch() -> None:
    # The largest outputs are those of the first convolution, 28 by 28 by 16.
    assert largest_batch(build_model(RunSpec(network=Cnn()))) == 64_000_000 // (28 * 28 * 16)


def test_outputs_in_parts_are_those_of_one_batch(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(CNN)
    whole, figures = (
        compute_outputs(model, digits.validation),
        compute_final_metrics(model, digits.validation, CNN.loss),
    )
    monkeypatch.setattr(forward_pass, "MOST_VALUES", 100 * 28 * 28 * 3)
    assert largest_batch(model) == 100
    parts = compute_outputs(model, digits.validation)
    assert parts.shape == whole.shape == (359, 10)
    assert np.allclose(parts, whole, atol=1e-6)
    assert compute_final_metrics(model, digits.validation, CNN.loss).correct == figures.correct


def test_an_evaluation_by_hand_in_parts_reports_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = CNN.model_copy(update={"method": Method.GRADIENT_TAPE, "loss": Loss.MEAN_SQUARED_ERROR})
    monkeypatch.setattr(forward_pass, "MOST_VALUES", 100 * 28 * 28 * 3)
    found = evaluate("id", spec, build_model(spec).get_weights(), WorkerConfig())
    assert found.reported_validation.loss == pytest.approx(found.validation.loss, rel=1e-5)
    assert found.reported_validation.accuracy == pytest.approx(found.validation.accuracy)
