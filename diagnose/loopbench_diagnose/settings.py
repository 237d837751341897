"""Settings of optimizers and schedules, read without Keras's serialization.

Keras serializes a schedule within the configuration of an optimizer. That fails for a schedule without ``get_config``,
and Keras cannot make an object of a class again that is not registered.
"""

import inspect
from typing import Any

import keras
import numpy as np

Schedule = keras.optimizers.schedules.LearningRateSchedule


def settings(optimizer: Any) -> dict[str, Any]:
    """The options that make another optimizer like ``optimizer``; a schedule is the object itself.

    Options of a user's class that its ``get_config`` leaves out are read from attributes of the same name.
    """
    parameters = inspect.signature(type(optimizer)).parameters
    config = _config(optimizer)
    left_out = [name for name in parameters if name not in config and hasattr(optimizer, name)]
    known = config | {name: getattr(optimizer, name) for name in left_out}
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return known
    return {name: value for name, value in known.items() if name in parameters}


def _config(optimizer: Any) -> dict[str, Any]:
    rate = getattr(optimizer, "_learning_rate", None)
    if not callable(rate):
        return dict(optimizer.get_config())
    # A twin with a number for the rate has nothing to serialize, and the optimizer itself stays as it is.
    twin = object.__new__(type(optimizer))
    vars(twin).update(vars(optimizer), _learning_rate=0.0)
    config = dict(twin.get_config())
    return config | ({"learning_rate": rate} if "learning_rate" in config else {})


def copy_of(optimizer: Any, **changes: Any) -> Any:
    """A new optimizer with the same settings, except for ``changes``."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return type(optimizer)(
            copy_of(optimizer.inner_optimizer, **changes),
            initial_scale=optimizer.initial_scale,
            dynamic_growth_steps=optimizer.dynamic_growth_steps,
            name=optimizer.name,
        )
    return type(optimizer).from_config({**settings(optimizer), **changes})


def copy_or_none(optimizer: Any, **changes: Any) -> Any:
    """The same, or None where the settings do not make an optimizer of a user's class."""
    try:
        return copy_of(optimizer, **changes)
    except Exception:  # noqa: BLE001  a user's class may raise any error
        return None


def comparable(optimizer: Any) -> dict[str, Any]:
    """The settings without the name, as values that ``==`` compares; a schedule is its class and its options."""
    return {name: _comparable(value) for name, value in settings(optimizer).items() if name != "name"}


def _comparable(value: Any) -> Any:
    if isinstance(value, Schedule):
        return type(value).__name__, options(value)
    return keras.tree.map_structure(plain, value)


def options(schedule: Any) -> dict[str, Any]:
    """The options of a schedule without its name; its attributes where it has no ``get_config``."""
    try:
        found = dict(schedule.get_config())
    except NotImplementedError:
        found = {name.lstrip("_"): value for name, value in vars(schedule).items()}
    return {name: _comparable(value) for name, value in found.items() if name != "name"}


def plain(value: Any) -> Any:
    """A number or a list of Python for a tensor, a variable or a value of NumPy; other values as they are."""
    is_array = isinstance(value, np.generic | np.ndarray | keras.Variable) or keras.ops.is_tensor(value)
    return np.asarray(value).tolist() if is_array else value
