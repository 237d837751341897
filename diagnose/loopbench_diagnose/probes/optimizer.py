"""What is made of a gradient: the optimizer's configuration, and clipping by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from loopbench.spec import Cause, Effect, Evidence, Reason
from loopbench_diagnose import clips, handed_on
from loopbench_diagnose.effects import effect_of_field, finite, inner, updates
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, joined, multiple, percent, word
from loopbench_diagnose.first_gradients import Pair
from loopbench_diagnose.gradients import gap, norm, ratio, subtract
from loopbench_diagnose.settings import Schedule, comparable, copy_of, options, settings
from loopbench_diagnose.trace import Step, Trace

# Relative gaps of updates: below the first they are rounding, also where Adam divides rounding by rounding; between
# exact copies of two optimizers the second is enough.
ROUNDING = 1e-2
EXACT = 1e-6
# Residual of updates that differ by a decay of the weights; differences of float32 weights are coarse.
DECAYS = 3e-2
# A gap of the real updates this much smaller than that of the copies says that something makes up for it.
MADE_UP = 0.1
# The rounding of two sides is not that of their gradients alone.
MOST_NOISE = 2
# Below this the real updates, differences of float32 weights, are too coarse to say so.
MEASURABLE = 1e-3


@dataclass(frozen=True)
class Field:
    """The texts of a field of an optimizer's configuration."""

    reason: Reason
    title: str
    fix: str


CLIPPING = Field(
    Reason.CLIPPING,
    "The gradients are clipped in different ways",
    "Clip in one way: clipnorm clips every variable by its own norm, global_clipnorm all of them by their common norm.",
)
# Fields that other probes compare, by what they do in the replay, and values that take them out.
NEUTRAL: dict[str, Any] = {"learning_rate": 0.01, "use_ema": False, "gradient_accumulation_steps": None}
FIELDS: dict[str, Field] = {
    "epsilon": Field(
        Reason.EPSILON,
        "The optimizers' epsilon differs",
        "Name epsilon: Keras takes 1e-7, other libraries and papers 1e-8.",
    ),
    **dict.fromkeys(clips.CLIPS, CLIPPING),
}
OTHER_FIELD = Field(Reason.OPTIMIZER, "The optimizers are configured differently", "Give both the same configuration.")

# Causes of updates that differ on equal gradients, or of gradients that differ from the second step on.
EXPLAINED = frozenset(
    {
        Reason.LOSS_SCALING,
        Reason.NOT_REPEATABLE,
        Reason.NON_FINITE,
        Reason.LEARNING_RATE,
        Reason.LEARNING_RATE_SCHEDULE,
        Reason.STALE_GRADIENTS,
        Reason.ACCUMULATION,
        Reason.OPTIMIZER_RECREATED,
        Reason.RESUME,
        Reason.WEIGHTS_RESET,
        Reason.WEIGHT_AVERAGING,
        Reason.INITIAL_WEIGHTS,
        Reason.LAYER_STATE,
        Reason.REPEATED_RANDOMNESS,
        Reason.VARIABLES_LEFT_OUT,
    }
)

