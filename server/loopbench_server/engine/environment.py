"""Environment of a run, in enough detail to repeat it."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

import tensorflow as tf

from loopbench.spec import Device, Environment
from loopbench_server.worker_config import WorkerConfig

PACKAGES = ("keras", "numpy")
CPU_FILE = Path("/proc/cpuinfo")
# Names by the flags of Linux, the widest first.
VECTOR_INSTRUCTIONS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "sve": "SVE", "asimd": "NEON"}
DRIVER = "nvidia-driver"
# Its first line has the version: "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Mon Feb 26 …".
DRIVER_FILE = Path("/proc/driver/nvidia/version")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    # TensorFlow has several distribution names.
    own = {
        "python": platform.python_version(),
        "loopbench": version("keras-loopbench"),
        "tensorflow": tf.__version__,
    }
    return own | {package: version(package) for package in PACKAGES}


def cpu_model(file: Path = CPU_FILE) -> str:
    """Return the CPU's name from Linux, or elsewhere from Python, and its widest vector instructions if known.

    Clouds give one name to generations of CPUs whose kernels round differently: "AMD EPYC" with AVX2 or with AVX-512.
    """
    first_core, *_ = file.read_text().split("\n\n", 1) if file.is_file() else [""]
    parts = (line.partition(":") for line in first_core.splitlines())
    known = {name.strip(): text.strip() for name, _, text in parts}
    flags = (known.get("flags") or known.get("Features", "")).split()
    widest = (f" with {name}" for flag, name in VECTOR_INSTRUCTIONS.items() if flag in flags)
    return (known.get("model name") or platform.processor() or platform.machine()) + next(widest, "")


def driver_version(file: Path = DRIVER_FILE) -> dict[str, str]:
    """Return the version of the GPU driver by its name; nothing where the system does not report one."""
    found = re.search(r"\d+(\.\d+)+", file.read_text()) if file.is_file() else None
    return {DRIVER: found[0]} if found else {}


def describe(device: Device, config: WorkerConfig) -> Environment:
    """Return the environment of a run on ``device`` with the settings of ``config``."""
    cpu = cpu_model()
    name, driver = cpu, dict[str, str]()
    if device is Device.GPU:
        gpu = tf.config.list_physical_devices("GPU")[0]
        name = tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        driver = driver_version()
    return Environment(
        versions=versions() | driver,
        device=device,
        device_name=name,
        cpu_model=cpu,
        cpu_count=os.cpu_count() or 0,
        threads=config.threads,
        platform=platform.platform(),
        source_revision=config.source_revision,
    )
