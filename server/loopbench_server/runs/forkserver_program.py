"""The program of the forkserver: imports TensorFlow once, then forks a worker process for every request.

The server asks over a socket without a path: one byte, and with it the read end of the worker's orders and the write
end of its answers. The forkserver answers with the worker's process id, or with a negative errno where the machine
refuses a process. To a byte that only asks for a sign of life it answers with its own process id. It ends when the
server closes its end, however the server died.
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
from typing import NoReturn, Self

# One per request, and one at the start, with the forkserver's own process id, once everything is imported.
ANSWER = struct.Struct("q")
REQUEST, PING = b"f", b"p"
PIPES = 2


def main(control_fd: int) -> None:
    """Serve requests until the server closes ``control_fd``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server decides
    import loopbench_server.runs.preload  # noqa: F401, PLC0415  the import is what it is for

    with socket.socket(fileno=control_fd) as control, _Children() as children:
        control.sendall(ANSWER.pack(os.getpid()))
        with selectors.DefaultSelector() as selector:
            selector.register(control, selectors.EVENT_READ)
            selector.register(children.ended, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if children.ended in ready:
                    children.reap()
                if control in ready and not _serve(control):
                    _end()


def _end() -> NoReturn:
    from loopbench_server.runs import compiled  # noqa: PLC0415  as it is imported by then

    compiled.remove()
    # The interpreter takes seconds to take TensorFlow apart.
    os._exit(0)


class _Children:
    """Reaps worker processes as they end, so that the system adds up the processor time that they used."""

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


def _serve(control: socket.socket) -> bool:
    """Fork for one request; False once the server has closed its end."""
    request, pipes, _, _ = socket.recv_fds(control, len(REQUEST), PIPES)
    if not request:
        return False
    if request == PING:
        control.sendall(ANSWER.pack(os.getpid()))
        return True
    try:
        pid = os.fork()
    except OSError as error:
        pid = -(error.errno or 1)
    if pid == 0:
        _work(control, *pipes)
    for pipe in pipes:
        os.close(pipe)
    with suppress(BrokenPipeError):  # the server is gone, and the worker ends by itself
        control.sendall(ANSWER.pack(pid))
    return True


def _work(control: socket.socket, orders: int, answers: int) -> NoReturn:
    """The worker's life, in the forked process."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        from loopbench_server.runs import worker  # noqa: PLC0415  imported before the fork, unless it cannot be

        worker.main(Connection(orders, writable=False), Connection(answers, readable=False))
        code = 0
    except BaseException:  # noqa: BLE001  nothing of the forkserver may run on in the worker
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
