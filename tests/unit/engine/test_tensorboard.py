from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from loopbench.spec import Dataset, RunSpec
from loopbench_server.engine.training import Surroundings, train
from loopbench_server.errors import TensorBoardNotWritableError

SPEC = RunSpec(dataset=Dataset.DIGITS, epochs=2)


def test_logs_hold_the_last_attempt_alone(tmp_path: Path) -> None:
    surroundings = Surroundings(threads=1, tensorboard_dir=tmp_path / "logs")
    train(SPEC, surroundings)
    result, weights = train(SPEC, surroundings)
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
        train(SPEC, Surroundings(threads=1, tensorboard_dir=tmp_path / "file" / "logs"))
    assert str(tmp_path) not in str(caught.value)
