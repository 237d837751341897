"""The optimizers: the fields of a specification are Keras's own parameters."""

import keras

from loopbench.spec import BaseOptimizer

KERAS_CLASSES: dict[str, type[keras.optimizers.Optimizer]] = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
}


def build_optimizer(spec: BaseOptimizer) -> keras.optimizers.Optimizer:
    """Return a new Keras optimizer with the parameters of ``spec``."""
    parameters = spec.model_dump()
    return KERAS_CLASSES[parameters.pop("kind")](**parameters)
