"""``loopbench diagnose --python`` on a program of a user's."""

import subprocess
import sys
from pathlib import Path

from tests.support.pages import Page

PROGRAM = """
import keras
import numpy as np
import tensorflow as tf
from loopbench_diagnose import compile_and_fit

random = np.random.default_rng(1)
x = random.normal(size=(120, 4)).astype("float32")
data = tf.data.Dataset.from_tensor_slices((x, x.sum(axis=1, keepdims=True))).batch(16)


def build_model():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, activation="relu"), keras.layers.Dense(1)])


fit = compile_and_fit(optimizer=keras.optimizers.SGD(0.01), loss="mse")


def loop(model, data, epochs):
    optimizer = keras.optimizers.SGD(0.01)
    for _ in range(epochs):
        for x, y in data:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum((y - model(x, training=True)) ** 2)
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
"""


START = (sys.executable, "-c", "from loopbench_client.cli import main; main()")


def diagnosed(folder: Path, *functions: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(PROGRAM)
    names = [f"train:{name}" for name in functions]
    done = subprocess.run(
        [*START, "diagnose", "--python", *names, "--report", "report.html"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_program_is_diagnosed_from_the_shell(tmp_path: Path) -> None:
    done = diagnosed(tmp_path, "build_model", "data", "fit", "loop")
    assert "is 16 times the first" in done.stdout.splitlines()[0]
    assert "[LOSS_REDUCTION]" in done.stdout
    assert done.stderr.endswith("report: report.html\n")
    assert "LOSS_REDUCTION trained weights" in Page(tmp_path / "report.html").text


def test_one_loop_is_diagnosed_from_the_shell(tmp_path: Path) -> None:
    done = diagnosed(tmp_path, "build_model", "data", "loop")
    code = "loss=keras.losses.MeanSquaredError()"
    assert code in done.stdout
    assert code in Page(tmp_path / "report.html").text