CANCELLED = "Here loss and learning rate make up for each other: after the first step the weights have moved alike."


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares optimizers by copies that are fed the same gradients, then the updates themselves."""
    first, second = experiment.batch(experiment.explained)
    if not first.steps or not second.steps:
        return
    if not experiment.explanation.closed or not experiment.same_inputs:
        # Gradients that differ say nothing of the updates; copies of the optimizers are compared all the same.
        _configuration(first, second, float("inf"), findings, experiment)
        return
    real = _real_gap(first, second, experiment)
    found = (
        _configuration(first, second, real, findings, experiment)
        or _by_hand(first, second, real, findings, experiment)
        or _clips_later(experiment, findings)
    )
    _cancel(first, second, findings)
    if not found and not findings.reasons & EXPLAINED:
        _update_rule(first, second, real, findings, experiment)


def _cancel(first: Trace, second: Trace, findings: Findings) -> None:
    """A loss and a learning rate can make up for each other: neither then does anything by itself."""
    both = {Reason.LOSS_REDUCTION, Reason.LEARNING_RATE}
    if not both <= findings.reasons or gap(first.movement(1), second.movement(1)) >= ROUNDING:
        return
    for cause in findings.causes:
        if cause.reason in both:
            findings.reword(cause.reason, Effect.TRAINING, 0.0, consequence=f"{cause.consequence} {CANCELLED}")


def _real_gap(first: Trace, second: Trace, experiment: Experiment) -> float:
    """Distance of the first updates; a scale of the loss, which another probe reports, is removed."""
    if abs(experiment.explanation.ratio.scale - 1) < experiment.tolerance or not first.optimizers:
        return _gap(first, second, 1)
    weights, gradients = first.steps[0].weights, second.steps[0].gradients
    assert weights is not None
    assert gradients is not None
    return gap(updates(copy_of(inner(first.optimizers[-1])), weights, [gradients]), second.movement(1))


def _gap(first: Trace, second: Trace, steps: int) -> float:
    """Distance of the movements after ``steps`` steps, less what the rounding of the gradients may make of it.

    Adam turns a gradient that is nothing but rounding, such as a bias's before a batch normalization, into a whole
    step. What an optimizer makes of either side's own gradients shows how far that goes. Where the updates part in step
    k, the gradients up to there still agree, so that nothing is hidden.
    """
    whole = gap(first.movement(steps), second.movement(steps))
    if whole < ROUNDING or not first.optimizers:
        return whole
    weights = first.steps[0].weights
    assert weights is not None
    made = (
        updates(
            copy_of(inner(first.optimizers[-1])),
            weights,
            [step.gradients for step in trace.steps[:steps] if step.gradients is not None],
        )
        for trace in (first, second)
    )
    return max(0.0, whole - MOST_NOISE * gap(*made))


def _configuration(first: Trace, second: Trace, real: float, findings: Findings, experiment: Experiment) -> bool:
    if not first.optimizers or not second.optimizers:
        return False
    one, other = _main(first), _main(second)
    whole = _copies_gap(one, other, first.steps)
    if whole < EXACT:
        stated = "Copies of both optimizers make the same updates of the same gradients."
        findings.control("optimizer", stated, 0.0, whole)
        return False
    if _made_up(first, second, real, whole, experiment):
        stated = "The optimizers are configured differently, and a loop makes up for it: distance of the first updates."
        findings.control("optimizer", stated, 0.0, real)
        return False
    if type(one) is not type(other):
        _report(findings, OTHER_FIELD, {"class": (type(one).__name__, type(other).__name__)}, whole, "")
        return True
    by_field: dict[Field, dict[str, tuple[Any, Any]]] = {}
    for name, values in _differences(one, other).items():
        by_field.setdefault(FIELDS.get(name, OTHER_FIELD), {})[name] = values
    for field, differing in by_field.items():
        change = effect_of_field(one, first.steps, {name: values[1] for name, values in differing.items()})
        if change > EXACT:
            if field is CLIPPING:
                _report_clips(findings, (first, second), differing, change)
            else:
                _report(findings, field, differing, change, _rate_effect(differing))
    return True


def _main(trace: Trace) -> Any:
    """A side's optimizer without what has other causes: its rate, averaging and accumulation."""
    optimizer = inner(trace.optimizers[-1])
    names = settings(optimizer)
    return copy_of(optimizer, **{name: value for name, value in NEUTRAL.items() if name in names})


def _made_up(first: Trace, second: Trace, real: float, whole: float, experiment: Experiment) -> bool:
    """Whether the updates agree where copies of the optimizers would make different ones."""
    one, other = _main(first), _main(second)
    start = _copies_gap(one, other, first.steps[:1])
    if start > MEASURABLE:
        return real < MADE_UP * min(1.0, start)
    # Momentum, for example, makes no difference in step 1.
    steps = _steps(first, second, experiment)
    return steps > 1 and whole > MEASURABLE and _gap(first, second, steps) < MADE_UP * min(1.0, whole)


def _steps(first: Trace, second: Trace, experiment: Experiment) -> int:
    """How many updates can be compared: a scale of the loss is taken out of the first one alone."""
    scaled = abs(experiment.explanation.ratio.scale - 1) >= experiment.tolerance
    return 1 if scaled else min(len(first.steps), len(second.steps))


def _copies_gap(one: Any, other: Any, steps: list[Step]) -> float:
    gradients = [step.gradients for step in steps if step.gradients is not None]
    weights = steps[0].weights
    assert weights is not None
    return gap(updates(copy_of(one), weights, gradients), updates(copy_of(other), weights, gradients))


def _differences(one: Any, other: Any) -> dict[str, tuple[Any, Any]]:
    """The settings in which two optimizers differ."""
    first, second = comparable(one), comparable(other)
    names = [name for name in first if first[name] != second.get(name)]
    return {name: (settings(one)[name], settings(other).get(name)) for name in names}


def _rate_effect(differing: Mapping[str, tuple[Any, Any]]) -> str:
    rates = differing.get("learning_rate")
    if rates is None or not all(isinstance(rate, int | float) and rate for rate in rates):
        return ""
    return f" A rate {rates[1] / rates[0]:.6g} times as large makes updates as many times as large."


