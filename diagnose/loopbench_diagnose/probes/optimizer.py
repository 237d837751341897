"""What is made of a gradient: the optimizer's configuration, and clipping by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loopbench.spec import Cause
from loopbench_diagnose.case import Case
from loopbench_diagnose.consequences import copy_of, effect_of_field, finite, inner, updates
from loopbench_diagnose.findings import Findings, Severity, evidence, percent
from loopbench_diagnose.gradients import gap, norm, ratio, subtract
from loopbench_diagnose.trace import Arrays, Step, Trace

# Relative gaps of updates: below the first they are rounding, also where Adam divides rounding by rounding; between
# exact copies of two optimizers the second is enough.
ROUNDING = 1e-2
EXACT = 1e-6
# A gap of the real updates this much smaller than that of the copies says that something makes up for it.
MADE_UP = 0.1
# Below this the real updates, differences of float32 weights, are too coarse to say so.
MEASURABLE = 1e-3


@dataclass(frozen=True)
class Field:
    """How a field of an optimizer's configuration is told."""

    reason: str
    title: str
    fix: str


CLIPPING = Field(
    "CLIPPING",
    "The gradients are clipped in different ways",
    "Clip in one way: clipnorm clips every variable by its own norm, global_clipnorm all of them by their common norm.",
)
FIELDS: dict[str, Field] = {
    "learning_rate": Field(
        "LEARNING_RATE", "The learning rates differ", "Give both optimizers the same learning_rate."
    ),
    "epsilon": Field(
        "EPSILON",
        "The optimizers' epsilon differs",
        "Name epsilon: Keras takes 1e-7, other libraries and papers 1e-8.",
    ),
    "clipnorm": CLIPPING,
    "clipvalue": CLIPPING,
    "global_clipnorm": CLIPPING,
}
OTHER_FIELD = Field("OPTIMIZER", "The optimizers are configured differently", "Give both the same configuration.")


def probe(case: Case, findings: Findings) -> None:
    """Compares optimizers by copies that are fed the same gradients, then the updates themselves."""
    first, second = case.batch(case.explained)
    if not first.steps or not second.steps or not case.same_inputs or not case.explanation.closed:
        return
    real = _real_gap(first, second, case)
    found = _configuration(first, second, real, findings) or _by_hand(first, second, real, findings)
    if not found and "LOSS_SCALING" not in findings.reasons:
        _update_rule(first, second, real, findings, case)


def _delta(trace: Trace, steps: int) -> Arrays:
    """What the first ``steps`` steps did to the weights."""
    after = trace.steps[steps].weights if steps < len(trace.steps) else trace.weights
    before = trace.steps[0].weights
    assert after is not None
    assert before is not None
    return subtract(after, before)


def _real_gap(first: Trace, second: Trace, case: Case) -> float:
    """Distance of the first updates; a scale of the loss, told elsewhere, is taken out of it."""
    if abs(case.explanation.ratio.scale - 1) < case.tolerance or not first.optimizers:
        return gap(_delta(first, 1), _delta(second, 1))
    weights, gradients = first.steps[0].weights, second.steps[0].gradients
    assert weights is not None
    assert gradients is not None
    return gap(updates(copy_of(inner(first.optimizers[-1])), weights, [gradients]), _delta(second, 1))


def _configuration(first: Trace, second: Trace, real: float, findings: Findings) -> bool:
    if not first.optimizers or not second.optimizers:
        return False
    one, other = inner(first.optimizers[-1]), inner(second.optimizers[-1])
    whole = _copies_gap(one, other, first.steps)
    if whole < EXACT or (whole > MEASURABLE and real < MADE_UP * whole):
        findings.control(
            "optimizer", "Copies of both optimizers make the same updates of the same gradients.", 0.0, whole
        )
        return whole < EXACT and real < ROUNDING
    if type(one) is not type(other):
        _tell(findings, OTHER_FIELD, {"class": (type(one).__name__, type(other).__name__)}, whole, "")
        return True
    by_field: dict[Field, dict[str, tuple[Any, Any]]] = {}
    for name, values in _differences(one.get_config(), other.get_config()).items():
        by_field.setdefault(FIELDS.get(name, OTHER_FIELD), {})[name] = values
    for field, differing in by_field.items():
        change = effect_of_field(one, first.steps, {name: values[1] for name, values in differing.items()})
        if change > EXACT:
            _tell(findings, field, differing, change, _rate_effect(differing))
    return True


