"""Evaluates stored weights."""

from loopbench.spec import Evaluation, EvaluationRequest, Run
from loopbench_server.blocking import in_thread
from loopbench_server.errors import WeightsNotStoredError
from loopbench_server.operations.task_runner import Questions
from loopbench_server.runs.attempt import Surroundings
from loopbench_server.runs.log_context import logged_as
from loopbench_server.store.store import Store
from loopbench_server.workers.protocol import Evaluated, Task


class Evaluations:
    """Finds the run and its weights, and has a process evaluate them."""

    def __init__(self, store: Store, questions: Questions, surroundings: Surroundings) -> None:
        self._store = store
        self._questions = questions
        self._surroundings = surroundings

    async def evaluate(self, request: EvaluationRequest) -> Evaluation:
        """The figures that ``request`` asks for; when the caller goes away, its process is ended.

        Raises:
            RunNotFoundError: no such run, or none of the specification that succeeded.
            WeightsNotStoredError: the run has no weights, or they are no longer kept.
            WeightsCorruptError: they are not those that the run ended with.
            QueueFullError: no more evaluations may wait.
            LoopbenchServerError: what the process ended with.
        """
        run = logged_as(await in_thread(self._find, request))
        if run.result is None:
            raise WeightsNotStoredError(f"run {run.id} is {run.state} and has no weights", run_id=run.id)
        wanted = request.model_dump(include={"method", "loss", "accuracy_metric"}, exclude_none=True)
        task = Task(
            kind="evaluate",
            threads=self._surroundings.threads,
            data_dir=self._surroundings.data_dir,
            run_id=run.id,
            # Given weights have the same figures on one device, and not every method distributes.
            spec=run.spec.model_copy(update={"replicas": 1, **wanted}),
            weights_digest=run.result.weights_digest,
        )
        # Those who wait do not hold a megabyte each.
        async with self._questions.turn():
            weights = await in_thread(self._store.weights_of, run.id)
            if weights is None:
                raise WeightsNotStoredError(f"the weights of run {run.id} are no longer kept", run_id=run.id)
            return (await self._questions.ask(task, Evaluated, weights, run_id=run.id)).evaluation

    def _find(self, request: EvaluationRequest) -> Run:
        if request.spec is not None:
            return self._store.latest_success(request.spec)
        assert request.run_id is not None
        return self._store.get(request.run_id)
