"""Recovers the configuration of a program from what its run shows."""

import re
from typing import Any

import keras
import numpy as np

from loopbench_diagnose.comparison import same_step_inputs
from loopbench_diagnose.data import leaves, sample_keys
from loopbench_diagnose.effects import inner, learning_rate
from loopbench_diagnose.gradients import ratio, subtract
from loopbench_diagnose.losses import identify
from loopbench_diagnose.orders import indices
from loopbench_diagnose.program.fed import batch_size, is_readable, is_shuffled
from loopbench_diagnose.program.preparation import takes_inputs
from loopbench_diagnose.program.recovery import COMPILED, Configuration, NotRecoveredError
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.settings import copy_or_none
from loopbench_diagnose.trace import LossCall, Step, Trace, combined

# The classes of losses whose names are not made of their functions'.
CLASSES = {"kl_divergence": "KLDivergence"}
# Relative residual of a movement that is a multiple of its gradient.
PROPORTIONAL = 1e-3
NOT_COPIED = "its optimizer cannot be created again from what get_config states"


def recover(program: Program) -> Configuration:
    """The stock training that ``program`` amounts to.

    Raises:
        NotRecoveredError: it cannot be stated.
    """
    usage = program.history.usage
    if usage.is_part and not usage.fits:
        raise NotRecoveredError("fit trains a model that the loop builds around the given one")
    return _compiled(program) if usage.fits else _observed(program)


def _compiled(program: Program) -> Configuration:
    usage, model = program.history.usage, program.history.model
    stated = getattr(getattr(model, "_compile_config", None), "config", None) or {}
    if model.optimizer is None:
        raise NotRecoveredError("the model is compiled without an optimizer")
    loss = stated.get("loss")
    overrides = type(model).train_step is not keras.Model.train_step
    if loss is None and overrides:
        raise NotRecoveredError("the model computes its loss in a train_step of its class")
    if usage.optimizer is None:
        raise NotRecoveredError(NOT_COPIED)
    fit = usage.fits[0]
    readable = is_readable(fit)
    return Configuration(
        loss=loss,
        optimizer=usage.optimizer,
        batch_size=batch_size(fit, program.build_model) if readable else len(program.trace.steps[0].call.rows),
        epochs=sum(one["epochs"] - one["initial_epoch"] for one in usage.fits),
        metrics=stated.get("metrics"),
        shuffle=readable and is_shuffled(fit, program.build_model),
        class_weight=fit["class_weight"],
        compile_options={name: stated[name] for name in COMPILED if stated.get(name) is not None},
        changes_rate=program.history.changes_rate
        or learning_rate(usage.optimizer) != learning_rate(inner(model.optimizer)),
    )


def _observed(program: Program) -> Configuration:
    trace = combined(program.trace)
    step = trace.steps[0]
    loss = _loss(program, step)
    return Configuration(
        loss=loss,
        optimizer=_optimizer(trace),
        batch_size=len(step.call.rows),
        epochs=_epochs(program, len(step.call.rows)),
        metrics=[_accuracy(loss)] if any("acc" in name for name in program.history.reported) else None,
        shuffle=_shuffles(program, trace),
        class_weight=program.data.class_weight,
        changes_rate=program.history.changes_rate,
    )


