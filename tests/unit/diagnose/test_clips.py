"""Clips and loss scales by hand: both are found by what an optimizer is given of the tape's gradients."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from loopbench_diagnose import clips, handed_on, loss_scales
from loopbench_diagnose.clips import Clip
from loopbench_diagnose.trace import Call, Step, Trace, Update

Gradients = list[Any]
GENERATOR = np.random.default_rng(5)
# Lengths of a first variable that pass the limits below in some steps only, and a shorter second one.
TAPE: list[Gradients] = [
    [GENERATOR.normal(size=(3, 2)) * size, GENERATOR.normal(size=4) * 0.1] for size in (0.1, 0.2, 5, 0.3, 7, 0.15)
]


def trace(given: Sequence[Gradients], applied: Sequence[Gradients]) -> Trace:
    call = Call([b"a"], np.zeros((1, 1)), np.zeros((1, 1)), training=True, taped=True, steps_before=0)
    made = [
        Step(call, loss=1.0, loss_scale=1.0, gradients=[*before], applied=[*after], weights=[])
        for before, after in zip(given, applied, strict=True)
    ]
    updates = [Update([step], applied=dict(enumerate(step.applied or [])), complete=True) for step in made]
    return Trace(steps=made, updates_made=updates)


def times(factor: float, gradients: Sequence[Gradients] = TAPE) -> list[Gradients]:
    return [[factor * array for array in arrays] for arrays in gradients]


def together(arrays: Gradients, limit: float = 2.0) -> Gradients:
    length = np.sqrt(sum(float((array**2).sum()) for array in arrays))
    return [array * min(1.0, limit / length) for array in arrays]


def each(arrays: Gradients, limit: float = 2.0) -> Gradients:
    return [array * min(1.0, limit / float(np.sqrt((array**2).sum()))) for array in arrays]


def values(arrays: Gradients, limit: float = 1.0) -> Gradients:
    return [np.minimum(np.maximum(array, -limit), limit) for array in arrays]


CLIPS: dict[str, tuple[Callable[[Gradients], Gradients], float]] = {
    "global_clipnorm": (together, 2.0),
    "clipnorm": (each, 2.0),
    "clipvalue": (values, 1.0),
}


def test_every_way_is_tried() -> None:
    assert set(CLIPS) == set(clips.CLIPS)


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_is_recognized(name: str) -> None:
    clip, limit = CLIPS[name]
    found = clips.recognized(trace(TAPE, [clip(arrays) for arrays in TAPE]))
    assert found is not None
    assert found.name == name
    assert found.limit == pytest.approx(limit)


def test_what_is_no_clip() -> None:
    noisy = [[array + 0.1 for array in arrays] for arrays in TAPE]
    for applied in (TAPE, times(0.5), noisy):
        assert clips.recognized(trace(TAPE, applied)) is None


# Of three variables, the first two of one shape.
THREE: list[Gradients] = [[GENERATOR.normal(size=shape) for shape in ((3, 2), (3, 2), (4,))] for _ in range(4)]
NAMES = ("a", "b", "c")
HANDED_ON: dict[str, tuple[Callable[[Gradients], Gradients], str | None]] = {
    "as they are": (list, None),
    **{name: (clip, None) for name, (clip, _) in CLIPS.items()},
    # No clip of the table, but every value is nearer to zero.
    "tanh": (lambda arrays: [np.tanh(array) for array in arrays], None),
    "exchanged": (
        lambda arrays: [arrays[1], arrays[0], arrays[2]],
        "The second side applies the gradient of b to a, and 1 more",
    ),
    "multiplied": (
        lambda arrays: [arrays[0] * 0.1, arrays[1], arrays[2] * 3],
        "The second side multiplies the gradient of a by 0.1 and c by 3",
    ),
    "left out": (
        lambda arrays: [arrays[0], arrays[1] * 0, arrays[2]],
        "The second side multiplies the gradient of b by 0",
    ),
    "centralized": (
        lambda arrays: [array - array.mean(axis=0) for array in arrays],
        "The second side's optimizer receives other gradients than the tape computes",
    ),
}


@pytest.mark.parametrize("name", HANDED_ON)
def test_what_a_loop_hands_on_instead_of_a_clip(name: str) -> None:
    change, title = HANDED_ON[name]
    found = handed_on.explained(trace(THREE, [change(arrays) for arrays in THREE]), "second", NAMES)
    assert (found and found[0]) == title


SCALE = 1024.0
SOUND: dict[str, Callable[[Gradients], Gradients]] = {
    "no clip": list,
    **{name: clip for name, (clip, _) in CLIPS.items()},
    # Shorter than every gradient.
    "every gradient": lambda arrays: together(arrays, 0.01),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_scale_that_a_loop_takes_out_again(name: str) -> None:
    plain, scaled = trace(TAPE, TAPE), trace(times(SCALE), [SOUND[name](arrays) for arrays in TAPE])
    assert loss_scales.by_hand(plain, scaled, 1e-4) == pytest.approx((1, SCALE))
    assert loss_scales.by_hand(scaled, plain, 1e-4) == pytest.approx((SCALE, 1))


def test_both_sides_scale() -> None:
    one, other = trace(times(SCALE), TAPE), trace(times(128), TAPE)
    assert loss_scales.by_hand(one, other, 1e-4) == pytest.approx((SCALE, 128))


KEPT = {
    "a sum": times(3),
    "a clipped sum": [together(arrays) for arrays in times(3)],
}


@pytest.mark.parametrize("name", KEPT)
def test_a_scale_that_reaches_the_optimizer(name: str) -> None:
    assert loss_scales.by_hand(trace(TAPE, TAPE), trace(times(3), KEPT[name]), 1e-4) == (1, 1)


def test_a_sum_where_a_clip_hides_some_of_it() -> None:
    """All gradients of the sum are as long as the limit, but not all of the mean."""
    gradients = times(1000)
    given = [together(arrays) for arrays in gradients]
    assert loss_scales.by_hand(trace(TAPE, TAPE), trace(gradients, given), 1e-4) == (1, 1)


def test_a_factor_of_the_gradients_alone() -> None:
    assert loss_scales.by_hand(trace(TAPE, TAPE), trace(TAPE, times(0.001)), 1e-4) == (1, 1)


def test_a_division_by_the_size_of_the_batch() -> None:
    """The smaller last batch of two epochs is divided by less."""
    sizes = [16, 16, 7, 16, 16, 7]
    summed = [[size * array for array in arrays] for size, arrays in zip(sizes, TAPE, strict=True)]
    assert loss_scales.by_hand(trace(TAPE, TAPE), trace(summed, TAPE), 1e-4) == (1, 1)


def test_a_scale_is_taken_out() -> None:
    scaled = trace(times(SCALE), TAPE)
    loss_scales.divide(scaled, SCALE)
    (step, *_) = scaled.steps
    assert (step.loss, step.loss_scale) == (1 / SCALE, SCALE)
    for made, expected in zip(step.gradients or [], TAPE[0], strict=True):
        np.testing.assert_allclose(made, expected)


def test_a_clip_makes_gradients_of_its_limit() -> None:
    (made,) = Clip("global_clipnorm", 5.0).made([np.array([6.0, 8.0])])
    np.testing.assert_allclose(made, [3.0, 4.0])
