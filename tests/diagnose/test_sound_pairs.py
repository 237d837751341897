"""Nothing is reported of two loops that are both right, however differently they are written."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from loopbench_diagnose import diagnose
from loopbench_diagnose.loops import Loop

from .sound_kinds import KINDS
from .sound_loops import LOOPS
from .sound_models import Problem
from .sound_problems import PROBLEMS
from .sound_variants import VARIANTS

# Keras turns variables into arrays in a way that NumPy deprecates, where it saves a model.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "sgd": lambda: keras.optimizers.SGD(0.05),
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
}
# Problem, first side, second side, optimizer, batch size: every problem, loop and optimizer is in it.
MATRIX = (
    ("dense", "fit", "fit", "sgd", 16),
    ("dense", "fit", "fit_eagerly", "momentum", 8),
    ("three_outputs", "fit", "train_on_batch", "rmsprop", 16),
    ("logits", "fit", "custom_step", "adamw", 16),
    ("sigmoid", "tape", "tape_graph", "adam", 16),
    ("conv2d", "fit", "tf_data", "adam", 16),
    ("conv2d", "fit", "custom_step", "sgd", 32),
    ("augmented", "fit", "tape", "momentum", 16),
    ("conv1d", "fit", "tf_data", "momentum", 16),
    ("lstm", "fit", "tape_graph", "adam", 32),
    ("gru", "tape", "indexed", "rmsprop", 32),
    ("attention", "fit", "indexed", "adamw", 16),
    ("noise", "fit", "tape", "sgd", 16),
    ("l2", "fit", "tf_data", "adam", 16),
    ("regularized", "fit", "tf_data", "sgd", 16),
    ("regularized", "fit", "custom_step", "adam", 8),
    ("two_outputs_dict", "fit", "tf_data", "sgd", 16),
    ("two_outputs_list", "fit", "tape_graph", "adam", 16),
    ("two_inputs", "fit", "indexed", "sgd", 16),
    ("subclassed", "fit", "tape_graph", "momentum", 16),
    ("add_loss", "fit", "tf_data", "sgd", 16),
    ("frozen", "fit", "custom_step", "adam", 16),
    ("dead", "fit", "tape_graph", "adam", 16),
    ("sequence", "fit", "tf_data", "sgd", 16),
    ("segmentation", "fit", "indexed", "adam", 16),
    ("deep", "fit", "tf_data", "adam", 16),
    ("constrained", "fit", "tape_graph", "momentum", 16),
    ("no_gradient", "fit", "tape", "adam", 16),
    ("equal_samples", "fit", "tf_data", "sgd", 8),
    ("mixed_bfloat16", "fit", "tape_graph", "adam", 16),
    ("mixed_float16", "fit", "tf_data", "adam", 16),
    ("mixed_float16", "fit", "custom_step", "sgd", 16),
)
DRAWS = 34
# The pairs of the quick tier: a dense, a convolutional and a recurrent model, a graph and a custom step.
QUICK = {
    ("dense", "fit", "fit", "sgd", 16),
    ("logits", "fit", "custom_step", "adamw", 16),
    ("sigmoid", "tape", "tape_graph", "adam", 16),
    ("conv2d", "fit", "tf_data", "adam", 16),
    ("gru", "tape", "indexed", "rmsprop", 32),
}


def _drawn() -> list[tuple[str, str, str, str, int]]:
    """Pairs of the whole cross, the same in every run."""
    generator = np.random.default_rng(1)
    # The recurrent ones take their time.
    problems = [name for name in PROBLEMS if name not in ("lstm", "gru")]
    return [
        (
            str(generator.choice(problems)),
            *(str(name) for name in generator.choice(list(LOOPS), size=2, replace=False)),
            str(generator.choice(list(OPTIMIZERS))),
            int(generator.integers(3, 40)),
        )  # type: ignore[misc]
        for _ in range(DRAWS)
    ]


def _assert_sound(problem: Problem, first: Loop, second: Loop) -> None:
    if problem.float16:
        keras.config.set_dtype_policy("mixed_float16")
    assert diagnose(problem.build, problem.data, first, second).causes == ()


def _tiered() -> list[Any]:
    return [pytest.param(*row, marks=() if row in QUICK else pytest.mark.slow) for row in MATRIX]


@pytest.mark.parametrize(("name", "first", "second", "optimizer", "size"), _tiered())
def test_nothing_is_told_of_two_right_loops(name: str, first: str, second: str, optimizer: str, size: int) -> None:
    problem, make = PROBLEMS[name](), OPTIMIZERS[optimizer]
    _assert_sound(problem, LOOPS[first](problem, make, size), LOOPS[second](problem, make, size))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "first", "second", "optimizer", "size"), _drawn())
def test_nothing_is_told_of_pairs_drawn(name: str, first: str, second: str, optimizer: str, size: int) -> None:
    problem, make = PROBLEMS[name](), OPTIMIZERS[optimizer]
    _assert_sound(problem, LOOPS[first](problem, make, size), LOOPS[second](problem, make, size))


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_is_told_of_another_way_of_writing(name: str) -> None:
    _assert_sound(*VARIANTS[name]())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_reported_of_a_kind_of_training(name: str) -> None:
    (build, data), first, second = KINDS[name]()
    diagnosis = diagnose(build, data, first, second)
    assert diagnosis.causes == ()
    assert diagnosis.not_tested == ()


def test_every_problem_and_loop_and_optimizer_is_tried() -> None:
    assert {row[0] for row in MATRIX} == set(PROBLEMS)
    assert {name for row in MATRIX for name in row[1:3]} == set(LOOPS)
    assert {row[3] for row in MATRIX} == set(OPTIMIZERS)
    assert set(MATRIX) >= QUICK