def _report(
    findings: Findings,
    field: Field,
    values: Mapping[str, tuple[Any, Any]],
    change: float,
    effect: str,
    *,
    title: str = "",
    more: tuple[Evidence, ...] = (),
) -> None:
    stated = _describe(values)
    findings.cause(
        Cause(
            reason=field.reason,
            title=title or f"{field.title}: {stated}",
            evidence=(
                evidence("configuration", f"First and second: {stated}."),
                evidence("update_gap", "Copies of the first optimizer, without and with this difference.", 0.0, change),
                *more,
            ),
            consequence=f"Given the same gradients, the updates differ by {multiple(change)} their norm.{effect}",
            fix=field.fix,
        ),
        Effect.TRAINING,
        finite(change),
    )


def _report_clips(findings: Findings, traces: Pair, values: Mapping[str, tuple[Any, Any]], change: float) -> None:
    field, title = replace(CLIPPING, fix=_clips_fix(*traces)), ""
    if any(clips.changes(trace) for trace in traces):
        title = _clips_title(*traces)
    _report(findings, field, values, change, "", title=title, more=clips.measured(*traces))


def _clips_title(first: Trace, second: Trace) -> str:
    return f"{CLIPPING.title}: first {clips.stated(first, second)}, second {clips.stated(second, first)}"


def _clips_fix(first: Trace, second: Trace) -> str:
    pairs = ((first, second, "first"), (second, first, "second"))
    scaled = [name for one, other, name in pairs if clips.scaled_limit(one, other) is not None]
    if not scaled:
        return CLIPPING.fix
    return (
        f"Divide the {scaled[0]} side's gradients by the loss scale first, and clip them after that, or leave the "
        f"clipping to the inner optimizer."
    )


def _describe(values: Mapping[str, tuple[Any, Any]]) -> str:
    return ", ".join(f"{name} {_value(first)} and {_value(second)}" for name, (first, second) in values.items())


def _value(value: Any) -> str:
    if isinstance(value, Schedule):
        parts = ", ".join(f"{name}={_value(part)}" for name, part in options(value).items())
        return f"{type(value).__name__}({parts})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _by_hand(first: Trace, second: Trace, real: float, findings: Findings, experiment: Experiment) -> bool:
    """Whether a loop clips the gradient between the tape and the optimizer in its own way."""
    if real < ROUNDING or Reason.LOSS_SCALING in findings.reasons or not clips.by_hand(first, second):
        return False
    if _handed_on(first, second, experiment) is not None:
        return False
    findings.cause(
        Cause(
            reason=CLIPPING.reason,
            title=_clips_title(first, second),
            evidence=(
                *clips.measured(first, second),
                evidence("update_gap", "Distance of the first updates, relative to their norm.", 0.0, real),
            ),
            consequence=f"The first update differs by {multiple(real)} its norm.",
            fix=_clips_fix(first, second),
        ),
        Effect.TRAINING,
        finite(real),
    )
    return True


def _clips_later(experiment: Experiment, findings: Findings) -> bool:
    """Whether a side clips gradients that come only after the first batch, at the place where the replays part."""
    first, second = traces = experiment.comparison.traces
    parted = experiment.comparison.first
    if parted is None or parted.place not in ("applied gradient", "update"):
        return False
    steps = [step for trace in traces for step in trace.updates_made[parted.update].steps]
    if len(steps) != len(traces) or not all(clips.only_clips(trace) for trace in traces):
        return False
    applied = gap(*(clips.remaining(trace, step) for trace, step in zip(traces, steps, strict=True)))
    if applied <= experiment.comparison.tolerance_at(parted.update):
        return False
    number = parted.update + 1
    findings.cause(
        Cause(
            reason=CLIPPING.reason,
            title=_clips_title(first, second) + (f", from update {number} on" if parted.update else ""),
            evidence=(
                *clips.lengths(steps, f"gradient of update {number}"),
                evidence("applied_gap", f"Distance of the gradients of update {number} after all clips.", 0.0, applied),
            ),
            consequence=f"The clipped gradient of update {number} differs by {multiple(applied)} its norm.",
            fix=_clips_fix(first, second),
        ),
        Effect.TRAINING,
        finite(applied),
    )
    return True