def _epochs(program: Program, samples: int) -> int:
    """As many as the updates of optimizers amount to; those that the loop is called with where it uses none."""
    made, total = program.history.updates, len(program.given)
    if not made:
        return program.epochs
    # With a smaller last batch, or without it.
    whole = next((size for size in (-(-total // samples), total // samples) if size and made % size == 0), 0)
    return made // whole if whole else max(1, round(made * samples / total))


def _shuffles(program: Program, trace: Trace) -> bool:
    rows = [key for step in trace.steps for key in step.call.rows]
    places = indices(rows, sample_keys(program.watched_data.x))
    if places is None:
        # The loop prepares its samples.
        return program.ordered_step is not None and not same_step_inputs(trace.steps[0], program.ordered_step)
    return not bool((np.diff(places) >= 0).all())


def _optimizer(trace: Trace) -> keras.optimizers.Optimizer:
    if len(trace.optimizers) > 1 and not _is_recreated(trace):
        raise NotRecoveredError(f"the loop trains with {len(trace.optimizers)} optimizers")
    if trace.optimizers:
        return _untrained(inner(trace.optimizers[0]), trace)
    update = next((one for one in trace.updates_made if one.by_hand), None)
    gradients = None if update is None else update.steps[0].gradients
    if update is None or gradients is None or update.before is None or update.after is None:
        raise NotRecoveredError("the loop uses no Keras optimizer")
    found = ratio(gradients, subtract(update.before, update.after))
    if found.residual > PROPORTIONAL or found.scale <= 0:
        raise NotRecoveredError("the loop updates the weights by a rule that is not gradient descent")
    return keras.optimizers.SGD(float(f"{found.scale:.4g}"))


def _untrained(optimizer: Any, trace: Trace) -> keras.optimizers.Optimizer:
    """A copy with the learning rate of the first update, which the loop may have changed since."""
    rates = trace.updates_made[0].rates if trace.updates_made else {}
    is_number = rates and learning_rate(optimizer) is not None
    made = copy_or_none(optimizer, **({"learning_rate": next(iter(rates.values()))} if is_number else {}))
    if made is None:
        raise NotRecoveredError(NOT_COPIED)
    return made


def _is_recreated(trace: Trace) -> bool:
    """Whether the optimizers are one that is created again: with equal settings, each for all that the first trains."""
    stated = [update.settings for update in trace.updates_made if update.optimizers]
    single = all(len(set(map(id, update.optimizers.values()))) <= 1 for update in trace.updates_made)
    return single and all(one == stated[0] for one in stated)


def _loss(program: Program, step: Step) -> Any:
    if step.losses and len(step.losses) == len(step.output_gradients or [None]):
        made = [_named(call) for call in step.losses]
        return made[0] if len(made) == 1 else made
    labels = leaves(program.watched_data.y)
    places = indices(step.call.rows, sample_keys(program.watched_data.x))
    if places is None and program.ordered_step is not None:
        # The loop prepares its samples: they are known by their places alone.
        step = program.ordered_step
        places = np.arange(min(len(step.call.rows), len(program.watched_data)))
    if not labels and takes_inputs(step):
        labels, places = leaves(step.call.inputs), np.arange(len(step.call.rows))
    if len(labels) != len(step.output_gradients) or places is None or len(places) != len(step.call.rows):
        raise NotRecoveredError("the gradients of the outputs do not show the loss")
    fits = []
    for y, gradient in zip(labels, step.output_gradients, strict=True):
        fit = identify(np.asarray(y)[places], gradient)
        if fit is None or not fit.fits:
            raise NotRecoveredError("the gradient of the outputs fits no known loss")
        fits.append(_made(fit.name, np.asarray(y), gradient.values, from_logits=fit.from_logits))
    return fits[0] if len(fits) == 1 else fits


def _accuracy(loss: Any) -> Any:
    """What ``compile`` takes for the accuracy of the loss; Keras's own choice for two classes takes no logits."""
    takes_logits = isinstance(loss, keras.losses.BinaryCrossentropy) and loss.get_config().get("from_logits")
    return keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0) if takes_logits else "accuracy"


def _named(call: LossCall) -> Any:
    """The Keras loss that a loop calls; it means over the batch, as ``fit`` does."""
    options = {name: value for name, value in call.options.items() if name != "reduction"}
    kind = _class(call.name)
    if kind is None:
        raise NotRecoveredError(f"the loss {call.name} is not one of Keras's")
    return kind(**options)


def _class(function: str) -> Any:
    name = CLASSES.get(function) or "".join(part.capitalize() for part in function.split("_"))
    return getattr(keras.losses, name, None)


def _made(name: str, labels: Any, outputs: Any, *, from_logits: bool) -> Any:
    function, _, options = name.partition("(")
    given = {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", options)}
    if "crossentropy" in function:
        given |= {"from_logits": True} if from_logits else {}
        if name == "categorical_crossentropy" and labels.shape != (len(labels), *outputs.shape[1:]):
            function = "sparse_categorical_crossentropy"
    return _class(function)(**given)
