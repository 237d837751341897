import asyncio
import gc
import threading
from typing import Any

import pytest

from loopbench_server.blocking import run_blocking


async def test_run_blocking_returns_the_result_and_raises_the_error() -> None:
    assert await run_blocking(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await run_blocking(divmod, 7, 0)


async def test_a_cancelled_call_waits_and_its_error_is_not_reported() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    begun, may_end = threading.Event(), threading.Event()

    def fail() -> None:
        begun.set()
        may_end.wait()
        raise ValueError("nobody hears this")

    call = asyncio.create_task(run_blocking(fail))
    await asyncio.to_thread(begun.wait)
    for _ in range(3):
        call.cancel()
        await asyncio.sleep(0)
    assert not call.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    del call
    await asyncio.to_thread(gc.collect)
    assert reported == []
