"""Replays that are written out by hand: where two of them part."""

from typing import Any

import numpy as np
import pytest

from loopbench_diagnose.comparison import Comparison, distance
from loopbench_diagnose.probes.outside import average, moving_average
from loopbench_diagnose.trace import Call, Step, Trace, Update, combined

RATE = 0.1
KEYS = [[b"a", b"b"], [b"c", b"d"], [b"e", b"f"]]


def descent(gradients: Any, *, rate: float = RATE, rows: Any = KEYS, jump: Any = None) -> Trace:
    """Plain gradient descent from (1, 2); ``jump`` adds to the weights before an update, by its number."""
    weights, updates = np.array([1.0, 2.0]), []
    start = weights
    for number, gradient in enumerate(np.asarray(gradients, np.float64)):
        weights = weights + (jump or {}).get(number, 0.0)
        call = Call(rows[number], np.zeros((2, 1)), np.zeros((2, 1)), training=True, taped=True, steps_before=number)
        step = Step(call, loss=1.0, loss_scale=1.0, gradients=[gradient], weights=[weights])
        after = weights - rate * gradient
        updates.append(
            Update(
                [step],
                before=[weights],
                after=[after],
                state_before=[],
                state_after=[],
                applied={0: gradient},
                complete=True,
            )
        )
        weights = after
    steps = [update.steps[0] for update in updates]
    return Trace(steps=steps, updates_made=updates, start=[start], weights=[weights], epochs=1)


def compared(first: Trace, second: Trace) -> Comparison:
    return Comparison((first, second), ["w"], 1e-4, frozenset(key for rows in KEYS for key in rows))


GRADIENTS = [[1.0, 0.5], [0.5, 0.25], [0.25, 0.1]]


def test_equal_replays_do_not_part() -> None:
    comparison = compared(descent(GRADIENTS), descent(GRADIENTS))
    assert comparison.first is None
    assert comparison.distances == [0, 0, 0]


def test_a_gradient_of_the_second_update() -> None:
    other = [GRADIENTS[0], [0.5, 0.5], GRADIENTS[2]]
    found = compared(descent(GRADIENTS), descent(other)).first
    assert found is not None
    assert (found.update, found.place, found.variables) == (1, "gradient of the weights", ("w",))
    # Of (0.5, 0.25) and (0.5, 0.5): a quarter over the length of the first.
    assert found.size == pytest.approx(0.25 / np.hypot(0.5, 0.25))


def test_a_rate_shows_in_the_update() -> None:
    found = compared(descent(GRADIENTS), descent(GRADIENTS, rate=0.2)).first
    assert found is not None
    assert (found.update, found.place) == (0, "update")


def test_weights_that_jump() -> None:
    found = compared(descent(GRADIENTS), descent(GRADIENTS, jump={2: np.array([0.3, 0.0])})).first
    assert found is not None
    assert (found.update, found.place) == (2, "weights before")


def test_other_samples() -> None:
    found = compared(descent(GRADIENTS), descent(GRADIENTS, rows=[KEYS[0], KEYS[2], KEYS[1]])).first
    assert found is not None
    assert (found.update, found.place) == (1, "samples")


def test_rounding_is_no_difference() -> None:
    other = np.asarray(GRADIENTS) * (1 + 1e-7)
    assert compared(descent(GRADIENTS), descent(other)).first is None


def test_micro_batches_are_one_step() -> None:
    trace = descent(GRADIENTS[:2])
    one, other = trace.updates_made
    both = Update(
        [one.steps[0], other.steps[0]], before=one.before, after=other.after, applied={0: np.array([0.75, 0.375])}
    )
    trace.updates_made = [both]
    (step,) = combined(trace).steps
    assert step.call.rows == [*KEYS[0], *KEYS[1]]
    assert step.gradients is not None
    assert np.array_equal(step.gradients[0], [0.75, 0.375])
    # The applied gradient is half of the sum of both, and so is the loss.
    assert step.loss == pytest.approx(0.5 * 2)


def test_a_moving_average_is_recognized() -> None:
    trace = descent(GRADIENTS)
    path = [update.after for update in trace.updates_made if update.after is not None]
    # 0.9 · (0.9 · (0.9 · start + 0.1 · a) + 0.1 · b) + 0.1 · c
    expected = 0.729 * trace.start[0] + 0.081 * path[0][0] + 0.09 * path[1][0] + 0.1 * path[2][0]
    assert np.allclose(moving_average(path, 0.9, trace.start)[0], expected)
    assert average(trace, 3, [expected]) == "a moving average over updates of momentum 0.9, from the initial weights"
    assert average(trace, 3, [np.mean([arrays[0] for arrays in path], axis=0)]) == "the mean over 3 updates"
    assert average(trace, 3, [path[0][0]]) is None or "mean" not in str(average(trace, 3, [path[0][0]]))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([3.0, 4.0], [3.0, 4.0], 0.0),
        ([3.0, 4.0], [0.0, 0.0], 1.0),
        ([0.0], [0.0], 0.0),
        ([np.nan, 1.0], [np.nan, 1.0], 0.0),
    ],
)
def test_distances(first: Any, second: Any, expected: float) -> None:
    assert distance(np.array(first), np.array(second)) == pytest.approx(expected)
