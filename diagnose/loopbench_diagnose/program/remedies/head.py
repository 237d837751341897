"""The activation of the outputs and the loss, against each other and against the labels."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from loopbench.spec import Reason
from loopbench_diagnose.data import leaves
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.heads import BINARY, CLASSES, NAMES, STANDARD, SUITED, Loss
from loopbench_diagnose.program.remedies import Remedy
from loopbench_diagnose.program.surgery import LINEAR
from loopbench_diagnose.program.tasks import NUMERIC, Kind

# Values that outputs are made of to see which of them an activation can give.
GRID = np.concatenate([-np.logspace(3, -3, 61), [0.0], np.logspace(-3, 3, 61)]).astype(np.float32)
# The part of the labels' variance that an activation may make unreachable.
UNREACHABLE = 0.05


def remedies(bench: Bench) -> Iterable[Remedy]:
    """Fixes of the end of the model; none where its layers or its loss are unknown."""
    output, loss, kind = bench.anatomy.output, bench.loss, bench.program.task.kind
    if output is None or loss is None or kind not in STANDARD or len(bench.program.tasks) > 1:
        return []
    if kind in NUMERIC:
        return _of_numbers(bench, output, loss)
    return _of_classes(bench, output, loss)


def _named(activation: str) -> str:
    return NAMES.get(activation, activation)


def _loss(found: Loss, wanted: Loss, why: str, proven: str = "") -> Remedy:
    return Remedy(
        Reason.LOSS_FUNCTION,
        f"The loss {found} does not suit {why}",
        f"Compile with loss={wanted.name!r}",
        {"loss": wanted},
        proven,
    )


def _output(found: str, wanted: str, why: str, proven: str = "") -> Remedy:
    return Remedy(
        Reason.OUTPUT_ACTIVATION,
        f"The outputs have {_named(found)}, which does not suit {why}",
        f"Give the outputs {_named(wanted)}",
        {"output": wanted},
        proven,
    )


def _of_numbers(bench: Bench, output: str, loss: Loss) -> Iterator[Remedy]:
    labels = np.asarray(leaves(bench.program.training.y)[0], np.float64)
    kind = bench.program.task.kind
    inside = labels.min() >= 0 and labels.max() <= 1
    wanted, standard = STANDARD[kind]
    suited = loss.name in SUITED[kind] and (loss.name not in BINARY or inside)
    if not suited and loss.name in CLASSES | BINARY:
        stated = (
            f"{loss} is defined for labels from 0 to 1. The labels go from {labels.min():.3g} to {labels.max():.3g}."
        )
        proven = "" if inside else stated
        yield _loss(loss, standard, "labels that are numbers", proven)
    if output == LINEAR:
        return
    missed = unreachable(output, labels, bench.anatomy.units)
    proven = (
        f"{missed:.0%} of the variance of the labels lies where outputs with {_named(output)} cannot be."
        if missed > UNREACHABLE
        else ""
    )
    yield _output(output, wanted, f"labels from {labels.min():.3g} to {labels.max():.3g}", proven)


def unreachable(output: str, labels: Any, units: int | None) -> float:
    """The part of the labels' variance that outputs with an activation miss at least, from 0 to 1."""
    if "softmax" in output:
        # With one unit every output is 1.
        low, high = (1.0, 1.0) if units == 1 else (0.0, 1.0)
    else:
        try:
            made = np.asarray(keras.activations.get(output.rpartition("+")[2])(GRID))
        except ValueError:
            return 0.0
        low, high = float(made.min()), float(made.max())
    y = labels.reshape(len(labels), -1)
    total = float(((y - y.mean(axis=0)) ** 2).sum())
    return float(((y - np.clip(y, low, high)) ** 2).sum()) / total if total else 0.0