def _decay(first: Trace, second: Trace, findings: Findings, experiment: Experiment, real: float) -> bool:
    """Whether the first updates differ by a multiple of the weights: a decay that an optimizer leaves out for some."""
    weights = first.steps[0].weights
    if weights is None:
        return False
    left = subtract(second.movement(1), first.movement(1))
    apart = [
        norm([d]) > EXACT * norm([w]) + 1e-9 and norm([d]) > ROUNDING * norm(left)
        for d, w in zip(left, weights, strict=True)
    ]
    found = ratio(
        [w * keep for w, keep in zip(weights, apart, strict=True)],
        [d * keep for d, keep in zip(left, apart, strict=True)],
    )
    if not any(apart) or found.residual > DECAYS:
        return False
    names = joined([name for name, keep in zip(experiment.names, apart, strict=True) if keep])
    side = "second" if found.scale > 0 else "first"
    findings.cause(
        difference(
            Reason.OPTIMIZER,
            f"The {side} side does not decay {names}, the other does",
            [
                evidence(
                    "decay", f"Part of the weights by which the updates of {names} differ.", 0.0, abs(found.scale)
                ),
                evidence("update_gap", "Distance of the first updates, relative to their norm.", 0.0, real),
            ],
            consequence=f"The first update differs by {multiple(real)} its norm.",
            fix="Exclude the same variables from the weight decay on both sides (exclude_from_weight_decay).",
        ),
        Effect.TRAINING,
        finite(real),
    )
    return True


COMPARE = (
    "Compare what happens between tape.gradient and the weights: rates that change, constraints, averages, updates by "
    "hand."
)
# Title and fix.
OTHER = "The same gradients are turned into other updates", COMPARE
LATER = "The updates part later on", COMPARE


def _scaled(first: Trace, second: Trace) -> tuple[str, str] | None:
    """Whether a loop multiplies every gradient by one number before its optimizer receives it."""
    factors = [clips.factor(trace) or 1.0 for trace in (first, second)]
    if abs(factors[0] / factors[1] - 1) < EXACT:
        return None
    side = 0 if abs(factors[0] - 1) > abs(factors[1] - 1) else 1
    return (
        f"The {word(side)} side multiplies every gradient by {factors[side]:.4g} before its optimizer receives it",
        "Apply the gradients of the tape as they are, or change the learning rate instead.",
    )


def _handed_on(first: Trace, second: Trace, experiment: Experiment) -> handed_on.Text | None:
    """What a loop does to its gradients other than a clip, where the optimizers receive different ones."""
    applied = [trace.steps[0].applied for trace in (first, second)]
    if applied[0] is None or applied[1] is None or gap(applied[0], applied[1]) <= clips.SAME:
        return None
    made = (handed_on.explained(trace, word(side), experiment.names) for side, trace in enumerate((first, second)))
    return next((text for text in made if text is not None), None)


def _by_row(first: Trace, second: Trace, experiment: Experiment) -> tuple[str, str] | None:
    """Whether the optimizers are given the same gradient as ``tf.IndexedSlices`` on one side and whole on the other."""
    one, other = (trace.updates_made[0].by_row if trace.updates_made else set() for trace in (first, second))
    if one == other:
        return None
    side = 0 if one - other else 1
    names = joined(experiment.harness.names[place] for place in sorted(one ^ other))
    title = (
        f"The {word(side)} side's optimizer receives the gradient of {names} row by row (tf.IndexedSlices), the "
        f"{word(1 - side)} side's as a whole"
    )
    fix = (
        "Keras squares rows that come several times one by one, and a sum of them as a whole: convert the gradient "
        "with tf.convert_to_tensor on both sides or on neither."
    )
    return title, fix


def _update_rule(first: Trace, second: Trace, real: float, findings: Findings, experiment: Experiment) -> None:
    """Updates that differ although gradients and optimizers do not."""
    steps = _steps(first, second, experiment)
    later = max([real, *(_gap(first, second, step) for step in range(2, steps + 1))])
    measured = [evidence("weights_after_1_step", "Distance of the weights' movement after 1 step.", 0.0, real)]
    if steps > 1:
        stated = f"The same after {steps} steps on one batch."
        measured.append(evidence(f"weights_after_{steps}_steps", stated, 0.0, later))
    if later < max(ROUNDING, experiment.tolerance):
        findings.agree(measured)
        return
    if _decay(first, second, findings, experiment, real):
        return
    if first.optimizers and second.optimizers:
        differing = _differences(*(inner(trace.optimizers[-1]) for trace in (first, second)))
        measured += [evidence("configuration", f"First and second: {_describe(differing)}.")] if differing else []
    title, fix = (
        _scaled(first, second)
        or _handed_on(first, second, experiment)
        or _by_row(first, second, experiment)
        or (OTHER if real >= ROUNDING else LATER)
    )
    findings.cause(
        Cause(
            reason=Reason.UPDATE_RULE,
            title=title,
            evidence=tuple(measured),
            consequence=f"After {steps} {'step' if steps == 1 else 'steps'} the movements differ by {percent(later)} "
            f"of "
            "their length.",
            fix=fix,
        ),
        Effect.TRAINING,
        finite(later),
    )
