"""Calls of gRPC that Ctrl-C does not interrupt halfway."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()


def uninterrupted(function: Callable[[], T]) -> T:
    """Return what ``function`` returns. KeyboardInterrupt ends the wait for it, but not the function.

    Python raises KeyboardInterrupt in the main thread only, between any two instructions. Where it hits the start of a
    stream or the request for its next message, gRPC miscounts its calls. Then the thread of the channel fails with a
    traceback, or ``Channel.close`` never returns (grpc/grpc#20026). So another thread calls the function.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()
    future: Future[T] = Future()
    threading.Thread(target=_settle, args=(future, function), daemon=True).start()
    return future.result()


def messages(stream: Any) -> Iterator[Any]:
    """The messages of a stream of gRPC; see :func:`uninterrupted`."""
    return iter(partial(uninterrupted, partial(next, stream, _END)), _END)


def _settle(future: Future[T], function: Callable[[], T]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # noqa: BLE001  # future.result() raises it
        future.set_exception(error)
