"""Runs one task in a worker process and sends its messages to the server over a pipe.

Only this module, :mod:`.preload` and :mod:`.engine_import` import the engine; the forkserver has loaded it before the
fork.
"""

import io
import os
import select
import sys
import tempfile
import threading
import time
import traceback
import zipfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from loopbench_server.errors import (
    LoopbenchServerError,
    RunFailedError,
    TemporaryFolderError,
    TensorBoardFullError,
    TensorBoardNotWritableError,
    WeightsCorruptError,
)
from loopbench_server.workers import process_name, stop_signals, xla_cache
from loopbench_server.workers.engine_import import import_engine
from loopbench_server.workers.error_text import make_message
from loopbench_server.workers.protocol import (
    Described,
    Diagnosed,
    EpochEnded,
    Evaluated,
    Failed,
    Message,
    PhaseBegan,
    Prepared,
    Progressed,
    Started,
    Task,
    Trained,
)
from loopbench_server.workers.redaction import redact_paths
from loopbench_server.workers.scratch import scratch

if TYPE_CHECKING:
    from loopbench_server.engine.training import Weights

# The server keeps priority, so that it responds under load.
NICENESS = 10
# The highest score: Linux kills the process with the highest score first where memory runs out.
OOM_SCORE_ADJ = "1000"
EXIT_ORPHANED = 70
# Errors whose traceback goes to the log; callers must not see paths of this machine.
MACHINE_ERRORS = (TemporaryFolderError, TensorBoardFullError, TensorBoardNotWritableError)

Send = Callable[[Message], None]


def pack(weights: "Weights") -> bytes:
    """Return the arrays, in order, as the bytes of an ``.npz`` file."""
    buffer = io.BytesIO()
    np.savez(buffer, *weights)
    return buffer.getvalue()


def unpack(packed: bytes) -> "Weights":
    """Return the arrays that :func:`pack` packed.

    Raises:
        WeightsCorruptError: the bytes are not the output of :func:`pack`.
    """
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
            return [archive[name] for name in archive.files]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsCorruptError(f"the stored weights cannot be read: {error}") from error


def _encode(message: Message) -> bytes:
    return message.model_dump_json().encode()


def _describe(task: Task, _: bytes, __: Send) -> Iterable[bytes]:
    import_engine()  # a server is ready only if all of its tasks can start
    from loopbench_server.engine import data, devices, environment  # noqa: PLC0415  only in the worker

    found = devices.list_devices()
    described = Described(
        versions=environment.versions(),
        devices=found,
        datasets=data.describe(task.config.data_dir),
        environments=tuple(
            environment.describe(kind, task.config) for kind in dict.fromkeys(device.type for device in found)
        ),
    )
    return [_encode(described)]


def _prepare(task: Task, _: bytes, __: Send) -> Iterable[bytes]:
    from loopbench_server.engine.preparation import prepare  # noqa: PLC0415  only in the worker

    prepare(task.config)
    return [_encode(Prepared())]


def _train(task: Task, _: bytes, send: Send) -> Iterable[bytes]:
    from loopbench_server.engine.training import train  # noqa: PLC0415  only in the worker

    assert task.spec is not None
    result, weights = train(
        task.spec,
        task.config,
        log_dir=task.config.log_dir(task.run_id) if task.spec.tensorboard else None,
        on_phase=lambda phase: send(PhaseBegan(phase=phase, time=time.time())),
        on_progress=lambda progress: send(Progressed(progress=progress)),
        on_epoch=lambda record: send(EpochEnded(record=record)),
    )
    notes = tuple(redact_paths(note, *_private_folders(task)) for note in result.notes)
    return [_encode(Trained(result=result.model_copy(update={"notes": notes}))), pack(weights)]


