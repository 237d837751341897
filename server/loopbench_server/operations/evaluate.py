"""Evaluates stored weights."""

from loopbench.spec import Evaluation, EvaluationRequest, Run
from loopbench_server.blocking import run_blocking
from loopbench_server.errors import WeightsNotStoredError
from loopbench_server.operations.task_runner import TaskRunner
from loopbench_server.runs.log_context import bind_run_ids
from loopbench_server.store.store import Store
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.protocol import Evaluated, Task


class Evaluator:
    """Reads the run and its weights from the store, and evaluates the weights in a worker process."""

    def __init__(self, store: Store, tasks: TaskRunner, config: WorkerConfig) -> None:
        self._store = store
        self._tasks = tasks
        self._config = config

    async def evaluate(self, request: EvaluationRequest) -> Evaluation:
        """Return the evaluation that ``request`` asks for. If the caller leaves, its process is ended.

        Raises:
            RunNotFoundError: no run has this id, or no run of the specification succeeded.
            WeightsNotStoredError: the run has no weights, or they have been deleted.
            WeightsCorruptError: the stored weights differ from the run's final weights.
            QueueFullError: no more evaluations may wait.
            LoopbenchServerError: the error of the process.
        """
        run = bind_run_ids(await run_blocking(self._find, request))
        if run.result is None:
            raise WeightsNotStoredError(f"run {run.id} is {run.state} and has no weights", run_id=run.id)
        wanted = request.model_dump(include={"method", "loss", "accuracy_metric"}, exclude_none=True)
        task = Task(
            kind="evaluate",
            config=self._config,
            run_id=run.id,
            # The metrics of given weights do not depend on replicas, and not every method supports them.
            spec=run.spec.model_copy(update={"replicas": 1, **wanted}),
            weights_digest=run.result.weights_digest,
        )
        # Read within the slot, so that waiting callers do not hold a megabyte each.
        async with self._tasks.slot():
            weights = await run_blocking(self._store.get_weights, run.id)
            if weights is None:
                raise WeightsNotStoredError(f"the weights of run {run.id} have been deleted", run_id=run.id)
            return (await self._tasks.run(task, Evaluated, weights, run_id=run.id)).evaluation

    def _find(self, request: EvaluationRequest) -> Run:
        if request.spec is not None:
            return self._store.find_latest_success(request.spec)
        assert request.run_id is not None
        return self._store.get(request.run_id)
