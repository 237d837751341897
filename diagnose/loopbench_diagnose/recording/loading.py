"""Records where a loop restores weights."""

from typing import Any

import keras
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format  # no public module holds the functions of these two
from keras.src.saving import saving_lib

from loopbench_diagnose.patching import Wrapper
from loopbench_diagnose.recording.course import Course
from loopbench_diagnose.replicas import OUTSIDE, replica
from loopbench_diagnose.variables import parameters, shapes

RESTORING = [
    (saving_lib, "load_model", "load_model"),
    (saving_lib, "load_weights_only", "load_weights"),
    (legacy_h5_format, "load_model_from_hdf5", "load_model"),
    (legacy_h5_format, "load_weights_from_hdf5_group", "load_weights"),
    (tf.train.Checkpoint, "restore", "Checkpoint.restore"),
    (tf.train.Checkpoint, "read", "Checkpoint.read"),
]


class Loading:
    """Wraps the functions that restore weights for ``course``."""

    def __init__(self, course: Course) -> None:
        self._course = course

    @property
    def wrappers(self) -> list[Wrapper]:
        """What is wrapped."""
        return [(owner, name, self._loading(what)) for owner, name, what in RESTORING]

    def _loading(self, what: str) -> Any:
        """Around such a function; what it returns may be the model that a loop goes on with."""

        def make(original: Any) -> Any:
            def load(*args: Any, **kwargs: Any) -> Any:
                if replica() == OUTSIDE:
                    self._course.settle()
                result = original(*args, **kwargs)
                self._course.open.loads.append(what)
                if isinstance(result, keras.Model) and shapes(parameters(result)) == self._course.shapes:
                    self._course.adopt(result)
                return result

            return load

        return make
