"""Results and runs with a default for every field; a keyword replaces the default."""

from datetime import UTC, datetime
from typing import Any

from loopbench.spec import (
    Dataset,
    Device,
    Environment,
    EpochRecord,
    FinalMetrics,
    Phases,
    ReportedMetrics,
    Result,
    Run,
    RunSpec,
    RunState,
)

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def make_environment(**fields: Any) -> Environment:
    """A machine with two cores and no GPU."""
    known: dict[str, Any] = {
        "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"},
        "device": Device.CPU,
        "device_name": "/physical_device:CPU:0",
        "cpu_model": "one",
        "cpu_count": 2,
        "threads": 1,
        "platform": "Linux-6.1-x86_64",
        "source_revision": "",
    }
    return Environment(**known | fields)


def make_epoch(number: int = 1, **fields: Any) -> EpochRecord:
    """The record of one epoch on DIGITS."""
    reported = ReportedMetrics(loss=0.5, accuracy=0.875)
    known: dict[str, Any] = {
        "train": reported,
        "validation": reported,
        "samples": 1_438,
        "train_seconds": 2.0,
        "examples_per_second": 719.0,
    }
    return EpochRecord(epoch=number, **known | fields)


def make_result(**fields: Any) -> Result:
    """The result of two epochs on DIGITS; each accuracy and each loss differs from the others."""
    reported = ReportedMetrics(loss=0.25, accuracy=0.75)
    known: dict[str, Any] = {
        "dataset": Dataset.DIGITS,
        "train": FinalMetrics(loss=0.5, accuracy=0.5, correct=719, samples=1438),
        "validation": FinalMetrics(loss=0.125, accuracy=0.0, correct=0, samples=359),
        "reported_train": reported,
        "reported_validation": reported,
        "history": (make_epoch(1), make_epoch(2)),
        "weights_digest": "a" * 64,
        "batch_order_digest": "b" * 64,
        "updates": 90,
        "phases": Phases(load_seconds=0.5, train_seconds=4.0),
        "environment": make_environment(),
    }
    return Result(**known | fields)


def make_run(number: int = 1, **fields: Any) -> Run:
    """A queued run; the number determines both ids."""
    known: dict[str, Any] = {
        "id": f"00000000-0000-4000-8000-{number:012}",
        "request_id": f"ffffffff-0000-4000-8000-{number:012}",
        "spec": RunSpec(),
        "state": RunState.QUEUED,
        "create_time": START,
    }
    return Run(**known | fields)
