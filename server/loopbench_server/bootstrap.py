"""What every program that trains does as it starts."""

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
from loopbench_server.store.database import open_database, reserved_connections
from loopbench_server.store.migrate import NewerSchemaError
from loopbench_server.store.store import Store
from loopbench_server.store.transactions import TransactionObserver
from loopbench_server.worker_config import WorkerConfig, WorkerLimits

log = structlog.get_logger()

# After that many seconds without a byte, the connection of a scraper is closed.
SCRAPE_TIMEOUT = 10.0

# What opening a database raises that no later attempt is spared.
PERMANENT_ERRORS = (ImportError, sa.exc.NoSuchModuleError, NewerSchemaError)


def _parse_url(url: str) -> sa.URL:
    """The parts of ``url``. No error may show its password, even where another part has swallowed some of that."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        parsed = None
    if parsed is None or "@" in (parsed.host or ""):
        raise SettingError(
            "--store-url: not a URL of SQLAlchemy's form, DIALECT+DRIVER://USER:PASSWORD@HOST:PORT/DATABASE; "
            "characters such as @ : / in a password have to be percent-encoded"
        )
    return parsed


def open_store(settings: TrainingSettings, observer: TransactionObserver) -> Store:
    """The store that the settings name, for a program that takes runs under a name of its own.

    ``observer`` is told of its transactions.

    Raises:
        StartError: it cannot be opened; where that will not change, a :class:`SettingError`.
    """
    url = _parse_url(settings.store_url.get_secret_value())
    try:
        lease = timedelta(seconds=settings.lease_seconds)
        return Store(open_database(url), str(uuid.uuid4()), lease, observer, reserved_connections(url))
    except (sa.exc.SQLAlchemyError, OSError, ImportError, BrokenProcessPool, NewerSchemaError) as error:
        # What the database itself says, in one line.
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        kind = SettingError if isinstance(error, PERMANENT_ERRORS) else StartError
        raise kind(f"--store-url: the database cannot be opened: {said}") from error


def _check_folders(settings: TrainingSettings) -> None:
    """Workers get folders as JSON, and TensorFlow takes UTF-8 alone: any other folder fails in every run.

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
            raise SettingError(f"{name}: a path in UTF-8, which {os.fsencode(folder)!r} is not") from None


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
    )


def serve_metrics(address: str, registry: prometheus_client.CollectorRegistry) -> str:
    """Serves metrics on ``address``, unless that is "none"; gives the address with the port that 0 became.

    Raises:
        StartError: the port is taken, or the host is not this one.
    """
    if address == "none":
        return address
    host, _, port = address.rpartition(":")
    try:
        server, _ = prometheus_client.start_http_server(int(port), host.strip("[]"), registry)
    except (OSError, OverflowError) as error:
        raise StartError(f"--metrics-address: cannot serve metrics on {address}: {error}") from error
    # The library waits for a silent scraper for ever, and prints a traceback when one disconnects.
    handler: Any = server.RequestHandlerClass
    server.RequestHandlerClass = type("Handler", (handler,), {"timeout": SCRAPE_TIMEOUT})
    server.handle_error = lambda *_: log.debug("scrape failed", error=str(sys.exception()))  # type: ignore[method-assign]
    return f"{host}:{server.server_port}"
