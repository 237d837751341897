"""The execution of a run is verified, and no warning is only in a log."""

import logging
import warnings
from typing import Any

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as tensorflow_config

from loopbench.spec import Execution, Method, RunSpec
from loopbench_server.engine.diagnosis import diagnose
from loopbench_server.engine.evaluation import evaluate
from loopbench_server.engine.networks import build_model
from loopbench_server.engine.notes import LONGEST_NOTE, MOST_NOTES, recording_notes
from loopbench_server.errors import ExecutionNotAvailableError
from loopbench_server.worker_config import WorkerConfig

from .numpy_reference import run

FITTING = (Method.FIT, Method.CUSTOM_TRAIN_STEP)


@pytest.fixture
def deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras finds deterministic operations enabled, with which it refuses XLA. They cannot be disabled again."""
    monkeypatch.setattr(tensorflow_config, "is_op_determinism_enabled", lambda: True)


@pytest.mark.parametrize("method", FITTING)
@pytest.mark.usefixtures("deterministic")
def test_xla_that_keras_refuses_fails_the_run_with_the_reason(method: Method) -> None:
    with pytest.raises(ExecutionNotAvailableError) as caught:
        run(method=method, execution=Execution.XLA, epochs=1)
    assert str(caught.value) == (
        f"XLA is required, and {method} would execute by GRAPH: "
        "Model doesn't support `jit_compile=True`. Proceeding with `jit_compile=False`."
    )


@pytest.mark.usefixtures("deterministic")
def test_the_loop_of_the_tape_compiles_without_keras() -> None:
    assert run(execution=Execution.XLA, epochs=1, batch_size=1_438)[0].updates == 1


@pytest.mark.usefixtures("deterministic")
def test_xla_that_keras_refuses_fails_an_evaluation() -> None:
    spec = RunSpec(dataset="DIGITS", method=Method.FIT, execution=Execution.XLA)
    with pytest.raises(ExecutionNotAvailableError, match="XLA is required, and FIT would execute by GRAPH"):
        evaluate("id", spec, build_model(spec).get_weights(), WorkerConfig())


@pytest.mark.usefixtures("deterministic")
def test_xla_that_keras_refuses_fails_a_diagnosis() -> None:
    first = RunSpec(dataset="DIGITS")
    second = RunSpec(dataset="DIGITS", method=Method.FIT, execution=Execution.XLA)
    with pytest.raises(ExecutionNotAvailableError, match="XLA is required, and FIT would execute by GRAPH"):
        diagnose(first, second, WorkerConfig())


@pytest.mark.parametrize("method", Method)
def test_a_graph_that_tensorflow_runs_eagerly_fails_the_run(method: Method) -> None:
    tf.config.run_functions_eagerly(True)
    try:
        with pytest.raises(ExecutionNotAvailableError, match=f"GRAPH is required, and {method} would execute by EAGER"):
            run(method=method, epochs=1)
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("execution", Execution)
@pytest.mark.parametrize("method", Method)
def test_a_sound_run_has_no_notes(method: Method, execution: Execution) -> None:
    notes = run(method=method, execution=execution, epochs=1, batch_size=1_438)[0].notes
    # TensorFlow counts the traces of all runs of this process; a worker has one run.
    assert [note for note in notes if "retracing" not in note] == []


def test_warnings_of_a_run_are_notes_of_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    original = keras.Model.fit

    def fit(*args: Any, **options: Any) -> Any:
        warnings.warn("from\n  Python", UserWarning, stacklevel=1)
        tf.get_logger().warning("from %s", "TensorFlow")
        return original(*args, **options)

    monkeypatch.setattr(keras.Model, "fit", fit)
    assert run(method=Method.FIT, epochs=1, batch_size=1_438)[0].notes == ("from Python", "from TensorFlow")


def test_each_note_is_recorded_once_and_within_limits() -> None:
    with recording_notes() as notes:
        for number in range(MOST_NOTES + 5):
            for _ in range(2):
                warnings.warn(f"{number} {'x' * 1_000}", UserWarning, stacklevel=1)
        warnings.warn("for authors", DeprecationWarning, stacklevel=1)
    assert len(notes.texts) == MOST_NOTES
    assert [text.split()[0] for text in notes.texts] == [str(number) for number in range(MOST_NOTES)]
    assert max(map(len, notes.texts)) == LONGEST_NOTE + len("...")


def test_logs_are_as_before_after_the_run(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("absl")
    before = logger.handlers
    with recording_notes() as notes:
        logger.warning("during")
        logger.info("detail")
    assert (notes.texts, caplog.messages) == (("during",), [])
    assert logger.handlers is before
