"""Runs, epochs and final weights in SQL, by default in SQLite. Methods block; callers on an event loop use threads."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from loopbench.spec import EpochRecord, Run, RunError, RunFilter, RunSpec, RunState
from loopbench_server.errors import (
    RunNotFoundError,
    RunUnreadableError,
    ServerLostError,
    StoreCorruptError,
    StoreFailedError,
)
from loopbench_server.store.paging import PagePosition, PageToken
from loopbench_server.store.schema import (
    CONDITIONS,
    Instant,
    epochs,
    labels,
    make_check_row,
    parse_epoch,
    row_to_run,
    run_to_label_rows,
    run_to_row,
    runs,
    spec_digest,
    weights,
)
from loopbench_server.store.transactions import TransactionObserver, Transactions

T = TypeVar("T")

UNFINISHED = (RunState.QUEUED, RunState.RUNNING)
# Size of the stored results on a page: a thousand runs of a thousand epochs would take gigabytes.
PAGE_BYTES = 4 << 20
ROWS_AT_ONCE = 16
# Columns of the run itself; the others are for queries.
RUN_COLUMNS = [
    runs.c[name]
    for name in (
        "id",
        "request_id",
        "state",
        "spec",
        "create_time",
        "start_time",
        "end_time",
        "result",
        "error",
        "name",
        "labels",
    )
]
# Runs deleted in one transaction, so that it ends soon.
DELETE_BATCH = 100


def _page(
    rows: Iterable[sa.Row[Any]], size: int, read: Callable[[sa.Row[Any]], T]
) -> tuple[list[T], PagePosition | None]:
    """Apply ``read`` to the first rows, up to ``size`` rows or PAGE_BYTES; also return where the page ends.

    Each row is read before the next one is fetched, so that a page is never held as text.
    """
    page: list[T] = []
    held = 0
    last = None
    for count, row in enumerate(rows):
        if last and (count == size or held > PAGE_BYTES):
            return page, last
        with suppress(RunUnreadableError):  # it still takes a place on the page
            page.append(read(row))
        last = row.create_time, row.id
        held += len(row.result or "")
    return page, None


class Store:
    """The tables in ``database``; ``owner`` is the id of this server.

    A run belongs to its owner until its lease ends after ``lease``, unless the owner renews it. Leases and
    cancellations use the connections of ``reserved``, which callers cannot exhaust.
    """

    def __init__(
        self,
        database: sa.Engine,
        owner: str,
        lease: timedelta,
        observer: TransactionObserver | None = None,
        reserved: sa.Engine | None = None,
    ) -> None:
        observer = observer or TransactionObserver()
        self.transaction = Transactions(database, observer)
        self._reserved = Transactions(reserved, observer) if reserved else self.transaction
        self._engine = database
        self._reserved_engine = reserved
        self._owner = owner
        self._stores_writes = True
        self.lease = lease

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
        if self._reserved_engine:
            self._reserved_engine.dispose()

    @property
    def is_durable(self) -> bool:
        """Whether results can be stored now and read later, as far as known."""
        return self._stores_writes and not any(one.replaced or one.corrupt for one in self._all_transactions)

    @property
    def _all_transactions(self) -> tuple[Transactions, Transactions]:
        return self.transaction, self._reserved

    def check_writes(self) -> None:
        """Check whether the database stores a write, if it has refused a transaction or the last check.

        A refusal alone does not show that: it may have been a lock that another program held for too long. The check
        adds a row and deletes it in the same transaction, so that nobody sees it.

        Raises:
            StoreFailedError: it does not.
        """
        every = self._all_transactions
        suspect = any(one.refused for one in every) or not self._stores_writes
        if any(one.corrupt for one in every) or not suspect:
            return
        for one in every:
            one.refused = False
        row = make_check_row()
        try:
            with self.transaction() as connection:
                connection.execute(sa.insert(runs).values(**row))
                connection.execute(sa.delete(runs).where(runs.c.id == row["id"]))
        except StoreFailedError:
            self._stores_writes = False
            raise
        self._stores_writes = True

    def check_integrity(self) -> None:
        """Read every page of the runs and epochs of a SQLite database, and record damage.

        Weights have a digest, which is compared when they are used.

        Raises:
            StoreCorruptError: a page is damaged.
            StoreFailedError: the database refused.
        """
        if self._engine.dialect.name != "sqlite":
            return
        for table in (runs, epochs):
            with self.transaction() as connection:
                found = connection.exec_driver_sql(f"PRAGMA quick_check('{table.name}')").scalar()
            if found != "ok":
                self.transaction.corrupt = True
                raise StoreCorruptError(f"the database of runs is damaged: {found}")

    def _check_not_corrupt(self) -> None:
        # Existing results can still be read; new ones would be lost with the database.
        if any(one.corrupt for one in self._all_transactions):
            raise StoreCorruptError("the database of runs is damaged and accepts no more runs")

    def _find_newest(self, condition: sa.ColumnElement[bool]) -> sa.Row[Any] | None:
        newest = sa.select(*RUN_COLUMNS).where(condition).order_by(runs.c.create_time.desc()).limit(1)
        with self.transaction() as connection:
            return connection.execute(newest).first()

    def _lease_columns(self) -> dict[str, Any]:
        return {"owner": self._owner, "lease_end": datetime.now(UTC) + self.lease}

    @property
    def _owned(self) -> sa.ColumnElement[bool]:
        return (runs.c.owner == self._owner) & runs.c.state.in_(UNFINISHED)

    def _update_owned(self, connection: sa.Connection, run_id: str, values: dict[str, Any]) -> None:
        """Set ``values`` and renew the lease; other transactions cannot change the run until this one ends."""
        held = self._owned & (runs.c.id == run_id)
        if not connection.execute(sa.update(runs).where(held).values(**values | self._lease_columns())).rowcount:
            raise ServerLostError(f"run {run_id} has ended or belongs to another server", run_id=run_id)

    def add(self, run: Run) -> Run:
        """Store a new run, or return the run that already has its ``request_id``.

        Raises:
            StoreCorruptError: the database is damaged.
            StoreFailedError: the database refused.
        """
        self._check_not_corrupt()
        try:
            with self.transaction() as connection:
                connection.execute(sa.insert(runs).values(**run_to_row(run), **self._lease_columns()))
                if run.labels:
                    connection.execute(sa.insert(labels), run_to_label_rows(run))
        except sa.exc.IntegrityError:
            existing = self.find_request(run.request_id)
            if existing is None:
                raise StoreFailedError("the run of this request_id has just been deleted") from None
            return existing
        return run

    def find_request(self, request_id: str) -> Run | None:
        """Return the run of ``request_id``, if there is one."""
        row = self._find_newest(runs.c.request_id == request_id)
        return None if row is None else row_to_run(row)

    def update(self, run: Run, packed_weights: bytes = b"") -> None:
        """Store the state of ``run``, with its weights in the same transaction, and renew its lease.

        Raises:
            ServerLostError: the run has ended, or another server has declared it lost.
            StoreFailedError: the database refused.
        """
        with self.transaction() as connection:
            self._update_owned(connection, run.id, run_to_row(run))
            if packed_weights:
                connection.execute(sa.insert(weights).values(run_id=run.id, packed=packed_weights))

    def restart(self, run: Run) -> bool:
        """Store ``run``, which had ended without a result, as queued and owned by this server.

        Its ``create_time`` is that of the first attempt, so that the run keeps its place in lists. Returns False if
        another server was faster.

        Raises:
            StoreCorruptError, StoreFailedError: as :meth:`add`.
        """
        self._check_not_corrupt()
        ended = (runs.c.id == run.id) & runs.c.state.in_((RunState.FAILED, RunState.CANCELLED))
        with self.transaction() as connection:
            values = run_to_row(run) | self._lease_columns() | {"cancel_time": None}
            if not connection.execute(sa.update(runs).where(ended).values(**values)).rowcount:
                return False
            connection.execute(sa.delete(epochs).where(epochs.c.run_id == run.id))
        return True

    def add_epoch(self, run_id: str, record: EpochRecord) -> None:
        """Store an epoch of an unfinished run, unless it is already stored, and renew the run's lease.

        Raises:
            ServerLostError, StoreFailedError: as :meth:`update`.
        """
        values = {"run_id": run_id, "epoch": record.epoch, "record": record.model_dump_json()}
        # The row exists if a connection broke between a commit and its confirmation.
        with suppress(sa.exc.IntegrityError), self.transaction() as connection:
            self._update_owned(connection, run_id, {})
            connection.execute(sa.insert(epochs).values(**values))

    def get_epochs(self, run_id: str, after: int = 0) -> tuple[EpochRecord, ...]:
        """Return the epochs after ``after``, in order."""
        return tuple(parse_epoch(run_id, record) for record in self.get_epoch_records(run_id, after))

    def get_epoch_records(self, run_id: str, after: int = 0) -> Sequence[str]:
        """Return epochs as :meth:`get_epochs` does, in their stored form."""
        wanted = (epochs.c.run_id == run_id) & (epochs.c.epoch > after)
        query = sa.select(epochs.c.record).where(wanted).order_by(epochs.c.epoch)
        with self.transaction() as connection:
            return connection.execute(query).scalars().all()

    def get(self, run_id: str) -> Run:
        """Return the run of ``run_id``.

        Raises:
            RunNotFoundError: no run has this id.
        """
        return row_to_run(self.get_row(run_id))

    def get_row(self, run_id: str) -> sa.Row[Any]:
        """Return the row of the run of ``run_id``, for :func:`~loopbench_server.store.schema.row_to_run`.

        Raises:
            RunNotFoundError: no run has this id.
        """
        row = self._find_newest(runs.c.id == run_id)
        if row is None:
            raise RunNotFoundError(f"no run has the id {run_id}", run_id=run_id)
        return row

    def find_latest_success(self, spec: RunSpec) -> Run:
        """Return the newest run of ``spec`` that SUCCEEDED.

        Raises:
            RunNotFoundError: no run of ``spec`` succeeded.
        """
        condition = (runs.c.spec_digest == spec_digest(spec)) & (runs.c.state == RunState.SUCCEEDED)
        row = self._find_newest(condition)
        if row is None:
            raise RunNotFoundError("no run of this specification has succeeded")
        return row_to_run(row)

    def get_weights(self, run_id: str) -> bytes | None:
        """Return the packed final weights, if they are stored."""
        query = sa.select(weights.c.packed).where(weights.c.run_id == run_id)
        with self.transaction() as connection:
            return connection.execute(query).scalar()

    def list(self, run_filter: RunFilter, page_size: int, page_token: str) -> tuple[Sequence[Run], str]:
        """Return a page of runs, as :meth:`page` does."""
        return self.page(run_filter, page_size, page_token, row_to_run)

    def page(
        self, run_filter: RunFilter, page_size: int, page_token: str, read: Callable[[sa.Row[Any]], T]
    ) -> tuple[Sequence[T], str]:
        """Return ``read`` of the rows of a page, the newest first, and the token of the next page or an empty string.

        An unreadable run takes a place on its page and is left out, so that the others can be listed.

        Raises:
            InvalidFieldsError: the token belongs to another filter.
        """
        token = PageToken(run_filter)
        query = sa.select(*RUN_COLUMNS).order_by(runs.c.create_time.desc(), runs.c.id.desc()).limit(page_size + 1)
        for field, condition in CONDITIONS.items():
            wanted = getattr(run_filter, field)
            if wanted:
                query = query.where(condition(wanted))
        if page_token:
            time, run_id = token.decode(page_token)
            # The first condition follows from the second; it lets the database start in the index of the times.
            query = query.where(runs.c.create_time <= time, (runs.c.create_time < time) | (runs.c.id < run_id))
        with self.transaction() as connection:
            # A few rows at a time: otherwise a driver fetches all rows, whatever their size.
            rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query)
            page, last = _page(rows, page_size, read)
            rows.close()
        return page, token.encode(*last) if last else ""

    def delete(self, run_id: str) -> bool:
        """Delete a run with its epochs and weights unless it is unfinished; return whether it no longer exists."""
        named = runs.c.id == run_id
        with self.transaction() as connection:
            # One statement: SQLite's driver begins no transaction for a SELECT, after which the run might be restarted.
            connection.execute(sa.delete(runs).where(named & runs.c.state.not_in(UNFINISHED)))
            return connection.execute(sa.select(runs.c.id).where(named)).first() is None

    def renew_leases(self, run_ids: Sequence[str]) -> Sequence[str]:
        """Renew the leases of those runs that this server owns, and return their ids."""
        renewal = sa.update(runs).where(self._owned & runs.c.id.in_(run_ids)).values(**self._lease_columns())
        with self._reserved() as connection:
            return [*connection.execute(renewal.returning(runs.c.id)).scalars()]

    def request_cancel(self, run_id: str) -> None:
        """Ask the owning server to cancel the run, if it is unfinished."""
        under_way = (runs.c.id == run_id) & runs.c.state.in_(UNFINISHED)
        with self.transaction() as connection:
            connection.execute(sa.update(runs).where(under_way).values(cancel_time=datetime.now(UTC)))

    def list_cancel_requests(self) -> Sequence[str]:
        """Return the unfinished runs of this server with a cancellation request."""
        wanted = self._owned & runs.c.cancel_time.is_not(None)
        with self._reserved() as connection:
            return [*connection.execute(sa.select(runs.c.id).where(wanted)).scalars()]

    def reap_expired(
        self, lost: RunError, cancelled: RunError, but_not: Sequence[str] = ()
    ) -> Sequence[tuple[str, str]]:
        """End unfinished runs with an expired lease, except ``but_not``; return their ids and request_ids.

        A run ends CANCELLED with ``cancelled`` if there was a cancellation request, otherwise FAILED with ``lost``.
        """
        now = datetime.now(UTC)
        abandoned = runs.c.state.in_(UNFINISHED) & (runs.c.lease_end < now) & runs.c.id.not_in(but_not)
        asked = runs.c.cancel_time.is_not(None)
        present = sa.literal(now, Instant)
        latest = sa.func.coalesce(runs.c.start_time, runs.c.create_time)
        values = {
            "state": sa.case((asked, RunState.CANCELLED), else_=RunState.FAILED),
            "error": sa.case((asked, cancelled.model_dump_json()), else_=lost.model_dump_json()),
            # The clock may have been set back.
            "end_time": sa.case((latest > present, latest), else_=present),
        }
        with self._reserved() as connection:
            ended = sa.update(runs).where(abandoned).values(**values).returning(runs.c.id, runs.c.request_id)
            return [(run_id, request_id) for run_id, request_id in connection.execute(ended)]

    def delete_old_runs(self, ended_before: datetime) -> Sequence[str]:
        """Delete a batch of runs that ended before ``ended_before``, with epochs and weights; return their ids."""
        old = runs.c.end_time < ended_before
        some = sa.select(runs.c.id).where(old).limit(DELETE_BATCH)
        # The condition is repeated for the deletion: a run may have been restarted.
        forgotten = sa.delete(runs).where(runs.c.id.in_(some) & old).returning(runs.c.id)
        with self.transaction() as connection:
            return [*connection.execute(forgotten).scalars()]

    def delete_old_weights(self, ended_before: datetime) -> int:
        """Delete weights of a batch of runs that ended before ``ended_before``; return how many. Results stay."""
        joined = sa.select(weights.c.run_id).join(runs, runs.c.id == weights.c.run_id)
        some = joined.where(runs.c.end_time < ended_before).limit(DELETE_BATCH)
        with self.transaction() as connection:
            return connection.execute(sa.delete(weights).where(weights.c.run_id.in_(some))).rowcount
