"""Imports the engine, and with it Keras in its default configuration."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

KERAS_HOME = "KERAS_HOME"
# A path below a file, where no file can exist.
NO_FOLDER = f"{os.devnull}/keras"


def import_engine() -> None:
    """Import all modules of the engine that a task needs.

    Raises:
        Exception: the installation is broken, in any way.
    """
    with _default_keras_configuration():
        from loopbench_server.engine import diagnosis, evaluation, preparation, training  # noqa: F401, PLC0415  inside the block


@contextmanager
def _default_keras_configuration() -> Iterator[None]:
    """Hide the account's ``keras.json`` from Keras, whose import reads it or creates it.

    After the block, the folder is the cache for MNIST again.
    """
    given = os.environ.get(KERAS_HOME)
    os.environ[KERAS_HOME] = NO_FOLDER
    try:
        yield
    finally:
        del os.environ[KERAS_HOME]
        if given is not None:
            os.environ[KERAS_HOME] = given
