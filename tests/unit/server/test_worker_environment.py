"""Variables and files of the account change neither training nor evaluation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loopbench_server.workers.environment import DEFAULTS, DROPPED_PREFIXES, KEPT, PINNED, XLA_FLAGS, make_environment

# Names that TensorFlow, Keras, oneDNN and NumPy read → values that change numbers, or the number of steps.
HARMFUL = {
    "AUTOGRAPH_STRICT_CONVERSION": "1",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "KERAS_MAX_EPOCHS": "1",
    "KERAS_MAX_STEPS_PER_EPOCH": "1",
    "KERAS_NNX_ENABLED": "1",
    "NPY_DISABLE_CPU_FEATURES": "AVX2",
    "NPY_ENABLE_CPU_FEATURES": "AVX512F",
    "NVIDIA_TF32_OVERRIDE": "1",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL": "0",
    "TF2_BEHAVIOR": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_FUNCTION_JIT_COMPILE_DEFAULT": "1",
    "TF_SET_ONEDNN_FPMATH_MODE": "BF16",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
}
# Trains with the environment and the imports of a worker.
PROGRAM = """
from loopbench_server.workers.engine_import import import_engine
import_engine()
import keras
from pathlib import Path
from loopbench.spec import RunSpec
from loopbench_server.engine import data
from loopbench_server.engine.training import train
from loopbench_server.worker_config import WorkerConfig
result, _ = train(RunSpec(dataset="DIGITS", method="FIT", epochs=2, batch_size=300), WorkerConfig(), log_dir=None,
    on_phase=lambda *_: None, on_progress=lambda *_: None, on_epoch=lambda *_: None)
config = keras.config
print(result.weights_digest, config.backend(), config.floatx(), config.epsilon(), config.image_data_format())
print(data._keras_cache())
"""
SETTINGS = {"floatx": "float64", "epsilon": 0.01, "backend": "torch", "image_data_format": "channels_first"}


def test_harmful_variables_do_not_pass() -> None:
    given = {"HOME": "/home/me", "CUDA_VISIBLE_DEVICES": "0", "KERAS_BACKEND": "torch", **HARMFUL}
    assert make_environment(given) == {"HOME": "/home/me", "CUDA_VISIBLE_DEVICES": "0", **DEFAULTS, **PINNED}


def test_each_prefix_is_that_of_a_harmful_variable_and_no_kept_variable_is_harmful() -> None:
    harmful = {*HARMFUL, *PINNED, XLA_FLAGS}
    assert all(any(name.startswith(prefix) for name in harmful) for prefix in DROPPED_PREFIXES)
    assert not KEPT & harmful
    assert all(name.startswith(DROPPED_PREFIXES) for name in KEPT)


def test_an_operator_may_change_messages_and_the_memory_of_gpus() -> None:
    given = dict.fromkeys(KEPT, "1")
    assert make_environment(given) == given | PINNED


def test_options_of_xla_pass_only_if_they_keep_the_code() -> None:
    folders = "--xla_dump_to=/tmp/x --xla_gpu_cuda_data_dir=/opt/cuda"
    flags = f"--xla_cpu_enable_fast_math=true {folders} --xla_backend_optimization_level=0"
    assert make_environment({"XLA_FLAGS": flags})["XLA_FLAGS"] == folders
    assert "XLA_FLAGS" not in make_environment({"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"})


@pytest.fixture
def train(tmp_path: Path) -> "Train":
    return Train(tmp_path)


class Train:
    """Trains in a process of an account with the given ``keras.json`` and variables."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str, settings: str | None = None, **variables: str) -> list[str]:
        home = self._folder / name
        home.mkdir()
        if settings is not None:
            (home / "keras.json").write_text(settings)
        given = os.environ | variables | {"KERAS_HOME": str(home)}
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, env=make_environment(given), capture_output=True, text=True, check=True)
        numbers, cache = done.stdout.splitlines()
        assert cache == str(home / "datasets" / "mnist.npz")
        assert [*home.glob("keras.json")] == ([] if settings is None else [home / "keras.json"])
        return numbers.split()


def test_training_does_not_depend_on_the_account(train: Train) -> None:
    plain = train("plain")
    assert plain[1:] == ["tensorflow", "float32", "1e-07", "channels_last"]
    assert train("settings", json.dumps(SETTINGS)) == plain
    assert train("invalid", '{"floatx": "none-such"}') == plain
    assert train("variables", **HARMFUL, KERAS_BACKEND="torch", XLA_FLAGS="--xla_cpu_enable_fast_math=true") == plain