def _evaluate(task: Task, weights: bytes, _: Send) -> Iterable[bytes]:
    from loopbench_server.engine.evaluation import evaluate  # noqa: PLC0415  only in the worker
    from loopbench_server.engine.networks import weights_digest  # noqa: PLC0415  only in the worker

    assert task.spec is not None
    arrays = unpack(weights)
    if weights_digest(arrays) != task.weights_digest:
        raise WeightsCorruptError("the stored weights differ from the run's final weights")
    evaluation = evaluate(task.run_id, task.spec, arrays, task.config)
    return [_encode(Evaluated(evaluation=evaluation))]


def _diagnose(task: Task, _: bytes, __: Send) -> Iterable[bytes]:
    from loopbench_server.engine.diagnosis import diagnose  # noqa: PLC0415  only in the worker

    assert task.spec is not None
    assert task.second is not None
    diagnosis = diagnose(task.spec, task.second, task.config, task.divergences)
    return [_encode(Diagnosed(diagnosis=diagnosis))]


# Each returns the frames that end the task.
HANDLERS: dict[str, Callable[[Task, bytes, Send], Iterable[bytes]]] = {
    "describe": _describe,
    "prepare": _prepare,
    "train": _train,
    "evaluate": _evaluate,
    "diagnose": _diagnose,
}


def _exit_with_server(task_pipe: Connection) -> None:
    """End the process when the server's end of ``task_pipe`` closes, however the server died."""
    closed = select.poll()
    closed.register(task_pipe.fileno(), 0)  # a task does not wake it

    def wait() -> None:
        closed.poll()
        os._exit(EXIT_ORPHANED)

    threading.Thread(target=wait, daemon=True, name="lifeline").start()


def main(task_pipe: Connection, message_pipe: Connection) -> None:
    """Run the task that arrives over ``task_pipe``, with packed weights, which are empty except for EVALUATE.

    After PREPARE, the process waits for another task as a standby worker. Messages go to ``message_pipe``. The server
    closes its end of ``task_pipe`` only when the server ends.
    """
    stop_signals.ignore()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # standard output is reserved for the server's address
    process_name.set_own(process_name.STANDBY)
    os.nice(NICENESS)
    _prefer_for_oom_kill()
    _exit_with_server(task_pipe)
    try:
        task, weights = _receive(task_pipe)
        if task.kind == "prepare":
            _run(task, weights, message_pipe)
            task, weights = _receive(task_pipe)
    except (EOFError, BrokenPipeError):
        os._exit(EXIT_ORPHANED)
    process_name.set_own(process_name.WORKER)
    _run(task, weights, message_pipe)
    message_pipe.close()


def _receive(task_pipe: Connection) -> tuple[Task, bytes]:
    task, weights = task_pipe.recv_bytes(), task_pipe.recv_bytes()
    return Task.model_validate_json(task), weights


def _run(task: Task, weights: bytes, message_pipe: Connection) -> None:
    def send(message: Message) -> None:
        message_pipe.send_bytes(_encode(message))

    send(Started(monotonic=time.monotonic()))
    try:
        # The server may kill the process after the last frame, so everything else comes before.
        with scratch():
            xla_cache.enable()
            frames = HANDLERS[task.kind](task, weights, send)
        for frame in frames:
            message_pipe.send_bytes(frame)
    except LoopbenchServerError as error:
        details = traceback.format_exc() if isinstance(error, MACHINE_ERRORS) else ""
        send(Failed(reason=error.reason, message=make_message(str(error)), traceback=details))
    except Exception as error:  # noqa: BLE001  the server logs it and fails the run
        message = make_message(f"{type(error).__name__}: {error}", *_private_folders(task))
        send(Failed(reason=RunFailedError.reason, message=message, traceback=traceback.format_exc()))


def _prefer_for_oom_kill() -> None:
    """Make Linux kill this process before any other of the server where memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE_ADJ)


def _private_folders(task: Task) -> tuple[str, ...]:
    """Return folders that an error may name: those of the code, the temporary folder and the configured folders."""
    config = task.config
    given = (tempfile.tempdir, config.data_dir, config.tensorboard_dir, config.log_dir(task.run_id))
    return (sys.prefix, sys.base_prefix, *(str(path) for path in given if path))
