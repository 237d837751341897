"""Runs an index from its file and number to an exit code."""

import asyncio
import os
import sys
from contextlib import suppress

import structlog
from google.protobuf import json_format
from structlog.contextvars import bind_contextvars

from loopbench import wire
from loopbench.spec import InvalidFieldsError, Run, Violation
from loopbench.streams import write_line
from loopbench.sweep import INDEX_VARIABLE, Index, IndexExit, Sweep
from loopbench.sweep_file import read_sweep
from loopbench_server.bootstrap import open_store
from loopbench_server.errors import DrainingError, LoopbenchServerError, SettingError, StartError
from loopbench_server.stopping import make_stop_event
from loopbench_server.sweep.settings import SweepSettings
from loopbench_server.sweep.training import ONE_RUN, IndexTrainer
from loopbench_server.telemetry import logging
from loopbench_server.telemetry.metrics import TrainingMetrics
from loopbench_server.telemetry.metrics.labels import spec_labels
from loopbench_server.telemetry.tracing import tracing

log = structlog.get_logger()


def run(settings: SweepSettings) -> IndexExit:
    """Train the index that the environment names. A failure prints one line on standard error."""
    logging.configure(settings)
    what = "loopbench-sweep-index"
    try:
        sweep = read_sweep(settings.sweep_file)
        index = sweep.index(_read_index_number(sweep))
        what += f": {index.title}"
        trained = asyncio.run(_train(settings, sweep, index))
    except (InvalidFieldsError, SettingError) as error:
        return _report_failure(what, str(error), IndexExit.HOPELESS)
    except StartError as error:
        return _report_failure(what, str(error), IndexExit.FAILED)
    except LoopbenchServerError as error:
        return _report_failure(what, f"{error.reason}: {error}", get_exit_code(error))
    except Exception:
        log.critical("cannot train the index", exc_info=True)
        return _report_failure(what, "internal error; see the log", IndexExit.FAILED)
    try:
        _print_run(trained)
    except OSError as error:
        return _report_failure(what, f"standard output: {error.strerror}", IndexExit.FAILED)
    return IndexExit.DONE


def get_exit_code(error: LoopbenchServerError) -> IndexExit:
    """Return the exit code for a failed run, or for a store that refuses."""
    if isinstance(error, DrainingError):
        return IndexExit.STOPPED
    return IndexExit.FAILED if error.retryable else IndexExit.HOPELESS


def _print_run(run: Run) -> None:
    write_line(json_format.MessageToJson(wire.run_to_wire(run), indent=None))


def _announce_run(run: Run) -> None:
    # Where this line is lost, the last one is, too, and the program says so then.
    with suppress(OSError):
        _print_run(run)


def _report_failure(what: str, why: str, code: IndexExit) -> IndexExit:
    print(f"{what}: {why}", file=sys.stderr, flush=True)  # noqa: T201  for the program that started this one
    return code


def _read_index_number(sweep: Sweep) -> int:
    """Return the index that the environment names.

    Raises:
        InvalidFieldsError: the environment names no index of ``sweep``.
    """
    text = os.environ.get(INDEX_VARIABLE, "")
    if text.isascii() and text.isdigit() and len(text) <= len(str(sweep.size)) and int(text) < sweep.size:
        return int(text)
    words = f"must be a number from 0 to {sweep.size - 1}, not {text!r}"
    raise InvalidFieldsError((Violation(field=INDEX_VARIABLE, description=words),))


async def _train(settings: SweepSettings, sweep: Sweep, index: Index) -> Run:
    request_id = sweep.request_id(index.number)
    bind_contextvars(sweep=sweep.name, index=index.number, label=index.label, request_id=request_id)
    stop = make_stop_event(on_stdin_eof=settings.exit_on_stdin_eof, drain_seconds=settings.drain_seconds)
    with tracing() as tracer:
        metrics = TrainingMetrics(ONE_RUN.slots, ONE_RUN.queue_size, [spec_labels(index.spec)])
        store = await asyncio.to_thread(open_store, settings, metrics.store)
        try:
            trainer = IndexTrainer(settings, store, metrics, tracer, on_run=_announce_run)
            return await trainer.run(index.spec, request_id, sweep.naming(index), stop)
        finally:
            store.close()