def _copies_gap(one: Any, other: Any, steps: list[Step]) -> float:
    gradients = [step.gradients for step in steps if step.gradients is not None]
    weights = steps[0].weights
    assert weights is not None
    return gap(updates(copy_of(one), weights, gradients), updates(copy_of(other), weights, gradients))


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = [name for name in one if name != "name" and one[name] != other.get(name)]
    return {name: (one[name], other.get(name)) for name in names}


def _rate_effect(differing: Mapping[str, tuple[Any, Any]]) -> str:
    rates = differing.get("learning_rate")
    if rates is None or not all(isinstance(rate, int | float) and rate for rate in rates):
        return ""
    return f" A rate {rates[1] / rates[0]:.6g} times as large makes updates as many times as large."


def _tell(findings: Findings, field: Field, values: Mapping[str, tuple[Any, Any]], change: float, more: str) -> None:
    told = ", ".join(f"{name} {_number(first)} and {_number(second)}" for name, (first, second) in values.items())
    findings.cause(
        Cause(
            reason=field.reason,
            title=f"{field.title}: {told}",
            evidence=(
                evidence("configuration", f"First and second: {told}."),
                evidence("update_gap", "Copies of the first optimizer, without and with this difference.", 0.0, change),
            ),
            effect=f"On the same gradients the updates differ by {percent(change)} of their length.{more}",
            fix=field.fix,
        ),
        Severity.TRAINING if change > ROUNDING else Severity.ROUNDING,
        finite(change),
    )


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _by_hand(first: Trace, second: Trace, real: float, findings: Findings) -> bool:
    """Whether a loop changes the gradient between the tape and the optimizer in its own way."""
    changes = [_change(trace) for trace in (first, second)]
    if real < ROUNDING or changes[0] == changes[1] or "LOSS_SCALING" in findings.reasons:
        return False
    findings.cause(
        Cause(
            reason=CLIPPING.reason,
            title=f"{CLIPPING.title}: first {changes[0]}, second {changes[1]}",
            evidence=(
                *(_lengths(trace, name) for trace, name in ((first, "first"), (second, "second"))),
                evidence("update_gap", "Distance of the first updates, of their length.", 0.0, real),
            ),
            effect=f"The first update differs by {percent(real)} of its length.",
            fix=CLIPPING.fix,
        ),
        Severity.TRAINING,
        finite(real),
    )
    return True


def _lengths(trace: Trace, name: str) -> Any:
    step = trace.steps[0]
    return evidence(
        f"{name}_lengths",
        f"Length of the {name} side's first gradient, and of what its optimizer was given.",
        norm(step.gradients or []),
        norm(step.applied or []),
    )


def _change(trace: Trace) -> str:
    """What a loop does to its gradient before the optimizer has it, in words."""
    step = trace.steps[0]
    if step.applied is None or step.gradients is None:
        return "the optimizer is not given the gradient"
    made = ratio(step.gradients, step.applied)
    if made.residual < EXACT * 100:
        return "unchanged" if abs(made.scale - 1) < EXACT * 100 else "all variables by one factor"
    each = [ratio([before], [after]).residual for before, after in zip(step.gradients, step.applied, strict=True)]
    return "each variable by a factor of its own" if max(each) < EXACT * 100 else "each value for itself"


def _update_rule(first: Trace, second: Trace, real: float, findings: Findings, case: Case) -> None:
    """Updates that differ although gradients and optimizers do not."""
    steps = min(len(first.steps), len(second.steps))
    scaled = abs(case.explanation.ratio.scale - 1) >= case.tolerance
    later = real if scaled else gap(_delta(first, steps), _delta(second, steps))
    if max(real, later) < max(ROUNDING, case.tolerance):
        findings.control("weights_after_1_step", "Distance of the weights' movement after 1 step.", 0.0, real)
        findings.control(f"weights_after_{steps}_steps", f"The same after {steps} steps on one batch.", 0.0, later)
        return
    findings.cause(
        Cause(
            reason="UPDATE_RULE",
            title="The same gradients are turned into other updates"
            if real >= ROUNDING
            else "The updates part later on",
            evidence=(
                evidence("weights_after_1_step", "Distance of the weights' movement after 1 step.", 0.0, real),
                evidence(f"weights_after_{steps}_steps", f"The same after {steps} steps on one batch.", 0.0, later),
            ),
            effect=f"After {steps} steps the movements differ by {percent(later)} of their length.",
            fix="Compare what happens between tape.gradient and the weights: rates that change, constraints, averages, "
            "updates by hand.",
        ),
        Severity.TRAINING,
        finite(later),
    )
