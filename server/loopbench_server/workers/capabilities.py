"""Versions, devices and datasets of this machine, as a worker reports them: the server never imports TensorFlow."""

import asyncio

import structlog

from loopbench_server.errors import LoopbenchServerError
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.pool import WorkerPool
from loopbench_server.workers.protocol import Described, Task
from loopbench_server.workers.worker import WorkerDiedError, read_final_message

log = structlog.get_logger()

RETRY_INTERVAL_SECONDS = 5.0
# Time for a process that has started to respond.
RESPONSE_TIMEOUT_SECONDS = 120.0


async def describe(pool: WorkerPool, config: WorkerConfig) -> Described:
    """Return what a worker reports; retry until one does."""
    task = Task(kind="describe", config=config)
    while True:
        try:
            async with pool.run(task) as worker, asyncio.timeout(RESPONSE_TIMEOUT_SECONDS):
                message = await read_final_message(worker)
        except TimeoutError:
            log.error("worker process does not respond", seconds=RESPONSE_TIMEOUT_SECONDS)  # noqa: TRY400  as below
        except (LoopbenchServerError, WorkerDiedError) as error:
            log.error("worker process does not start", error=str(error))  # noqa: TRY400  a traceback would not help
        except Exception:
            log.exception("worker process does not start")
        else:
            if isinstance(message, Described):
                return message
            log.error("worker process does not start", response=message.model_dump())
        await asyncio.sleep(RETRY_INTERVAL_SECONDS)
