"""Environment variables of worker processes: those of TensorFlow, Keras and NumPy do not change the numbers of a run.

A result does not record these variables, so two runs in equal environments would end in other bits. Variables of CUDA
and OpenBLAS describe the machine, and pass.
"""

from collections.abc import Mapping

# Variables with these prefixes do not pass, apart from KEPT: TensorFlow alone reads more than a hundred.
DROPPED_PREFIXES = (
    "AUTOGRAPH_",
    "DNNL_",
    "KERAS_",
    "NPY_DISABLE_",
    "NPY_ENABLE_",
    "NVIDIA_TF32_",
    "ONEDNN_",
    "TENSORFLOW_",
    "TF2_",
    "TF_",
    "XLA_",
)
# Messages, memory of GPUs, and the folder with MNIST.
KEPT = frozenset(
    {
        "KERAS_HOME",
        "TF_CPP_MAX_VLOG_LEVEL",
        "TF_CPP_MIN_LOG_LEVEL",
        "TF_CPP_VMODULE",
        "TF_FORCE_GPU_ALLOW_GROWTH",
        "TF_FORCE_UNIFIED_MEMORY",
        "TF_GPU_ALLOCATOR",
        "TF_GPU_HOST_MEM_LIMIT_IN_MB",
    }
)
# Options in XLA_FLAGS that pass: folders of CUDA, and dumps of compiled code.
XLA_FLAGS = "XLA_FLAGS"
KEPT_XLA_OPTIONS = ("--xla_dump_", "--xla_gpu_cuda_data_dir=")
# TensorFlow's greeting repeats what each result says.
DEFAULTS = {"TF_CPP_MIN_LOG_LEVEL": "3"}
PINNED = {"KERAS_BACKEND": "tensorflow"}


def make_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of worker processes for a server with the environment ``given``."""
    passed = {name: value for name, value in given.items() if name in KEPT or not name.startswith(DROPPED_PREFIXES)}
    return DEFAULTS | passed | _keep_xla_options(given) | PINNED


def _keep_xla_options(given: Mapping[str, str]) -> dict[str, str]:
    options = [option for option in given.get(XLA_FLAGS, "").split() if option.startswith(KEPT_XLA_OPTIONS)]
    return {XLA_FLAGS: " ".join(options)} if options else {}
