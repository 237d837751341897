"""The first layer that differs, of calls that are written out by hand."""

from typing import Any

import numpy as np
import pytest

from loopbench_diagnose.findings import multiple
from loopbench_diagnose.layer_outputs import first_difference, records
from loopbench_diagnose.trace import Call, LayerOutput

KEYS = [b"a", b"b", b"c"]
HIDDEN = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
# Another sample in every row, and two time steps of every sample.
FOLDED = np.arange(6.0)[:, None]
# Of the second side's order: b, c, a.
TURNED = [1, 2, 0]


def called(layers: list[LayerOutput], rows: list[bytes] = KEYS) -> Call:
    outputs = layers[-1].outputs[0]
    return Call(rows, np.zeros((3, 1)), outputs, training=True, taped=True, steps_before=0, layers=layers)


def layer(outputs: Any, kind: str = "Dense", **config: Any) -> LayerOutput:
    return LayerOutput(kind.lower(), kind, {"trainable": True, **config}, [outputs])


def turned(*layers: LayerOutput) -> Call:
    return called(list(layers), [KEYS[place] for place in TURNED])


def test_samples_in_another_order_are_no_difference() -> None:
    first = called([layer(HIDDEN), layer(2 * HIDDEN)])
    second = turned(layer(HIDDEN[TURNED]), layer(2 * HIDDEN[TURNED]))
    assert first_difference(first, second) is None
    assert [record.difference for record in records(first, second)] == [0, 0]


def test_the_first_layer_that_differs_where_the_sides_shuffle() -> None:
    first = called([layer(HIDDEN), layer(HIDDEN, "Activation", activation="relu")])
    second = turned(layer(HIDDEN[TURNED]), layer(3 * HIDDEN[TURNED], "Activation", activation="elu"))
    found = first_difference(first, second)
    assert found is not None
    assert found.title == "the first layer with other outputs is Activation activation (activation relu and elu)"
    same, other = records(first, second)
    assert same.difference == 0
    # 2 · |HIDDEN| over the larger of both, 3 · |HIDDEN|.
    assert other.difference == pytest.approx(2 / 3)


def test_outputs_with_time_steps_in_the_first_axis() -> None:
    pairs = FOLDED.reshape(3, 2, 1)[TURNED].reshape(6, 1)
    assert first_difference(called([layer(FOLDED)]), turned(layer(pairs))) is None
    assert first_difference(called([layer(FOLDED)]), turned(layer(pairs + 1))) is not None


@pytest.mark.parametrize(("frozen", "side"), [((True, False), "first"), ((False, True), "second")])
def test_a_batch_normalization_that_one_side_freezes(frozen: tuple[bool, bool], side: str) -> None:
    first, second = (
        called([layer(HIDDEN + place, "BatchNormalization", trainable=not still)]) for place, still in enumerate(frozen)
    )
    found = first_difference(first, second)
    assert found is not None
    assert f"is frozen (trainable=False) on the {side} side alone" in found.title
    assert "inference mode" in found.title
    assert "trainable" in found.fix


def test_a_layer_that_is_frozen_and_has_another_option() -> None:
    first = called([layer(HIDDEN, rate=0.2, trainable=False)])
    found = first_difference(first, called([layer(HIDDEN + 1, rate=0.8)]))
    assert found is not None
    assert "(rate 0.2 and 0.8)" in found.title
    assert "frozen" not in found.title


def test_an_infinite_distance_is_no_figure() -> None:
    assert multiple(float("inf")) == "an infinite multiple of"
    assert multiple(0.123) == "0.12 times"
