"""Names of TensorFlow's functions, which decide whether XLA finds a function in its cache."""

from tensorflow.python.framework import ops

# More tensors than a process creates before it traces the functions of its run.
FIRST = 20_000


def align() -> None:
    """Make TensorFlow count the names that follow from the same number in all processes.

    It counts them together with tensors, of which a standby worker has created others than a new process, and one seed
    others than another.
    """
    while ops.uid() < FIRST:
        pass
