"""Labels of samples, from what losses were given in a training."""

from typing import Any

import numpy as np

from loopbench_diagnose.given_labels import GivenLabels
from loopbench_diagnose.trace import Call, LossCall, Step, Trace


def loss(labels: Any) -> LossCall:
    return LossCall("mean_squared_error", {}, np.asarray(labels, np.float64), None, has_mask=False)


def call(rows: list[bytes], *losses: LossCall) -> Call:
    return Call(rows, None, None, training=True, taped=True, steps_before=0, losses=list(losses))


def trace(*steps: tuple[list[bytes], list[LossCall]], evaluations: tuple[Call, ...] = ()) -> Trace:
    made = [Step(call(rows), loss=0.0, loss_scale=1.0, losses=losses) for rows, losses in steps]
    return Trace(steps=made, evaluations=list(evaluations))


def test_labels_of_steps_and_evaluations_follow_the_samples() -> None:
    seen = trace(([b"a", b"b"], [loss([[1, 0], [0, 1]])]), evaluations=(call([b"c"], loss([[0.5, 0.5]])),))
    found = GivenLabels(seen).of([b"c", b"a", b"b"])
    np.testing.assert_array_equal(found, [[0.5, 0.5], [1, 0], [0, 1]])


def test_a_sample_that_no_loss_was_given_has_no_known_label() -> None:
    assert GivenLabels(trace(([b"a"], [loss([1])]))).of([b"a", b"b"]) is None


def test_a_sample_with_two_labels_has_no_known_one() -> None:
    seen = GivenLabels(trace(([b"a", b"b"], [loss([1, 2])]), ([b"a", b"b"], [loss([0, 2])])))
    assert seen.of([b"a"]) is None
    np.testing.assert_array_equal(seen.of([b"b"]), [2])


def test_several_losses_of_a_call_are_not_told_apart() -> None:
    assert GivenLabels(trace(([b"a"], [loss([1]), loss([2])]))).of([b"a"]) is None


def test_labels_of_another_number_of_samples_are_not_theirs() -> None:
    assert GivenLabels(trace(([b"a", b"b"], [loss([1])]))).of([b"a"]) is None
