"""Training methods, one per module, and their table."""

from loopbench.spec import Method
from loopbench_server.engine.methods.base import TrainingMethod
from loopbench_server.engine.methods.custom_train_step import CustomTrainStep
from loopbench_server.engine.methods.fit import Fit
from loopbench_server.engine.methods.gradient_tape import GradientTape

METHODS: dict[Method, type[TrainingMethod]] = {
    Method.GRADIENT_TAPE: GradientTape,
    Method.FIT: Fit,
    Method.CUSTOM_TRAIN_STEP: CustomTrainStep,
}

__all__ = ["METHODS", "TrainingMethod"]
