from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from loopbench.spec import Dataset, RunSpec
from loopbench_server.engine.training import train
from loopbench_server.errors import TensorBoardNotWritableError
from loopbench_server.worker_config import WorkerConfig

SPEC = RunSpec(dataset=Dataset.DIGITS, epochs=2)


def test_logs_hold_the_last_attempt_alone(tmp_path: Path) -> None:
    train(SPEC, WorkerConfig(), log_dir=tmp_path / "logs")
    result, weights = train(SPEC, WorkerConfig(), log_dir=tmp_path / "logs")
    assert result.tensorboard_dir == str(tmp_path / "logs")
    logs = EventAccumulator(str(tmp_path / "logs" / "train")).Reload()
    losses = [float(make_ndarray(event.tensor_proto)) for event in logs.Tensors("epoch_loss")]
    assert losses == pytest.approx([record.train.loss for record in result.history])
    # Buckets of lower edge, upper edge and count: all weights of the last layer.
    _, last = logs.Tensors("network/outputs/kernel/histogram")
    assert make_ndarray(last.tensor_proto)[:, 2].sum() == weights[4].size


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TensorBoardNotWritableError) as caught:
        train(SPEC, WorkerConfig(), log_dir=tmp_path / "file" / "logs")
    assert str(tmp_path) not in str(caught.value)
