"""Final weights of a run, for callers."""

from collections.abc import AsyncIterator

from loopbench.spec import RunState
from loopbench_server.blocking import run_blocking_read
from loopbench_server.errors import WeightsNotStoredError
from loopbench_server.runs.log_context import bind_run_ids
from loopbench_server.store.store import Store

# Of one message. gRPC's flow control holds a few of them per caller.
PART_BYTES = 64 << 10


async def read_weights(store: Store, run_id: str) -> AsyncIterator[bytes]:
    """Yield the packed weights in parts of at most PART_BYTES.

    Raises:
        RunNotFoundError: no run has this id.
        WeightsNotStoredError: the run has no weights, or they have been deleted.
    """
    packed = await run_blocking_read(_find, store, run_id)
    for start in range(0, len(packed), PART_BYTES):
        yield packed[start : start + PART_BYTES]


def _find(store: Store, run_id: str) -> bytes:
    packed = store.get_weights(run_id)
    if packed is not None:
        return packed
    run = bind_run_ids(store.get(run_id))
    if run.state is RunState.SUCCEEDED:
        raise WeightsNotStoredError(f"the weights of run {run_id} have been deleted", run_id=run_id)
    raise WeightsNotStoredError(f"run {run_id} is {run.state} and has no weights", run_id=run_id)
