"""Inside a worker process: one task from start to end, told to the server over a pipe.

The engine is imported here and nowhere else on the server; the forkserver has it loaded before the fork.
"""

import io
import os
import signal
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
from loopbench_server.runs import compiled
from loopbench_server.runs.messages import (
    Described,
    Diagnosed,
    EpochEnded,
    Evaluated,
    Failed,
    Message,
    PhaseBegan,
    Progressed,
    Started,
    Task,
    Trained,
)
from loopbench_server.runs.redaction import without_paths
from loopbench_server.runs.scratch import scratch

if TYPE_CHECKING:
    from loopbench_server.engine.training import Surroundings, Weights

# Training yields to the server, so that it answers under load.
NICENESS = 10
# The largest that Linux knows.
FIRST_TO_BE_KILLED = "1000"
EXIT_ORPHANED = 70
# Characters of an error that are stored and told; TensorFlow's may run to many kilobytes. The log has the traceback.
LONGEST_MESSAGE = 2_000

# Errors whose details are in the log, where callers see no path.
FAULTS_OF_THE_MACHINE = (TemporaryFolderError, TensorBoardFullError, TensorBoardNotWritableError)

Send = Callable[[Message], None]


def pack(weights: "Weights") -> bytes:
    """The arrays, in order, as the bytes of an ``.npz`` file."""
    buffer = io.BytesIO()
    np.savez(buffer, *weights)
    return buffer.getvalue()


def unpack(packed: bytes) -> "Weights":
    """The arrays that :func:`pack` packed.

    Raises:
        WeightsCorruptError: these bytes are not what it made.
    """
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
            return [archive[name] for name in archive.files]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsCorruptError(f"the stored weights cannot be read: {error}") from error


def shortened(message: str) -> str:
    """``message``, of which no more than the beginning is kept where it is very long."""
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}..."


def _surroundings(task: Task) -> "Surroundings":
    from loopbench_server.engine.training import Surroundings  # noqa: PLC0415  only in the worker

    return Surroundings(threads=task.threads, data_dir=task.data_dir, tensorboard_dir=task.tensorboard_dir)


def _frame(message: Message) -> bytes:
    return message.model_dump_json().encode()


def _describe(task: Task, _: bytes, __: Send) -> Iterable[bytes]:
    from loopbench_server.engine import data, devices, environment  # noqa: PLC0415  only in the worker

    described = Described(
        versions=environment.versions(), devices=devices.list_devices(), datasets=data.describe(task.data_dir)
    )
    return [_frame(described)]


def _train(task: Task, _: bytes, send: Send) -> Iterable[bytes]:
    from loopbench_server.engine.training import train  # noqa: PLC0415  only in the worker

    assert task.spec is not None
    result, weights = train(
        task.spec,
        _surroundings(task),
        on_phase=lambda phase: send(PhaseBegan(phase=phase, time=time.time())),
        on_progress=lambda progress: send(Progressed(progress=progress)),
        on_epoch=lambda record: send(EpochEnded(record=record)),
    )
    return [_frame(Trained(result=result)), pack(weights)]


def _evaluate(task: Task, weights: bytes, _: Send) -> Iterable[bytes]:
    from loopbench_server.engine.evaluation import evaluate  # noqa: PLC0415  only in the worker
    from loopbench_server.engine.model import weights_digest  # noqa: PLC0415  only in the worker

    assert task.spec is not None
    arrays = unpack(weights)
    if weights_digest(arrays) != task.weights_digest:
        raise WeightsCorruptError("the stored weights are not those that the run ended with")
    evaluation = evaluate(task.run_id, task.spec, arrays, _surroundings(task))
    return [_frame(Evaluated(evaluation=evaluation))]


def _diagnose(task: Task, _: bytes, __: Send) -> Iterable[bytes]:
    from loopbench_server.engine.diagnosis import diagnose  # noqa: PLC0415  only in the worker

    assert task.spec is not None
    assert task.second is not None
    diagnosis = diagnose(task.spec, task.second, _surroundings(task), task.divergences)
    return [_frame(Diagnosed(diagnosis=diagnosis))]


# What each gives are the frames that end the task.
HANDLERS: dict[str, Callable[[Task, bytes, Send], Iterable[bytes]]] = {
    "describe": _describe,
    "train": _train,
    "evaluate": _evaluate,
    "diagnose": _diagnose,
}


def _die_with_the_server(orders: Connection) -> None:
    """Wait for the server's end of ``orders`` to close, however the server died, and end the process."""

    def wait() -> None:
        orders.poll(None)
        os._exit(EXIT_ORPHANED)

    threading.Thread(target=wait, daemon=True, name="lifeline").start()


def main(orders: Connection, answers: Connection) -> None:
    """Work on the task that comes over ``orders``, with packed weights, which are empty unless the task is EVALUATE.

    Messages go to ``answers``. The server closes its end of ``orders`` only when it ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the server's standard output is for its address alone
    os.nice(NICENESS)
    _be_the_first_to_be_killed()
    try:
        task_json, weights = orders.recv_bytes(), orders.recv_bytes()
    except EOFError:
        os._exit(EXIT_ORPHANED)
    _die_with_the_server(orders)

    def send(message: Message) -> None:
        answers.send_bytes(_frame(message))

    send(Started(monotonic=time.monotonic()))
    task = Task.model_validate_json(task_json)
    try:
        # The server may end the process as soon as it has the last frame, so everything else comes before.
        with scratch():
            compiled.share()
            frames = HANDLERS[task.kind](task, weights, send)
        for frame in frames:
            answers.send_bytes(frame)
    except LoopbenchServerError as error:
        details = traceback.format_exc() if isinstance(error, FAULTS_OF_THE_MACHINE) else ""
        send(Failed(reason=error.reason, message=shortened(str(error)), traceback=details))
    except Exception as error:  # noqa: BLE001  told to the server, which logs it and fails the run
        message = without_paths(f"{type(error).__name__}: {error}", *_folders(task))
        send(Failed(reason=RunFailedError.reason, message=shortened(message), traceback=traceback.format_exc()))
    answers.close()


def _be_the_first_to_be_killed() -> None:
    """Where memory runs out, Linux kills this process and no other of the server's."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_BE_KILLED)


def _folders(task: Task) -> tuple[str, ...]:
    """Folders that an error may name: where its code is, where it works, and what it was given."""
    given = (tempfile.tempdir, task.data_dir, task.tensorboard_dir)
    return (sys.prefix, sys.base_prefix, *(str(path) for path in given if path))
