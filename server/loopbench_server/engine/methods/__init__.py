"""Training methods, one per module, and their table."""

from loopbench.spec import Method
from loopbench_server.engine.job import Job
from loopbench_server.engine.methods.base import TrainingMethod
from loopbench_server.engine.methods.custom_train_step import CustomTrainStep
from loopbench_server.engine.methods.fit import Fit
from loopbench_server.engine.methods.gradient_tape import GradientTape
from loopbench_server.engine.notes import Notes
from loopbench_server.errors import ExecutionNotAvailableError

METHODS: dict[Method, type[TrainingMethod]] = {
    Method.GRADIENT_TAPE: GradientTape,
    Method.FIT: Fit,
    Method.CUSTOM_TRAIN_STEP: CustomTrainStep,
}


def make_method(job: Job, notes: Notes) -> TrainingMethod:
    """Return the method of ``job``, once it is certain that it executes as the spec says.

    Raises:
        ExecutionNotAvailableError: TensorFlow or Keras uses another execution; ``notes`` have the reason.
    """
    method = METHODS[job.spec.method](job)
    if method.execution is not job.spec.execution:
        reason = " ".join(notes.texts) or "there is no warning with the reason"
        raise ExecutionNotAvailableError(
            f"{job.spec.execution} is required, and {job.spec.method} would execute by {method.execution}: {reason}"
        )
    return method


__all__ = ["METHODS", "TrainingMethod", "make_method"]
