"""Metrics that do not measure what the program is trained for."""

from typing import Any

import keras
import numpy as np

from loopbench.spec import Effect, Reason
from loopbench_diagnose.data import leaves
from loopbench_diagnose.findings import Findings, difference, evidence
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.program.tasks import NUMERIC, Kind

# Accuracies that differ by more are not those of the same decisions.
APART = 0.1
# How an accuracy is called; those of the best few classes are others.
NAME, TOP = "acc", "top"


def check(program: Program, findings: Findings) -> None:
    """Compares the accuracies that the program reports with the part of the decisions that is right."""
    if len(program.tasks) != 1:
        return  # which output an accuracy belongs to cannot be seen from its name
    reported = {name: value for name, value in program.history.reported.items() if _is_accuracy(name)}
    if program.task.kind in NUMERIC:
        named = [*reported, *filter(_is_accuracy, map(_name, keras.tree.flatten(program.configuration.metrics)))]
        if named:
            _report_of_numbers(program, findings, min(named))
        return
    if program.task.kind is not Kind.NONE:
        for name, metric in _accuracies(program):
            _compare(program, findings, name, metric)


def _is_accuracy(name: str) -> bool:
    return NAME in name.lower() and TOP not in name.lower()


def _name(metric: Any) -> str:
    return str(getattr(metric, "name", None) or getattr(metric, "__name__", metric))


def _report_of_numbers(program: Program, findings: Findings, name: str) -> None:
    outputs = program.predicted(program.history.model, program.held_out.x)
    score = program.score(program.held_out, outputs)
    labels, made = np.asarray(leaves(program.held_out.y)[0]), np.asarray(leaves(outputs)[0])
    equal = float(np.mean(labels.ravel() == made.ravel())) if labels.size == made.size else 0.0
    findings.cause(
        difference(
            Reason.UNSUITED_METRIC,
            f"The metric {name} counts equal values, and the labels are numbers",
            [evidence("equal", "The part of the outputs that equal their labels, and R².", score, equal)],
            consequence="The metric says nothing on how close predictions are. The weights are not touched.",
            fix=f"Report an error instead, with metrics=['mae'], or R²: {equal:.2f} → {score:.2f}.",
        ),
        Effect.REPORT,
        1.0,
    )


def _accuracies(program: Program) -> list[tuple[str, Any]]:
    """Keras metrics of the program that are accuracies, as ``compile`` makes them of its names."""
    model = program.history.model
    if getattr(model, "compiled_metrics", None) is None and not getattr(model, "compiled", False):
        return []
    made = [metric for metric in model.metrics if isinstance(metric, keras.metrics.MeanMetricWrapper)]
    flat = [metric for one in [*made, getattr(model, "_compile_metrics", None)] if one for metric in _flat(one)]
    return [(metric.name, metric) for metric in flat if _is_accuracy(type(metric).__name__)]


def _flat(metric: Any) -> list[Any]:
    return list(metric.metrics) if hasattr(metric, "metrics") else [metric]


def _compare(program: Program, findings: Findings, name: str, metric: Any) -> None:
    """Both on the untrained model and on the trained one: at the end, everything may be right."""
    data = program.held_out
    labels = leaves(data.y)[0]
    for model in (program.harness.model(), program.history.model):
        outputs = leaves(program.predicted(model, data.x))[0]
        if not np.isfinite(outputs).all():
            continue
        metric.reset_state()
        metric.update_state(keras.ops.convert_to_tensor(labels), keras.ops.convert_to_tensor(outputs))
        stated, right = float(metric.result()), program.score(data, outputs)
        if abs(stated - right) > APART:
            _report(program, findings, name, stated, right)
            return


def _report(program: Program, findings: Findings, name: str, stated: float, right: float) -> None:
    kind = program.task.kind
    suited = "binary_accuracy" if kind in {Kind.BINARY, Kind.MULTI_LABEL} else "accuracy"
    findings.cause(
        difference(
            Reason.UNSUITED_METRIC,
            f"The metric {name} does not count how many samples are put into the right class",
            [evidence("accuracy", f"{name} of the same outputs, and the part of right decisions.", right, stated)],
            consequence="The metric is that of other decisions. The weights are not touched.",
            fix=f"Compile with metrics=[{suited!r}]: {stated:.2f} → {right:.2f} for the same outputs.",
        ),
        Effect.REPORT,
        abs(stated - right),
    )
