"""What workers can do on this machine, asked of one of them: the server itself never imports TensorFlow."""

import asyncio

import structlog

from loopbench_server.errors import LoopbenchServerError
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.pool import WorkerDiedError, WorkerPool, read_final_message
from loopbench_server.workers.protocol import Described, Task

log = structlog.get_logger()

RETRY_INTERVAL_SECONDS = 5.0
# Of a process that starts and gives no answer.
RESPONSE_TIMEOUT_SECONDS = 120.0


async def describe(pool: WorkerPool, config: WorkerConfig) -> Described:
    """Versions, devices and datasets, once a worker has answered; tries until one does."""
    task = Task(kind="describe", config=config)
    while True:
        try:
            async with pool.run(task) as worker, asyncio.timeout(RESPONSE_TIMEOUT_SECONDS):
                message = await read_final_message(worker)
        except TimeoutError:
            log.error("the training process does not answer", seconds=RESPONSE_TIMEOUT_SECONDS)  # noqa: TRY400  as below
        except (LoopbenchServerError, WorkerDiedError) as error:
            log.error("the training process does not start", error=str(error))  # noqa: TRY400  no traceback is of use
        except Exception:
            log.exception("the training process does not start")
        else:
            if isinstance(message, Described):
                return message
            log.error("the training process does not start", answer=message.model_dump())
        await asyncio.sleep(RETRY_INTERVAL_SECONDS)
