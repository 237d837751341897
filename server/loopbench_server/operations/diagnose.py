"""Diagnoses two specifications, or those of two runs."""

from loopbench.spec import Diagnosis, DiagnosisRequest, DiagnosisSubject, Divergence, Run, RunSpec
from loopbench_server.blocking import run_blocking
from loopbench_server.errors import RunNotFoundError, RunUnreadableError
from loopbench_server.operations.task_runner import TaskRunner
from loopbench_server.operations.verify import Verifier
from loopbench_server.store.store import Store
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.protocol import Diagnosed, Task


class Diagnoser:
    """Has a process make the experiments and, where asked for, trains with the fixes."""

    def __init__(self, store: Store, tasks: TaskRunner, verifier: Verifier, config: WorkerConfig) -> None:
        self._store = store
        self._tasks = tasks
        self._verifier = verifier
        self._config = config

    async def diagnose(self, request: DiagnosisRequest, caller: str) -> Diagnosis:
        """The causes; when ``caller`` goes away, the process and the runs, which are the caller's, are ended.

        Raises:
            RunNotFoundError: no such run.
            QueueFullError: no more diagnoses may wait.
            LoopbenchServerError: what the process, or a run that verifies, ended with.
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
        """The specification, and where a whole run of it diverged: the one that is named, or the last."""
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
