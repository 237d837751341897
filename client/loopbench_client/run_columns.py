"""What a run says of itself, column by column: for terminals, CSV, notebooks and pandas."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any

from loopbench.spec import BaseNetwork, BaseOptimizer, Run, RunSpec
from loopbench.text import describe_options

# Relative, of two sums of float32 in another order.
ROUNDING = 1e-4


@dataclass(frozen=True)
class Column:
    """A name, and the value of a run; None where the run has none. ``default`` is what a spec has unless it says so."""

    name: str
    value: Callable[[Run], Any]
    default: Any = None

    def text(self, run: Run) -> str:
        """The value as CSV has it: times in ISO 8601, and the words of the contract."""
        value = self.value(run)
        return "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)


def options_text(optimizer: BaseOptimizer) -> str:
    """The parameters of an optimizer besides its learning rate that are not Keras's, such as ``momentum=0.9``."""
    return " ".join(describe_options(optimizer, without=("learning_rate",)))


def network_text(network: BaseNetwork) -> str:
    """The network with its sizes, such as ``mlp widths=256,128``."""
    return " ".join((network.kind, *describe_options(network, all_of_them=True)))


def labels_text(run: Run) -> str:
    """The labels in the order of their keys, such as ``owner=me study=7``."""
    return " ".join(f"{key}={value}" for key, value in sorted(run.labels.items()))


def run_seconds(run: Run) -> float | None:
    """Wall time from the start of the run's process to its end; None of a run that has not come so far."""
    if run.start_time is None or run.end_time is None:
        return None
    return (run.end_time - run.start_time).total_seconds()


def misreported(run: Run) -> bool:
    """Whether the validation metrics that the loop reported differ from the final ones by more than rounding.

    Both are of the same weights and samples. A diverged run misreports nothing.
    """
    result = run.result
    if result is None or result.diverged is not None:
        return False
    pairs = (
        (result.validation.accuracy, result.reported_validation.accuracy),
        (result.validation.loss, result.reported_validation.loss),
    )
    return not all(math.isclose(*pair, rel_tol=ROUNDING, abs_tol=1e-6) for pair in pairs)


def _of_spec(name: str, run: Run) -> Any:
    return getattr(run.spec, name)


def _of_result(path: Sequence[str], run: Run) -> Any:
    value: Any = run.result
    for name in path:
        value = None if value is None else getattr(value, name)
    return value


_DEFAULT = RunSpec()
# The columns of the fields that take several flags.
VARIANT_COLUMNS = {
    "optimizer": (
        Column("optimizer", lambda run: run.spec.optimizer.kind, _DEFAULT.optimizer.kind),
        Column("learning_rate", lambda run: run.spec.optimizer.learning_rate, _DEFAULT.optimizer.learning_rate),
        Column("optimizer_options", lambda run: options_text(run.spec.optimizer), ""),
    ),
    "network": (Column("network", lambda run: network_text(run.spec.network), network_text(_DEFAULT.network)),),
}


def _spec_columns() -> Iterable[Column]:
    for name, field in RunSpec.model_fields.items():
        yield from VARIANT_COLUMNS.get(name, (Column(name, partial(_of_spec, name), field.default),))


# The columns of the spec: a new field of the contract is a column without a change here.
SPEC_COLUMNS = tuple(_spec_columns())
RESULT_COLUMNS = tuple(
    Column("_".join(path), partial(_of_result, path))
    for path in (
        ("train", "accuracy"),
        ("validation", "accuracy"),
        ("train", "loss"),
        ("validation", "loss"),
        ("reported_train", "accuracy"),
        ("reported_validation", "accuracy"),
        ("reported_train", "loss"),
        ("reported_validation", "loss"),
        ("updates",),
        ("weights_digest",),
    )
)
COLUMNS = (
    Column("id", lambda run: run.id),
    Column("name", lambda run: run.name),
    Column("labels", labels_text),
    Column("state", lambda run: run.state),
    *SPEC_COLUMNS,
    Column("create_time", lambda run: run.create_time),
    Column("start_time", lambda run: run.start_time),
    Column("end_time", lambda run: run.end_time),
    Column("seconds", run_seconds),
    *RESULT_COLUMNS,
    Column("diverged", lambda run: run.result and run.result.diverged and str(run.result.diverged)),
    Column("misreported", lambda run: misreported(run) if run.result else None),
    Column("error", lambda run: run.error and run.error.reason),
)
BY_NAME = {column.name: column for column in COLUMNS}


def split_by_variation(runs: Sequence[Run], columns: Iterable[Column]) -> tuple[list[Column], list[Column]]:
    """The columns whose values are equal in all runs, and the others."""
    equal: list[Column] = []
    other: list[Column] = []
    for column in columns:
        values = [column.value(run) for run in runs]
        (equal if all(value == values[0] for value in values) else other).append(column)
    return equal, other


def sorted_runs(runs: Iterable[Run], name: str, *, descending: bool) -> list[Run]:
    """The runs in the order of a column; those that have no value come last."""
    values = [(_sort_value(BY_NAME[name].value(run)), run) for run in runs]
    with_value = [pair for pair in values if pair[0] is not None]
    ordered = sorted(with_value, key=itemgetter(0), reverse=descending)
    return [run for _, run in [*ordered, *(pair for pair in values if pair[0] is None)]]


def _sort_value(value: Any) -> Any:
    """The value by which a run is sorted; None of a run that has none, as of a diverged one."""
    if value in (None, "") or value != value:  # noqa: PLR0124  NaN
        return None
    return value
