"""Copies of a SQLite database: complete while servers write to it, checked, and never half a file."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from loopbench_server.store import schema
from loopbench_server.store.database_file import connect_existing, is_damage
from loopbench_server.store.migrate import NewerSchemaError, is_older
from loopbench_server.store.store import UNFINISHED

# Files that SQLite keeps beside a database. A new database would take in those of the one that it replaces.
BESIDE = ("-wal", "-shm", "-journal")
LAST_LEASE = "SELECT max(lease_end) FROM runs WHERE state IN (?, ?)"


class CopyError(Exception):
    """A database cannot be copied. Source and target are as before."""


@dataclass(frozen=True)
class Contents:
    """What a database holds: the numbers of runs, of their epochs, and of runs with stored weights; and its bytes."""

    runs: int
    epochs: int
    weights: int
    size: int


def copy_database(source: Path, target: Path, *, overwrite: bool = False, check_leases: bool = False) -> Contents:
    """Copy the database ``source`` to ``target``, and return the contents of the checked copy.

    The copy is made in the folder of ``target`` and renamed at the end. SQLite copies the state of one moment, also
    while servers write to ``source``.

    Args:
        source: file of a database with runs.
        target: file to write.
        overwrite: replace ``target`` if it exists. No process may have it open.
        check_leases: refuse to replace a database in which a server has unexpired leases.

    Raises:
        CopyError: a file is missing, exists, is in use or is no usable database.
        OSError: the folder of ``target`` cannot be written.
    """
    source, target = source.resolve(), target.resolve()
    _check_files(source, target, overwrite=overwrite)
    with ExitStack() as held:
        if target.exists():
            held.enter_context(_locked(target, check_leases=check_leases))
        copy, contents = held.enter_context(_checked_copy(source, target.parent))
        _publish(copy, target)
    return contents


def _check_files(source: Path, target: Path, *, overwrite: bool) -> None:
    if not source.is_file():
        raise CopyError(f"there is no database {source}")
    if not target.parent.is_dir():
        raise CopyError(f"there is no folder {target.parent}; create it first")
    if not target.exists():
        return
    if not target.is_file():
        raise CopyError(f"{target} is not a regular file; name another one")
    if target.samefile(source):
        raise CopyError(f"{target} is the database to copy; name another file")
    if not overwrite:
        raise CopyError(f"{target} exists; name another file, or replace it by --overwrite")


@contextmanager
def _locked(file: Path, *, check_leases: bool) -> Iterator[None]:
    """Hold ``file`` in the block against every other process, with all commits in the file itself.

    A damaged database passes: a copy is its replacement.

    Raises:
        CopyError: a process has the file open, or a server has unexpired leases.
    """
    with closing(connect_existing(file, timeout=0, isolation_level=None)) as connection:
        try:
            # In this mode a lock excludes every process with an open connection, and remains until the connection ends.
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            if check_leases:
                _check_leases(connection, file)
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise CopyError(f"{file} is in use; stop all servers on it first") from error
            if not is_damage(error):
                raise CopyError(f"{file} cannot be replaced: {error}; remove it, or name another file") from error
        yield


def _check_leases(connection: sqlite3.Connection, file: Path) -> None:
    (microseconds,) = connection.execute(LAST_LEASE, UNFINISHED).fetchone()
    if microseconds is None:
        return
    end = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
    seconds = (end - datetime.now(UTC)).total_seconds()
    if seconds > 0:
        raise CopyError(
            f"{file} has runs of a server whose lease ends at {end:%Y-%m-%dT%H:%M:%SZ}; "
            f"stop that server, or retry in {seconds:.0f} s"
        )


@contextmanager
def _checked_copy(source: Path, folder: Path) -> Iterator[tuple[Path, Contents]]:
    """Yield a copy of ``source`` in a temporary folder in ``folder``, and its contents.

    Raises:
        CopyError: SQLite cannot read or write, or the copy is no usable database.
    """
    with TemporaryDirectory(prefix=".loopbench-copy-", dir=folder) as made:
        copy = Path(made) / "copy.db"
        try:
            with closing(connect_existing(source)) as read, closing(sqlite3.connect(copy)) as written:
                read.backup(written)
                # One file, which can be read where the folder is read-only. A server sets the mode again.
                written.execute("PRAGMA journal_mode=DELETE")
            contents = _examine(copy, source)
        except (sqlite3.Error, sa.exc.DBAPIError) as error:
            raise CopyError(f"cannot copy {source} to {folder}: {getattr(error, 'orig', error)}") from error
        yield copy, contents


def _examine(copy: Path, source: Path) -> Contents:
    """Return the contents of ``copy``, of which every page can be read.

    Raises:
        CopyError: a page is damaged, there are no runs, or the schema is newer than this program.
    """
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(copy)))
    try:
        with engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
            if found != "ok":
                raise CopyError(f"{source} is damaged: {' '.join(str(found).split())}")
            if not sa.inspect(connection).has_table(schema.runs.name):
                raise CopyError(f"{source} is no database of loopbench: it has no table of runs")
            is_older(engine)
            runs, epochs, weights = (
                connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for table in (schema.runs, schema.epochs, schema.weights)
            )
            return Contents(runs, epochs, weights, copy.stat().st_size)
    except NewerSchemaError as error:
        raise CopyError(f"{source}: {error}") from error
    finally:
        engine.dispose()


def _publish(copy: Path, target: Path) -> None:
    """Put ``copy`` in the place of ``target``, durably, with the owner and the permissions of a replaced file."""
    with suppress(FileNotFoundError):
        replaced = target.stat()
        os.chown(copy, replaced.st_uid, replaced.st_gid)
        copy.chmod(stat.S_IMODE(replaced.st_mode))
    for ending in BESIDE:
        Path(f"{target}{ending}").unlink(missing_ok=True)
    copy.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
