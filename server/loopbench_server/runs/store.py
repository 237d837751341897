"""Runs, epochs and final weights in SQL: SQLite by default. Methods block; callers on an event loop use threads."""

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
from loopbench_server.runs.paging import PagePosition, PageToken
from loopbench_server.runs.schema import (
    CONDITIONS,
    Instant,
    columns_of,
    epoch_of,
    epochs,
    run_of,
    runs,
    spec_digest,
    weights,
)
from loopbench_server.runs.transactions import TransactionObserver, Transactions

T = TypeVar("T")

UNFINISHED = (RunState.QUEUED, RunState.RUNNING)
# Results on a page, as they are stored: a thousand runs of a thousand epochs each would take gigabytes.
PAGE_BYTES = 4 << 20
ROWS_AT_ONCE = 16
# What a run shows of itself; the other columns are for queries.
SHOWN = [
    runs.c[name]
    for name in ("id", "request_id", "state", "spec", "create_time", "start_time", "end_time", "result", "error")
]
# Runs that are forgotten in one transaction, so that it ends soon and holds up nobody.
FORGOTTEN_AT_ONCE = 100


def _page(
    rows: Iterable[sa.Row[Any]], size: int, read: Callable[[sa.Row[Any]], T]
) -> tuple[list[T], PagePosition | None]:
    """What ``read`` makes of the first rows, until there are ``size`` or they hold PAGE_BYTES; where more follow them.

    Each row is read before the next is fetched, so that a page is never held as text.
    """
    page: list[T] = []
    held = 0
    last = None
    for count, row in enumerate(rows):
        if last and (count == size or held > PAGE_BYTES):
            return page, last
        with suppress(RunUnreadableError):  # it takes its place on the page all the same
            page.append(read(row))
        last = row.create_time, row.id
        held += len(row.result or "")
    return page, None


