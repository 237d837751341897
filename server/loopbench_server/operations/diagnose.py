"""Diagnoses two specifications, or the specifications of two runs."""

from loopbench.spec import Diagnosis, DiagnosisRequest, DiagnosisSubject, Divergence, Run, RunSpec
from loopbench_server.blocking import run_blocking
from loopbench_server.errors import RunNotFoundError, RunUnreadableError
from loopbench_server.operations.task_runner import TaskRunner
from loopbench_server.operations.verify import Verifier
from loopbench_server.store.store import Store
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.protocol import Diagnosed, Task


class Diagnoser:
    """Runs the experiments in a worker process and, on request, verifies the fixes."""

    def __init__(self, store: Store, tasks: TaskRunner, verifier: Verifier, config: WorkerConfig) -> None:
        self._store = store
        self._tasks = tasks
        self._verifier = verifier
        self._config = config

    async def diagnose(self, request: DiagnosisRequest, caller: str) -> Diagnosis:
        """Return the diagnosis. If the ``caller`` leaves, the process and the runs for verification are ended.

        Raises:
            RunNotFoundError: no run has an id of the request.
            QueueFullError: no more diagnoses may wait.
            LoopbenchServerError: the error of the process, or of a run for verification.
        """
        subjects = (request.first, request.second)
        (first, one), (second, other) = [await run_blocking(self._resolve, subject) for subject in subjects]
        task = Task(
            kind="diagnose",
            config=self._config,
            spec=first,
            second=second,
            divergences=(one, other),
        )
        async with self._tasks.slot():
            diagnosis = (await self._tasks.run(task, Diagnosed)).diagnosis
        if not request.verify:
            return diagnosis
        return await self._verifier.verify(diagnosis, request.seeds, caller)

    def _resolve(self, subject: DiagnosisSubject) -> tuple[RunSpec, Divergence | None]:
        """Return the specification, and where a whole run of it diverged: the named run, or the last one."""
        if subject.spec is None:
            assert subject.run_id is not None
            run = self._store.get(subject.run_id)
            return run.spec, _divergence(run)
        try:
            return subject.spec, _divergence(self._store.find_latest_success(subject.spec))
        except (RunNotFoundError, RunUnreadableError):
            return subject.spec, None


def _divergence(run: Run) -> Divergence | None:
    return run.result.diverged if run.result else None
