"""The diagnosis as an assertion of a test suite."""

import warnings
from typing import Any

from loopbench_diagnose.diagnosing import SAMPLES, diagnose
from loopbench_diagnose.loops import Loop
from loopbench_diagnose.side import Factory, Side


def assert_same_training(
    build_model: Factory,
    data: Any,
    first: Loop | Side,
    second: Loop | Side,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> None:
    """Raises an ``AssertionError`` if two ways of training the same model end, or report, differently.

    The arguments are those of :func:`diagnose`. Differences within rounding pass. A ``UserWarning`` names the
    experiments that failed, if no cause was found.

    Raises:
        AssertionError: at least one cause was found; the message describes all of them.
    """
    __tracebackhide__ = True  # pytest shows the line that called this function
    diagnosis = diagnose(build_model, data, first, second, samples=samples, seed=seed)
    if diagnosis.causes:
        raise AssertionError(diagnosis.describe())
    if diagnosis.not_tested:
        stated = "\n".join(diagnosis.not_tested)
        warnings.warn(f"no cause was found, but the diagnosis is incomplete:\n{stated}", stacklevel=2)
