"""Memory of the GPUs, by nvidia-smi."""

import shutil
import subprocess
import time

import pytest

# Memory in MiB that a process on a GPU needs at least, and by which two idle moments may differ.
CONTEXT, NOISE = 100, 50
SECONDS_TO_FREE = 120


def used_memory() -> int:
    """MiB that all processes use on all GPUs."""
    if not shutil.which("nvidia-smi"):
        pytest.skip("no nvidia-smi, which reports the memory of a GPU")
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return sum(map(int, subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.split()))


def wait_for_memory(at_most: int) -> int:
    """MiB in use once they are at most this many, or after SECONDS_TO_FREE."""
    end = time.monotonic() + SECONDS_TO_FREE
    while (used := used_memory()) > at_most and time.monotonic() < end:
        time.sleep(0.1)
    return used
