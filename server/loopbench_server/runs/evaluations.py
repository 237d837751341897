"""Evaluates stored weights, each time in a process of its own."""

import asyncio

from loopbench.spec import Evaluation, EvaluationRequest, Run
from loopbench_server.errors import RunFailedError, WeightsNotStoredError, WorkerLostError, from_reason
from loopbench_server.runs.attempt import Surroundings
from loopbench_server.runs.messages import Evaluated, Failed, Task
from loopbench_server.runs.processes import Processes, WorkerDiedError, closing_message
from loopbench_server.runs.store import Store
from loopbench_server.runs.threads import in_thread


class Evaluations:
    """As many at once as there are slots for runs, beside them: an evaluation takes seconds and need not queue."""

    def __init__(self, store: Store, processes: Processes, slots: int, surroundings: Surroundings) -> None:
        self._store = store
        self._processes = processes
        self._slots = asyncio.Semaphore(slots)
        self._surroundings = surroundings

    async def evaluate(self, request: EvaluationRequest) -> Evaluation:
        """The figures that ``request`` asks for; when the caller goes away, its process is ended.

        Raises:
            RunNotFoundError: no such run, or none of the specification that succeeded.
            WeightsNotStoredError: the run has no weights.
            LoopbenchServerError: what the process ended with.
        """
        run = await in_thread(self._find, request)
        weights = await in_thread(self._store.weights_of, run.id)
        if weights is None:
            raise WeightsNotStoredError(f"run {run.id} is {run.state} and has no weights", run_id=run.id)
        wanted = request.model_dump(include={"method", "loss", "meter"}, exclude_none=True)
        task = Task(
            kind="evaluate",
            threads=self._surroundings.threads,
            data_dir=self._surroundings.data_dir,
            run_id=run.id,
            spec=run.spec.model_copy(update=wanted),
        )
        async with self._slots, self._processes.run(task, weights) as worker:
            try:
                message = await closing_message(worker)
            except WorkerDiedError as error:
                raise WorkerLostError(str(error), run_id=run.id) from error
        match message:
            case Evaluated():
                return message.evaluation
            case Failed():
                raise from_reason(message.reason)(message.message, run_id=run.id)
        raise RunFailedError(f"an evaluation does not answer {message.kind}", run_id=run.id)

    def _find(self, request: EvaluationRequest) -> Run:
        if request.spec is not None:
            return self._store.latest_success(request.spec)
        assert request.run_id is not None
        return self._store.get(request.run_id)
