"""Startup steps that the server and the sweep program share."""

import os
import sys
import uuid
from concurrent.futures.process import BrokenProcessPool
from datetime import timedelta
from tempfile import gettempdir
from typing import Any

import prometheus_client
import sqlalchemy as sa
import structlog

from loopbench_server.config import TrainingSettings
from loopbench_server.errors import SettingError, StartError
from loopbench_server.listening import check_free
from loopbench_server.revision import source_revision
from loopbench_server.store.database import open_database, reserved_connections
from loopbench_server.store.database_file import find_file
from loopbench_server.store.migrate import NewerSchemaError
from loopbench_server.store.store import Store
from loopbench_server.store.transactions import TransactionObserver
from loopbench_server.worker_config import WorkerConfig, WorkerLimits

log = structlog.get_logger()

# The connection of a scraper is closed after this time without a byte.
SCRAPE_TIMEOUT_SECONDS = 10.0

# Errors of opening a database that persist until a person changes something.
PERMANENT_ERRORS = (ImportError, sa.exc.ArgumentError, NewerSchemaError)


def parse_url(url: str) -> sa.URL:
    """Parse ``url``. No error shows its password, even where another part contains some of the password.

    Raises:
        SettingError: it is no URL of SQLAlchemy, or that of a SQLite database without a file.
    """
    if "%00" in url:
        raise SettingError("--store-url: must have no NUL character (%00)")
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        parsed = None
    # A password with @ ends before it, and the rest of the password is taken for the host and the database.
    if parsed is None or (parsed.host and "@" in f"{parsed.host}{parsed.database}"):
        raise SettingError(
            "--store-url: not an SQLAlchemy URL (DIALECT+DRIVER://USER:PASSWORD@HOST:PORT/DATABASE); "
            "percent-encode characters such as @ : / in a password"
        )
    if parsed.get_backend_name() == "sqlite" and find_file(parsed) is None:
        raise SettingError("--store-url: names no file; give a path without parameters: sqlite:////FOLDER/runs.db")
    return parsed


def open_store(settings: TrainingSettings, observer: TransactionObserver) -> Store:
    """Open the store of ``settings`` under a new owner id. ``observer`` receives its transactions.

    Raises:
        SettingError: the store cannot be opened with these settings.
        StartError: the store cannot be opened now.
    """
    url = parse_url(settings.store_url.get_secret_value())
    try:
        lease = timedelta(seconds=settings.lease_seconds)
        return Store(open_database(url), str(uuid.uuid4()), lease, observer, reserved_connections(url))
    except (sa.exc.SQLAlchemyError, OSError, ImportError, BrokenProcessPool, NewerSchemaError) as error:
        # The database's own message, in one line.
        message = " ".join(str(getattr(error, "orig", None) or error).split())
        kind = SettingError if isinstance(error, PERMANENT_ERRORS) else StartError
        raise kind(f"--store-url: cannot open the database: {message}") from error


def _check_folders(settings: TrainingSettings) -> None:
    """Check that all folders have paths in UTF-8: workers receive them as JSON, and TensorFlow accepts UTF-8 only.

    Raises:
        SettingError: a folder's path is not UTF-8.
    """
    folders = {
        "TMPDIR": gettempdir(),
        "--data-dir": str(settings.data_dir or ""),
        "--tensorboard-dir": str(settings.tensorboard_dir),
    }
    for name, folder in folders.items():
        try:
            folder.encode()
        except UnicodeEncodeError:
            raise SettingError(f"{name}: the path {os.fsencode(folder)!r} is not UTF-8") from None


def make_worker_config(settings: TrainingSettings) -> WorkerConfig:
    """Return the configuration of worker processes that ``settings`` ask for.

    Raises:
        SettingError: a folder's path is not UTF-8.
    """
    _check_folders(settings)
    return WorkerConfig(
        threads=settings.threads_per_run,
        data_dir=settings.data_dir,
        tensorboard_dir=settings.tensorboard_dir,
        limits=WorkerLimits(settings.run_seconds, settings.run_megabytes),
        source_revision=source_revision(),
    )


def serve_metrics(address: str, registry: prometheus_client.CollectorRegistry) -> str:
    """Serve metrics on ``address``, unless it is "none"; return the address with the actual port.

    Raises:
        StartError: the port is taken, or the host is not this machine.
    """
    if address == "none":
        return address
    host, _, port = address.rpartition(":")
    try:
        check_free(address)
        server, _ = prometheus_client.start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        raise StartError(f"--metrics-address: cannot serve metrics on {address}: {error.strerror}") from error
    # The library waits for a silent scraper for ever, and prints a traceback when one disconnects.
    handler: Any = server.RequestHandlerClass
    server.RequestHandlerClass = type("Handler", (handler,), {"timeout": SCRAPE_TIMEOUT_SECONDS})
    server.handle_error = lambda *_: log.debug("scrape failed", error=str(sys.exception()))  # type: ignore[method-assign]
    return f"{host}:{server.server_port}"