class Store:
    """The tables in ``database``; ``owner`` is the server that asks, by a name of its own.

    Its word that it works on a run is taken for as long as ``lease``, and can be renewed. Leases and cancellations use
    the connections of ``reserved``, which callers cannot exhaust.
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
        self.lease = lease

    def close(self) -> None:
        """Gives all connections back."""
        self._engine.dispose()
        if self._reserved_engine:
            self._reserved_engine.dispose()

    @property
    def keeps(self) -> bool:
        """Whether what is stored now can be read later, as far as is known."""
        return not any(one.replaced or one.corrupt for one in (self.transaction, self._reserved))

    def examine(self) -> None:
        """Read every page of the runs and epochs of a SQLite database, and note whether one is damaged.

        Weights have a digest, which is compared where they are used.

        Raises:
            StoreCorruptError: one is.
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

    def _take_in(self) -> None:
        # What is there can still be read; more would be lost with the database.
        if any(one.corrupt for one in (self.transaction, self._reserved)):
            raise StoreCorruptError("the database of runs is damaged and takes no more runs")

    def _newest(self, condition: sa.ColumnElement[bool]) -> sa.Row[Any] | None:
        newest = sa.select(*SHOWN).where(condition).order_by(runs.c.create_time.desc()).limit(1)
        with self.transaction() as connection:
            return connection.execute(newest).first()

    def _leased(self) -> dict[str, Any]:
        return {"owner": self._owner, "lease_end": datetime.now(UTC) + self.lease}

    @property
    def _mine(self) -> sa.ColumnElement[bool]:
        return (runs.c.owner == self._owner) & runs.c.state.in_(UNFINISHED)

    def _hold(self, connection: sa.Connection, run_id: str, values: dict[str, Any]) -> None:
        """Sets ``values`` and renews the lease, and keeps others from the run until the transaction ends."""
        held = self._mine & (runs.c.id == run_id)
        if not connection.execute(sa.update(runs).where(held).values(**values | self._leased())).rowcount:
            raise ServerLostError(f"run {run_id} has ended or belongs to another server by now", run_id=run_id)

    def add(self, run: Run) -> Run:
        """Stores a new run, or gives the one that has its ``request_id`` already.

        Raises:
            StoreCorruptError: the database is damaged.
            StoreFailedError: the database refused.
        """
        self._take_in()
        try:
            with self.transaction() as connection:
                connection.execute(sa.insert(runs).values(**columns_of(run), **self._leased()))
        except sa.exc.IntegrityError:
            existing = self.find_request(run.request_id)
            if existing is None:
                raise StoreFailedError("the run of this request_id was deleted a moment ago") from None
            return existing
        return run

    def find_request(self, request_id: str) -> Run | None:
        """The run that was asked for under ``request_id``, if there is one."""
        row = self._newest(runs.c.request_id == request_id)
        return None if row is None else run_of(row)

    def update(self, run: Run, packed_weights: bytes = b"") -> None:
        """Stores what has become of ``run``, and its weights in the same transaction, and renews its lease.

        Raises:
            ServerLostError: the run has ended, or another server has taken it for lost.
            StoreFailedError: the database refused.
        """
        with self.transaction() as connection:
            self._hold(connection, run.id, columns_of(run))
            if packed_weights:
                connection.execute(sa.insert(weights).values(run_id=run.id, packed=packed_weights))

    def restart(self, run: Run) -> bool:
        """Stores ``run``, which had ended without a result, as queued and as this server's.

        Its ``create_time`` is that of the first attempt, so that the run keeps its place on the pages of a list. False
        where another server was faster.

        Raises:
            StoreCorruptError, StoreFailedError: as :meth:`add`.
        """
        self._take_in()
        ended = (runs.c.id == run.id) & runs.c.state.in_((RunState.FAILED, RunState.CANCELLED))
        with self.transaction() as connection:
            values = columns_of(run) | self._leased() | {"cancel_time": None}
            if not connection.execute(sa.update(runs).where(ended).values(**values)).rowcount:
                return False
            connection.execute(sa.delete(epochs).where(epochs.c.run_id == run.id))
        return True

    def add_epoch(self, run_id: str, record: EpochRecord) -> None:
        """Stores an epoch of a run under way, unless it is stored already, and renews the run's lease.

        Raises:
            ServerLostError, StoreFailedError: as :meth:`update`.
        """
        values = {"run_id": run_id, "epoch": record.epoch, "record": record.model_dump_json()}
        # It is, where a connection broke between a commit and its confirmation.
        with suppress(sa.exc.IntegrityError), self.transaction() as connection:
            self._hold(connection, run_id, {})
            connection.execute(sa.insert(epochs).values(**values))

    def epochs_of(self, run_id: str, after: int = 0) -> tuple[EpochRecord, ...]:
        """The epochs so far that come ``after`` that one, in order."""
        return tuple(epoch_of(run_id, record) for record in self.epoch_records(run_id, after))

    def epoch_records(self, run_id: str, after: int = 0) -> Sequence[str]:
        """As :meth:`epochs_of`, in the form in which they are stored."""
        wanted = (epochs.c.run_id == run_id) & (epochs.c.epoch > after)
        query = sa.select(epochs.c.record).where(wanted).order_by(epochs.c.epoch)
        with self.transaction() as connection:
            return connection.execute(query).scalars().all()

    def get(self, run_id: str) -> Run:
        """The run of that id.

        Raises:
            RunNotFoundError: there is none.
        """
        return run_of(self.row(run_id))

    def row(self, run_id: str) -> sa.Row[Any]:
        """The row of the run of that id, as :func:`~loopbench_server.runs.schema.run_of` takes it.

        Raises:
            RunNotFoundError: there is none.
        """
        row = self._newest(runs.c.id == run_id)
        if row is None:
            raise RunNotFoundError(f"there is no run {run_id}", run_id=run_id)
        return row

    def latest_success(self, spec: RunSpec) -> Run:
        """The newest run of ``spec`` that SUCCEEDED.

        Raises:
            RunNotFoundError: there is none.
        """
        condition = (runs.c.spec_digest == spec_digest(spec)) & (runs.c.state == RunState.SUCCEEDED)
        row = self._newest(condition)
        if row is None:
            raise RunNotFoundError("no run of this specification has succeeded")
        return run_of(row)

    def weights_of(self, run_id: str) -> bytes | None:
        """The packed final weights, if they are stored."""
        query = sa.select(weights.c.packed).where(weights.c.run_id == run_id)
        with self.transaction() as connection:
            return connection.execute(query).scalar()

    def list(self, run_filter: RunFilter, page_size: int, page_token: str) -> tuple[Sequence[Run], str]:
        """As :meth:`page`, of runs."""
        return self.page(run_filter, page_size, page_token, run_of)

    def page(
        self, run_filter: RunFilter, page_size: int, page_token: str, read: Callable[[sa.Row[Any]], T]
    ) -> tuple[Sequence[T], str]:
        """What ``read`` makes of the rows of a page, the newest first, and the token of the next page or nothing.

        A run that this server cannot read takes a place on its page and is left out, so that the others can be listed.

        Raises:
            InvalidFieldsError: the token is not of this filter.
        """
        token = PageToken(run_filter)
        query = sa.select(*SHOWN).order_by(runs.c.create_time.desc(), runs.c.id.desc()).limit(page_size + 1)
        for field, condition in CONDITIONS.items():
            wanted = getattr(run_filter, field)
            if wanted not in (None, ()):
                query = query.where(condition(wanted))
        if page_token:
            time, run_id = token.decode(page_token)
            # The first condition is implied by the second; it lets the database begin in the index of the times.
            query = query.where(runs.c.create_time <= time, (runs.c.create_time < time) | (runs.c.id < run_id))
        with self.transaction() as connection:
            # A few rows at a time: a driver would fetch them all otherwise, however much they hold.
            rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query)
            page, last = _page(rows, page_size, read)
            rows.close()
        return page, token.encode(*last) if last else ""

    def delete(self, run_id: str) -> bool:
        """Forgets a run with its epochs and weights, unless it is unfinished; gives whether it is no longer there."""
        named = runs.c.id == run_id
        with self.transaction() as connection:
            # One statement: SQLite's driver begins no transaction for a SELECT, after which the run might begin anew.
            connection.execute(sa.delete(runs).where(named & runs.c.state.not_in(UNFINISHED)))
            return connection.execute(sa.select(runs.c.id).where(named)).first() is None

    def renew_leases(self, run_ids: Sequence[str]) -> Sequence[str]:
        """Says that this server still works on those runs, as far as they are its own; gives these."""
        renewal = sa.update(runs).where(self._mine & runs.c.id.in_(run_ids)).values(**self._leased())
        with self._reserved() as connection:
            return [*connection.execute(renewal.returning(runs.c.id)).scalars()]

    def request_cancel(self, run_id: str) -> None:
        """Has whichever server works on the run end it, if it is under way."""
        under_way = (runs.c.id == run_id) & runs.c.state.in_(UNFINISHED)
        with self.transaction() as connection:
            connection.execute(sa.update(runs).where(under_way).values(cancel_time=datetime.now(UTC)))

    def cancel_requests(self) -> Sequence[str]:
        """The unfinished runs of this server that somebody wants ended."""
        wanted = self._mine & runs.c.cancel_time.is_not(None)
        with self._reserved() as connection:
            return [*connection.execute(sa.select(runs.c.id).where(wanted)).scalars()]

    def end_abandoned(
        self, lost: RunError, cancelled: RunError, but_not: Sequence[str] = ()
    ) -> Sequence[tuple[str, str]]:
        """Ends the unfinished runs whose server no longer says anything, but not those; gives ids and request_ids.

        They end FAILED with ``lost``, or CANCELLED with ``cancelled`` where somebody had asked for that.
        """
        now = datetime.now(UTC)
        abandoned = runs.c.state.in_(UNFINISHED) & (runs.c.lease_end < now) & runs.c.id.not_in(but_not)
        asked = runs.c.cancel_time.is_not(None)
        present = sa.literal(now, Instant)
        latest = sa.func.coalesce(runs.c.start_time, runs.c.create_time)
        values = {
            "state": sa.case((asked, RunState.CANCELLED), else_=RunState.FAILED),
            "error": sa.case((asked, cancelled.model_dump_json()), else_=lost.model_dump_json()),
            # The clock may have been set back meanwhile.
            "end_time": sa.case((latest > present, latest), else_=present),
        }
        with self._reserved() as connection:
            ended = sa.update(runs).where(abandoned).values(**values).returning(runs.c.id, runs.c.request_id)
            return [(run_id, request_id) for run_id, request_id in connection.execute(ended)]

    def forget_runs(self, ended_before: datetime) -> Sequence[str]:
        """Forgets some runs that ended before that, with their epochs and weights; gives their ids, none at last."""
        old = runs.c.end_time < ended_before
        some = sa.select(runs.c.id).where(old).limit(FORGOTTEN_AT_ONCE)
        # Asked once more of each that is deleted: it may have been started anew meanwhile.
        forgotten = sa.delete(runs).where(runs.c.id.in_(some) & old).returning(runs.c.id)
        with self.transaction() as connection:
            return [*connection.execute(forgotten).scalars()]

    def forget_weights(self, ended_before: datetime) -> int:
        """Forgets weights of some runs that ended before that, and gives of how many; their results stay."""
        joined = sa.select(weights.c.run_id).join(runs, runs.c.id == weights.c.run_id)
        some = joined.where(runs.c.end_time < ended_before).limit(FORGOTTEN_AT_ONCE)
        with self.transaction() as connection:
            return connection.execute(sa.delete(weights).where(weights.c.run_id.in_(some))).rowcount
