"""TensorBoard logs on a disk that is full or becomes full."""

from pathlib import Path

import pytest

from loopbench.spec import Dataset, EpochRecord, ReportedMetrics, RunSpec
from loopbench_server.engine.data import Data
from loopbench_server.engine.job import Job, build_job
from loopbench_server.engine.tensorboard import TensorBoardLogs
from loopbench_server.errors import TensorBoardFullError
from tests.support.limits import full_disk

REPORTED = ReportedMetrics(loss=0.5, accuracy=0.5)
RECORD = EpochRecord(
    epoch=1, train=REPORTED, validation=REPORTED, samples=1, train_seconds=1.0, examples_per_second=1.0
)


@pytest.fixture(scope="module")
def job(digits: Data) -> Job:
    return build_job(RunSpec(seed=1, dataset=Dataset.DIGITS), digits)


def test_a_full_disk_is_named_before_training(tmp_path: Path, job: Job) -> None:
    with full_disk(), pytest.raises(TensorBoardFullError) as caught:
        TensorBoardLogs(tmp_path / "logs", job)
    assert caught.value.retryable
    assert str(tmp_path) not in str(caught.value)


def test_a_disk_that_fills_up_is_named_at_the_end_of_the_epoch(tmp_path: Path, job: Job) -> None:
    logs = TensorBoardLogs(tmp_path / "logs", job)
    logs.write(RECORD)
    with full_disk(), pytest.raises(TensorBoardFullError) as caught:
        logs.write(RECORD.model_copy(update={"epoch": 2}))
    assert str(tmp_path) not in str(caught.value)
