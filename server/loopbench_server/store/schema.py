"""Tables of the store, and the conversion between runs and rows."""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from loopbench.spec import EpochRecord, Result, Run, RunError, RunSpec, RunState
from loopbench_server.errors import RunUnreadableError

log = structlog.get_logger()

metadata = sa.MetaData()

CHECK_ROW_CHARACTERS = 4_000


class Instant(sa.types.TypeDecorator[datetime]):
    """A point in time, stored as microseconds since 1970: every database keeps those exactly."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002  SQLAlchemy's signature
        """Convert to microseconds."""
        return None if value is None else (value - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002  SQLAlchemy's signature
        """Convert from microseconds."""
        return None if value is None else datetime.fromtimestamp(0, UTC) + timedelta(microseconds=value)


runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("request_id", sa.String(36), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("method", sa.String(32), nullable=False),
    sa.Column("loss", sa.String(32), nullable=False),
    sa.Column("optimizer", sa.String(16), nullable=False),
    sa.Column("dataset", sa.String(16), nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("spec_digest", sa.String(64), nullable=False, index=True),
    sa.Column("create_time", Instant, nullable=False, index=True),
    sa.Column("start_time", Instant),
    sa.Column("end_time", Instant, index=True),
    sa.Column("result", sa.Text),
    sa.Column("error", sa.Text),
    # Server that works on the run, and the end of its lease.
    sa.Column("owner", sa.String(36), nullable=False),
    sa.Column("lease_end", Instant, nullable=False),
    # Time of the first cancellation request, on any server.
    sa.Column("cancel_time", Instant),
    # From the caller; NULL for runs of older servers. Labels are a JSON object.
    sa.Column("name", sa.String(100), index=True),
    sa.Column("labels", sa.Text),
)
# The same labels, for filters.
labels = sa.Table(
    "labels",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("key", sa.String(63), primary_key=True),
    sa.Column("value", sa.String(100), nullable=False),
    sa.Index("ix_labels_key_value", "key", "value"),
)
epochs = sa.Table(
    "epochs",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("record", sa.Text, nullable=False),
)
weights = sa.Table(
    "weights",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("packed", sa.LargeBinary, nullable=False),
)


def spec_digest(spec: RunSpec) -> str:
    """Return the SHA-256 of the specification with all defaults, except for unset fields that were added later.

    Runs of older servers have the same digest.
    """
    return hashlib.sha256(spec.model_dump_json(exclude=set(spec.unset_later)).encode()).hexdigest()


def make_check_row() -> dict[str, Any]:
    """Return a row of no run, of the size of a small run, for a check that the database stores rows."""
    defaults: dict[type[Any], Any] = {Instant: datetime.now(UTC), sa.BigInteger: 0, sa.String: "", sa.Text: ""}
    required = {column.name: defaults[type(column.type)] for column in runs.c if not column.nullable}
    return required | {"id": str(uuid.uuid4()), "request_id": str(uuid.uuid4()), "spec": " " * CHECK_ROW_CHARACTERS}


def run_to_row(run: Run) -> dict[str, Any]:
    """Return the row of a run, without its lease."""
    return {
        "id": run.id,
        "request_id": run.request_id,
        "state": run.state,
        "method": run.spec.method,
        "loss": run.spec.loss,
        "optimizer": run.spec.optimizer.kind,
        "dataset": run.spec.dataset,
        "seed": run.spec.seed,
        "spec": run.spec.model_dump_json(),
        "spec_digest": spec_digest(run.spec),
        "create_time": run.create_time,
        "start_time": run.start_time,
        "end_time": run.end_time,
        "result": _dump_result(run.result) if run.result else None,
        "error": run.error.model_dump_json() if run.error else None,
        "name": run.name or None,
        "labels": json.dumps(run.labels) if run.labels else None,
    }


def _dump_result(result: Result) -> str:
    """Leave out unset fields, so that an older server can read a result with nothing new."""
    return result.model_dump_json(exclude_none=True, exclude=None if result.notes else {"notes"})


def run_to_label_rows(run: Run) -> list[dict[str, str]]:
    """Return the rows of ``labels`` for a run."""
    return [{"run_id": run.id, "key": key, "value": value} for key, value in run.labels.items()]


@contextmanager
def reading_run(run_id: str) -> Iterator[None]:
    """Translate errors of a block that reads a stored run.

    Raises:
        RunUnreadableError: the block met a value that this server does not know; the log has details.
    """
    # A newer server may have written the run before this one replaced it. Models and messages refuse unknown values.
    try:
        yield
    except (ValueError, TypeError, LookupError) as error:
        log.warning("cannot read a stored run", run_id=run_id, error=str(error))
        raise RunUnreadableError(
            f"run {run_id} is stored in a form that this server does not know", run_id=run_id
        ) from error


def row_to_run(row: sa.Row[Any]) -> Run:
    """Return the run of a row of ``runs``.

    Raises:
        RunUnreadableError: the row has a value that this server does not know; the log has details.
    """
    with reading_run(row.id):
        return Run(
            id=row.id,
            request_id=row.request_id,
            spec=RunSpec.model_validate_json(row.spec),
            state=RunState(row.state),
            create_time=row.create_time,
            start_time=row.start_time,
            end_time=row.end_time,
            result=Result.model_validate_json(row.result) if row.result else None,
            error=RunError.model_validate_json(row.error) if row.error else None,
            name=row.name or "",
            labels=json.loads(row.labels) if row.labels else {},
        )


def parse_epoch(run_id: str, record: str) -> EpochRecord:
    """Return the epoch of a record of ``epochs``.

    Raises:
        RunUnreadableError: as :func:`row_to_run`.
    """
    with reading_run(run_id):
        return EpochRecord.model_validate_json(record)


def read_runs(rows: Iterable[sa.Row[Any]]) -> Iterator[Run]:
    """Yield the runs of ``rows``, without unreadable ones, which are in the log."""
    for row in rows:
        with suppress(RunUnreadableError):
            yield row_to_run(row)


def _has_labels(wanted: Mapping[str, str]) -> sa.ColumnElement[bool]:
    pairs = [(labels.c.key == key) & (labels.c.value == value) for key, value in wanted.items()]
    return sa.and_(*(runs.c.id.in_(sa.select(labels.c.run_id).where(pair)) for pair in pairs))


# Field of RunFilter → its condition.
CONDITIONS: dict[str, Callable[[Any], sa.ColumnElement[bool]]] = {
    "states": runs.c.state.in_,
    "methods": runs.c.method.in_,
    "losses": runs.c.loss.in_,
    "datasets": runs.c.dataset.in_,
    "optimizers": runs.c.optimizer.in_,
    "seeds": runs.c.seed.in_,
    "created_after": lambda time: runs.c.create_time >= time,
    "created_before": lambda time: runs.c.create_time < time,
    "names": runs.c.name.in_,
    "labels": _has_labels,
    "id_prefix": runs.c.id.startswith,
}
