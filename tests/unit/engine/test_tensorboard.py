from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util.tensor_util import make_ndarray

from loopbench.spec import Adam, Dataset, Mlp, RunSpec
from loopbench_server.engine.tensorboard import hyperparameters
from loopbench_server.engine.training import train
from loopbench_server.errors import TensorBoardNotWritableError
from loopbench_server.worker_config import WorkerConfig

SPEC = RunSpec(dataset=Dataset.DIGITS, epochs=2)


def points(logs: EventAccumulator, tag: str) -> list[tuple[int, Any]]:
    """Step and value of every event of a scalar."""
    return [(event.step, float(make_ndarray(event.tensor_proto))) for event in logs.Tensors(tag)]


def test_logs_hold_the_last_attempt_alone(tmp_path: Path) -> None:
    train(SPEC, WorkerConfig(), log_dir=tmp_path / "logs")
    result, weights = train(SPEC, WorkerConfig(), log_dir=tmp_path / "logs")
    assert result.tensorboard_dir == str(tmp_path / "logs")
    logs = EventAccumulator(str(tmp_path / "logs" / "train")).Reload()
    assert points(logs, "epoch_loss") == [(record.epoch, pytest.approx(record.train.loss)) for record in result.history]
    assert points(logs, "epoch_learning_rate") == [(1, pytest.approx(0.01)), (2, pytest.approx(0.01))]
    assert points(logs, "final_accuracy") == [(2, pytest.approx(result.train.accuracy))]
    # Buckets of lower edge, upper edge and count: all weights of the last layer.
    _, last = logs.Tensors("network/outputs/kernel/histogram")
    assert make_ndarray(last.tensor_proto)[:, 2].sum() == weights[4].size


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TensorBoardNotWritableError) as caught:
        train(SPEC, WorkerConfig(), log_dir=tmp_path / "file" / "logs")
    assert str(tmp_path) not in str(caught.value)


def test_hyperparameters_are_a_session_above_the_scalars(tmp_path: Path) -> None:
    train(SPEC, WorkerConfig(), log_dir=tmp_path / "logs")
    own = EventAccumulator(str(tmp_path / "logs")).Reload()
    content = own.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    session = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert session.hparams["learning_rate"].number_value == 0.01
    assert session.hparams["method"].string_value == "gradient-tape"


def test_hyperparameters_have_no_nested_and_no_unset_values() -> None:
    found = hyperparameters(RunSpec(optimizer=Adam(learning_rate=0.5), network=Mlp(widths=(8, 4)), seed=3))
    assert (found["optimizer"], found["learning_rate"], found["amsgrad"]) == ("adam", 0.5, False)
    assert (found["network"], found["widths"]) == ("mlp", "8, 4")
    assert (found["loss"], found["seed"]) == ("sum-of-squares", 3)
    assert found.keys().isdisjoint({"tensorboard", "kind", "clipnorm"})
