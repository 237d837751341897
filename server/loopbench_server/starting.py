"""What every program that trains does as it starts, and is told to stop by."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import uuid
from concurrent.futures.process import BrokenProcessPool
from datetime import timedelta
from tempfile import gettempdir

import prometheus_client
import sqlalchemy as sa

from loopbench_server.metrics_port import MetricsServer
from loopbench_server.runs.attempt import Surroundings
from loopbench_server.runs.bounds import Bounds
from loopbench_server.runs.database import open_database
from loopbench_server.runs.migrating import NewerSchemaError
from loopbench_server.runs.store import Store
from loopbench_server.runs.transactions import TransactionObserver
from loopbench_server.settings import TrainingSettings


class StartError(Exception):
    """The program cannot start, for a reason that its user can mend."""


class SettingError(StartError):
    """It cannot ever start by these settings, in this installation."""


# What opening a database raises that no later attempt is spared.
LASTING = (ImportError, sa.exc.NoSuchModuleError, NewerSchemaError)

# Bytes that a socket's path may have: the 108 of unix(7) less the zero at the end, less what multiprocessing adds.
LONGEST_TEMPORARY = 107 - len("/pymp-12345678/listener-12345678")


def _parsed(url: str) -> sa.URL:
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
    url = _parsed(settings.store_url.get_secret_value())
    try:
        return Store(open_database(url), str(uuid.uuid4()), timedelta(seconds=settings.lease_seconds), observer)
    except (sa.exc.SQLAlchemyError, OSError, ImportError, BrokenProcessPool, NewerSchemaError) as error:
        # What the database itself says, in one line.
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        kind = SettingError if isinstance(error, LASTING) else StartError
        raise kind(f"--store-url: the database cannot be opened: {said}") from error


def surroundings_of(settings: TrainingSettings) -> Surroundings:
    """What runs are told of the machine.

    Raises:
        SettingError: their processes cannot be reached, because the path of the folder of temporary files is too long.
    """
    temporary = gettempdir()
    if len(os.fsencode(temporary)) > LONGEST_TEMPORARY:
        raise SettingError(
            f"TMPDIR: a path of at most {LONGEST_TEMPORARY} bytes, because sockets go there: {temporary}"
        )
    bounds = Bounds(settings.run_seconds, settings.run_megabytes)
    return Surroundings(settings.threads_per_run, settings.data_dir, settings.tensorboard_dir, bounds)


def serve_metrics(address: str, registry: prometheus_client.CollectorRegistry) -> str:
    """Serves metrics on ``address``, unless that is "none"; gives the address with the port that 0 became.

    Raises:
        StartError: the port is taken, or the host is not this one.
    """
    if address == "none":
        return address
    host, _, port = address.rpartition(":")
    try:
        server = MetricsServer(host.strip("[]"), int(port), registry)
    except (OSError, OverflowError) as error:
        raise StartError(f"--metrics-address: cannot serve metrics on {address}: {error}") from error
    return f"{host}:{server.port}"


def stop_event(*, on_stdin_eof: bool) -> asyncio.Event:
    """Set by SIGTERM, SIGINT and, where asked for, the end of standard input."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if on_stdin_eof:

        def read() -> None:
            # On a thread, because not everything that standard input may be can be waited for by an event loop.
            while os.read(sys.stdin.fileno(), 4096):
                pass
            with contextlib.suppress(RuntimeError):  # the loop may have ended first
                loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=read, daemon=True, name="stdin").start()
    return stop
