"""Program of the forkserver: imports TensorFlow once, then forks one worker process per request.

The server sends requests over a socket without a path: one byte, with the read end of the worker's task pipe and the
write end of its message pipe. The forkserver responds with the worker's process id, or with a negative errno where the
machine refuses a process. To a ping, which is another byte, it responds with its own process id. It ends when the
server's end of the socket closes, however the server died.
"""

import os
import selectors
import signal
import socket
import struct
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn, Self

from loopbench_server.workers import stop_signals

# One per request, and one with the forkserver's own process id after the imports.
RESPONSE = struct.Struct("q")
REQUEST, PING = b"f", b"p"
PIPES = 2


def main(control_fd: int, data_dir: str | None) -> None:
    """Serve requests until the server closes ``control_fd``; ``data_dir`` is the folder to search for MNIST first."""
    stop_signals.ignore()
    from loopbench_server.workers.preload import preload  # noqa: PLC0415  the server imports this module too

    preload(Path(data_dir) if data_dir else None)

    with socket.socket(fileno=control_fd) as control, _Children() as children:
        _respond(control, os.getpid())
        with selectors.DefaultSelector() as selector:
            selector.register(control, selectors.EVENT_READ)
            selector.register(children.ended, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if children.ended in ready:
                    children.reap()
                if control in ready and not _handle_request(control):
                    _exit()


def _exit() -> NoReturn:
    from loopbench_server.workers import xla_cache  # noqa: PLC0415  already imported

    xla_cache.remove()
    # The interpreter needs seconds to unload TensorFlow.
    os._exit(0)


class _Children:
    """Reaps worker processes as they end, so that the system adds up their processor time."""

    def __enter__(self) -> Self:
        self.ended, self._wake = socket.socketpair()
        for end in (self.ended, self._wake):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def reap(self) -> None:
        self.ended.recv(4096)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        self.ended.close()
        self._wake.close()


def _handle_request(control: socket.socket) -> bool:
    """Fork for one request; return False once the server has closed its end."""
    request, pipes, _, _ = socket.recv_fds(control, len(REQUEST), PIPES)
    if not request:
        return False
    if request == PING:
        _respond(control, os.getpid())
        return True
    try:
        pid = os.fork()
    except OSError as error:
        pid = -(error.errno or 1)
    if pid == 0:
        _run_worker(control, *pipes)
    for pipe in pipes:
        os.close(pipe)
    _respond(control, pid)
    return True


def _respond(control: socket.socket, response: int) -> None:
    with suppress(BrokenPipeError):  # the server is gone; the forkserver and its workers will end
        control.sendall(RESPONSE.pack(response))


def _run_worker(control: socket.socket, task_pipe: int, message_pipe: int) -> NoReturn:
    """Run a worker in the forked process."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        from loopbench_server.workers import process  # noqa: PLC0415  already imported, unless its import fails

        process.main(Connection(task_pipe, writable=False), Connection(message_pipe, readable=False))
        code = 0
    except BaseException:  # noqa: BLE001  the worker must not return to the forkserver's code
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
