"""Diagnoses two specifications, or those of two runs."""

from loopbench.spec import Diagnosis, DiagnosisRequest, DiagnosisSubject, RunSpec
from loopbench_server.analysis.verification import Verification
from loopbench_server.runs.attempt import Surroundings
from loopbench_server.runs.messages import Diagnosed, Task
from loopbench_server.runs.questions import Questions
from loopbench_server.runs.store import Store
from loopbench_server.runs.threads import in_thread


class Diagnoses:
    """Has a process make the experiments and, where asked for, trains with the fixes."""

    def __init__(
        self, store: Store, questions: Questions, verification: Verification, surroundings: Surroundings
    ) -> None:
        self._store = store
        self._questions = questions
        self._verification = verification
        self._surroundings = surroundings

    async def diagnose(self, request: DiagnosisRequest, caller: str) -> Diagnosis:
        """The causes; when ``caller`` goes away, the process and the runs, which are the caller's, are ended.

        Raises:
            RunNotFoundError: no such run.
            QueueFullError: no more diagnoses may wait.
            LoopbenchServerError: what the process, or a run that verifies, ended with.
        """
        first, second = [await in_thread(self._spec, subject) for subject in (request.first, request.second)]
        task = Task(
            kind="diagnose",
            threads=self._surroundings.threads,
            data_dir=self._surroundings.data_dir,
            spec=first,
            second=second,
        )
        async with self._questions.turn():
            diagnosis = (await self._questions.ask(task, Diagnosed)).diagnosis
        if not request.verify:
            return diagnosis
        return await self._verification.verified(diagnosis, request.seeds, caller)

    def _spec(self, subject: DiagnosisSubject) -> RunSpec:
        if subject.spec is not None:
            return subject.spec
        assert subject.run_id is not None
        return self._store.get(subject.run_id).spec