def _of_classes(bench: Bench, output: str, loss: Loss) -> Iterator[Remedy]:
    task, units = bench.program.task, bench.anatomy.units
    kind = Kind.CLASSES if task.kind is Kind.BINARY and (units or 1) > 1 else task.kind
    wanted, standard = STANDARD[kind]
    if kind is Kind.CLASSES and units == 1:
        yield from _too_few_units(bench, output, loss)
        return
    if units == 1 and "softmax" in output:
        yield _output(
            output, wanted, "one unit", "The softmax of one unit is 1 whatever the weights are. No gradient passes it."
        )
        if loss.name not in SUITED[kind]:
            yield _loss(loss, standard, "labels of 0 and 1")
        return
    if units == 1 and loss.name in CLASSES:
        yield _loss(
            loss,
            standard,
            "one output",
            "A categorical crossentropy divides the outputs of a sample by their sum. With one output the loss is "
            "the same whatever the weights are.",
        )
        if output not in {wanted, LINEAR}:
            stated = f"{standard} takes probabilities. Outputs with {_named(output)} are none."
            yield _output(output, wanted, "labels of 0 and 1", stated)
        elif output != wanted:
            yield _output(output, wanted, "labels of 0 and 1")
        return
    labels = f"labels that are {task.kind.value}"
    if loss.name in SUITED[kind]:
        yield from _of_suited_loss(bench, output, loss, labels)
        return
    if output not in {wanted, LINEAR} or loss.needs != LINEAR:
        yield _loss(loss, _like(standard, output), labels)
    if output != wanted:
        yield _output(output, wanted, labels)
        both = _loss(loss, standard, labels)
        yield Remedy(both.reason, both.title, both.fix, {"loss": standard, "output": wanted})


def _like(standard: Loss, output: str) -> Loss:
    """The loss for the outputs as they are."""
    return Loss(standard.name, from_logits=output == LINEAR)


def _of_suited_loss(bench: Bench, output: str, loss: Loss, labels: str) -> Iterator[Remedy]:
    needs = loss.needs
    if needs is None or output == needs:
        return
    probabilities = {"softmax", "sigmoid"}
    if loss.from_logits and output in probabilities:
        if _is_undone(bench):
            return
        yield Remedy(
            Reason.FROM_LOGITS,
            f"The loss takes the outputs for logits, and the outputs pass {output}",
            f"Drop from_logits=True, or drop {output}",
            {"loss": Loss(loss.name)},
            f"{output.capitalize()} is applied to what are probabilities already.",
        )
    elif output == LINEAR:
        yield Remedy(
            Reason.FROM_LOGITS,
            "The loss takes the outputs for probabilities, and the outputs have no activation",
            f"Give the loss from_logits=True, or the outputs {needs}",
            {"loss": Loss(loss.name, from_logits=True)},
            f"{loss} cuts its outputs at 0 and 1, beyond which there is no gradient. The outputs have no bounds.",
        )
    else:
        proven = ""
        if output.count("softmax") > 1 or output.count("sigmoid") > 1:
            proven = "The outputs pass the activation twice."
        elif output not in probabilities:
            proven = f"{loss} takes probabilities. Outputs with {output} are none."
        yield _output(output, needs, f"{loss} and {labels}", proven)


def _is_undone(bench: Bench) -> bool:
    """Whether Keras goes by the logits behind the outputs, whatever from_logits says."""
    step = bench.program.trace.steps[0]
    return any(one.of_logits for one in step.output_gradients)


def _too_few_units(bench: Bench, output: str, loss: Loss) -> Iterator[Remedy]:
    """Labels of several classes, and one unit: an error unless the classes are meant as numbers."""
    task = bench.program.task
    # A loss of numbers may be meant.
    is_error = loss.name in CLASSES | BINARY
    if not is_error and not _counts_accuracy(bench):
        return
    standard = STANDARD[Kind.CLASSES][1]
    changes = {"units": task.classes, "output": "softmax", "loss": standard}
    last = task.classes - 1
    yield Remedy(
        Reason.OUTPUT_ACTIVATION,
        f"One output with {_named(output)} stands for {task.classes} classes",
        f"End the model in {task.classes} units with softmax",
        changes,
        f"The labels are 0 to {last}. One output distinguishes two classes." if is_error else "",
    )
    yield Remedy(
        Reason.LOSS_FUNCTION,
        f"The loss {loss} does not suit {task.classes} classes",
        f"Compile with loss={standard.name!r}",
        changes,
        f"{loss} is defined for labels from 0 to 1. The labels go to {last}." if is_error else "",
    )


def _counts_accuracy(bench: Bench) -> bool:
    named = keras.tree.flatten(bench.program.configuration.metrics)
    return any("acc" in str(getattr(metric, "name", metric)).lower() for metric in named)
