"""The loss: what the gradient of the outputs says of its function, its labels, its mask and its weights."""

from typing import Any

import numpy as np

from loopbench.spec import Effect, Evidence, Reason
from loopbench_diagnose.comparison import distance
from loopbench_diagnose.data import leaves
from loopbench_diagnose.effects import effect_of_gap, finite
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import GRADIENT_GAP, Findings, difference, evidence, joined, multiple, percent, word
from loopbench_diagnose.gradients import gap, norm, ratio, subtract
from loopbench_diagnose.interventions import COLUMN_LABELS
from loopbench_diagnose.losses import BROADCAST, Fit, as_outputs, gradient_of_logits, identify
from loopbench_diagnose.orders import indices
from loopbench_diagnose.penalties import OF_OUTPUTS, OF_WEIGHTS, multiple_of
from loopbench_diagnose.probes.explained import CAUSES
from loopbench_diagnose.trace import Array, LossCall, OutputGradient, Step

FITS = 1e-3
# Lengths of gradients, of the largest, that are none.
SMALLEST = 1e-7
# Any few values are a multiple of something.
FEWEST_VALUES = 6
# Factors of positions that are the same number.
SAME_FACTOR = 1e-3


def probe(experiment: Experiment, findings: Findings) -> None:  # noqa: C901, PLR0911  one early end a case
    """Compares the gradients of the outputs where those of the weights differ."""
    if (
        experiment.explanation.closed
        or not experiment.same_inputs
        or findings.reasons & {Reason.NOT_REPEATABLE, Reason.ACCUMULATION}
    ):
        return
    if experiment.parts_by_order:
        _pairs(experiment, findings)
        return
    first, second = experiment.matched
    if not first.steps or not second.steps:
        return
    steps = first.steps[0], second.steps[0]
    if not all(np.isfinite(g.gradient).all() for step in steps for g in step.output_gradients):
        return
    if experiment.models_differ:
        _named(experiment, findings, steps, certain=True)
        return
    parts = _paired(steps)
    if _given_labels(experiment, findings, steps):
        return
    if parts is None:
        _penalty(experiment, findings)
        if Reason.REGULARIZATION not in findings.reasons:
            _named(experiment, findings, steps, certain=True)
        return
    if not _apart(experiment, parts):
        _penalty(experiment, findings)
        return
    for kind in (_labels, _loss_weights, _mask, _sample_weights, _output_penalty):
        if kind(experiment, findings, steps, parts):
            return
    if not _named(experiment, findings, steps, certain=False):
        _unnamed(experiment, findings, parts)


def _pairs(experiment: Experiment, findings: Findings) -> None:
    """In one order the sides agree; shuffled, one of them gives the samples the labels of others."""
    changes = [experiment.order_gap(side) for side in (0, 1)]
    side = 0 if changes[0] > changes[1] else 1
    _report(
        findings,
        Reason.PAIRS_SHUFFLED_APART,
        f"The {word(side)} side trains on samples with the labels of other samples: its shuffles take them apart",
        [
            evidence("gradient_gap", GRADIENT_GAP, 0.0, _size(experiment)),
            evidence("gradient_gap_without_cause", "The same where nothing shuffles.", 0.0, experiment.ordered_gap),
        ],
        _size(experiment),
        "Shuffle samples and labels together: one permutation for both, or a dataset of pairs.",
        side,
    )


Parts = list[tuple[OutputGradient, OutputGradient]]
Steps = tuple[Step, Step]


def _paired(steps: Steps) -> Parts | None:
    """The gradients of the same outputs, samples in the same order; None where they cannot be paired."""
    one, other = (step.output_gradients for step in steps)
    if not one or len(one) != len(other) or len(steps[0].call.rows) != len(steps[1].call.rows):
        return None
    places = _places(steps)
    made = []
    for a, b in zip(one, other, strict=True):
        if a.gradient.shape != b.gradient.shape:
            return None
        if places is not None and len(b.gradient) == len(places):
            b = OutputGradient(b.values[places], b.gradient[places], b.of_logits)  # noqa: PLW2901
        pair = _alike(a, b)
        if pair is None:
            return None
        made.append(pair)
    return made


def _alike(a: OutputGradient, b: OutputGradient) -> tuple[OutputGradient, OutputGradient] | None:
    """Both gradients of the outputs, or both of the logits behind them; None where one is of something else."""
    if a.of_logits == b.of_logits or not (a.gradient.any() and b.gradient.any()):
        return a, b
    if a.of_logits:
        found = gradient_of_logits(b, a.values)
        return None if found is None else (a, found)
    found = gradient_of_logits(a, b.values)
    return None if found is None else (found, b)


def _apart(experiment: Experiment, parts: Parts) -> list[tuple[int, OutputGradient, OutputGradient]]:
    """The gradients that differ, with the numbers of their outputs."""
    differ = (distance(a.gradient, b.gradient) > experiment.tolerance for a, b in parts)
    return [(place, *parts[place]) for place, differs in enumerate(differ) if differs]


def _places(steps: Steps) -> Any:
    """Where the second's step holds the samples of the first's; None where both are in the same order."""
    one, other = (step.call.rows for step in steps)
    if one == other or sorted(one) != sorted(other):
        return None
    return indices(one, other)


def _labels_of(experiment: Experiment, step: Step) -> Any:
    """The labels of a step's samples, as the data has them."""
    data = experiment.first(experiment.batch_size)
    found = indices(step.call.rows, experiment.rows(data)) if experiment.known.issuperset(step.call.rows) else None
    if found is None and len(step.call.rows) == len(data):
        found = np.arange(len(data))
    if found is None:
        return None
    rows = data.rows(found)
    return rows.x if rows.y is None else rows.y


def _fits_of(experiment: Experiment, step: Step) -> list[Fit | None]:
    labels = leaves(_labels_of(experiment, step))
    given = step.output_gradients
    if len(labels) != len(given):
        labels = labels * len(given) if len(labels) == 1 else [None] * len(given)
    return [None if y is None else identify(y, g) for y, g in zip(labels, given, strict=True)]


def _report(  # noqa: PLR0917  the parts of a cause, in the order in which they are read
    findings: Findings,
    reason: Reason,
    title: str,
    measured: list[Evidence],
    size: float,
    fix: str,
    side: int | None = None,
) -> bool:
    findings.cause(
        difference(reason, title, measured, consequence=effect_of_gap(size), fix=fix, side=side),
        Effect.TRAINING,
        finite(size),
    )
    return True


def _size(experiment: Experiment) -> float:
    return experiment.explanation.ratio.residual


# Labels.


def _given_labels(experiment: Experiment, findings: Findings, steps: Steps) -> bool:
    """Keras's losses say which labels they are given."""
    given = [_given(step) for step in steps]
    relation = _swapped(steps, given)
    if relation is None and all(given):
        relation = _other_labels(given[0], given[1], steps)
    if relation is None:
        return False
    names = [calls[0].name if calls else "" for calls in given]
    stated = f"{relation}; both losses are {names[0]}" if names[0] == names[1] else relation
    _report(
        findings,
        Reason.LABELS,
        f"The losses are given different labels: {stated}",
        _values(given),
        _size(experiment),
        "Prepare the labels in the same way on both sides, and pass them first: loss(labels, outputs).",
    )
    if all(names) and len({SAME_LOSS.get(name, name) for name in names}) > 1:
        _named(experiment, findings, steps, certain=True)
    return True


def _labels(experiment: Experiment, findings: Findings, steps: Steps, parts: Parts) -> bool:
    """Losses of which Keras knows nothing are identified by the gradient, with their labels."""
    if all(_given(step) for step in steps):
        return False
    fits = [_fits_of(experiment, step) for step in steps]
    for one, other in zip(*fits, strict=True):
        if one is None or other is None or not (one.fits and other.fits) or one.labels == other.labels:
            continue
        if BROADCAST in (one.labels, other.labels):
            side = 0 if one.labels == BROADCAST else 1
            known = CAUSES[COLUMN_LABELS]
            return _report(
                findings,
                known.reason,
                f"The {word(side)} side {known.title}",
                [*_fit_evidence((one, other)), *_gaps(parts)],
                _size(experiment),
                known.fix,
                side,
            )
        words = [fit.labels or "labels as given" for fit in (one, other)]
        _report(
            findings,
            Reason.LABELS,
            f"The losses are of different labels: first of {words[0]}, second of {words[1]}",
            [*_fit_evidence((one, other)), *_gaps(parts)],
            _size(experiment),
            "Prepare the labels in the same way on both sides.",
            1 if not one.labels else 0 if not other.labels else None,
        )
        if one.name != other.name:
            _loss_function(experiment, findings, (one, other))
        return True
    return False


def _given(step: Step) -> list[LossCall]:
    """The Keras losses of a step, where there is one for each output and all their labels are known."""
    calls = step.losses
    if len(calls) != len(leaves(step.call.outputs)) or any(call.labels is None for call in calls):
        return []
    return calls


def _other_labels(one: list[LossCall], other: list[LossCall], steps: Steps) -> str | None:
    """How the labels of two losses differ, in words; None where they agree."""
    places = _places(steps)
    outputs = leaves(steps[0].call.outputs)
    for number, (a, b) in enumerate(zip(one, other, strict=True)):
        if a.labels is None or b.labels is None:
            continue
        values = outputs[number] if len(outputs) == len(one) else outputs[0]
        first, second = (as_outputs(call.labels, values) for call in (a, b))
        if first is None or second is None:
            first, second = a.labels, b.labels
        if places is not None and len(second) == len(places):
            second = second[places]
        if first.shape != second.shape or np.allclose(first, second, rtol=1e-5, atol=1e-6):
            continue
        return _relation(first, second)
    return None


def _swapped(steps: Steps, given: list[list[LossCall]]) -> str | None:
    """Whether one side's loss is given the outputs for labels, in words."""
    sides = [
        side
        for side, calls in enumerate(given)
        if any(
            call.labels is not None and call.labels.shape == values.shape and distance(call.labels, values) < FITS
            for call, values in zip(calls, leaves(steps[side].call.outputs), strict=False)
        )
    ]
    if len(sides) != 1:
        return None
    return f"the {word(sides[0])} loss takes the outputs for labels: its arguments are swapped"


def _relation(first: Array, second: Array) -> str:
    """The second labels from the first: a · labels + b, where that fits."""
    if first.ndim > 1 and first.shape[-1] > 1 and np.isin(first, (0, 1)).all():
        share = float((first != second).any(axis=-1).mean())
        return f"{percent(share)} of the classes are others on the second side"
    columns = np.stack([first.ravel(), np.ones(first.size)], axis=1)
    found, *_ = np.linalg.lstsq(columns, second.ravel(), rcond=None)
    if distance(columns @ found, second.ravel()) < FITS:
        return f"the second's are {found[0]:.5g} · the first's {found[1]:+.5g}"
    return "the second's are no multiple of the first's"


def _values(given: list[list[LossCall]]) -> list[Evidence]:
    return [
        evidence(
            f"{word(side)}_labels",
            f"The {word(side)} side's labels: {call.labels.min():.5g} to {call.labels.max():.5g}, mean "
            f"{call.labels.mean():.5g}.",
        )
        for side, calls in enumerate(given)
        for call in calls
        if call.labels is not None and call.labels.size
    ]


def _gaps(parts: Parts) -> list[Evidence]:
    return [
        evidence(
            "output_gradient_gap" if not place else f"output_gradient_gap/{place}",
            "Distance of the gradients of the outputs, on the same outputs.",
            0.0,
            distance(a.gradient, b.gradient),
        )
        for place, (a, b) in enumerate(parts)
    ]


# Weights of outputs.


def _loss_weights(experiment: Experiment, findings: Findings, _: Steps, parts: Parts) -> bool:
    if len(parts) == 1:
        return False
    found = [ratio([a.gradient], [b.gradient]) for a, b in parts if a.gradient.any() and b.gradient.any()]
    if not found or any(one.residual > FITS for one in found):
        return False
    scales = [_weight(a, b) for a, b in parts]
    return _report(
        findings,
        Reason.LOSS_WEIGHTS,
        f"The outputs' losses are weighted differently: second over first "
        f"{', '.join(f'{scale:.5g}' for scale in scales)}",
        [
            evidence(f"loss_weight/{place}", f"Gradient of output {place + 1}, second over first.", 1.0, scale)
            for place, scale in enumerate(scales)
        ]
        + [
            evidence(f"gradient_ratio/{name}", f"First gradient of {name}, second over first.", 1.0, value)
            for name, value in zip(experiment.names, experiment.explanation.ratio.by_variable, strict=False)
            if np.isfinite(value)
        ],
        _size(experiment),
        "Give both sides the same loss_weights: compile(loss_weights=…), and the same factors in the sum by hand.",
    )


def _weight(a: OutputGradient, b: OutputGradient) -> float:
    if a.gradient.any():
        return ratio([a.gradient], [b.gradient]).scale if b.gradient.any() else 0.0
    return float("inf") if b.gradient.any() else 1.0


# Masks and weights of samples.


def _factors(a: Array, b: Array) -> tuple[Array, Any, Any] | None:
    """Second over first at every position, and where either is zero; None where they are not proportional."""
    if a.ndim > 1:
        size, other = np.linalg.norm(a, axis=-1), np.linalg.norm(b, axis=-1)
        product = (a * b).sum(axis=-1)
    else:
        size, other, product = np.abs(a), np.abs(b), a * b
    largest = max(float(size.max(initial=0)), float(other.max(initial=0)))
    none, none_other = size <= SMALLEST * largest, other <= SMALLEST * largest
    both = ~none & ~none_other
    along = product[both] / size[both]
    across = np.sqrt(np.maximum(0.0, other[both] ** 2 - along**2))
    if not both.any() or (along < 0).any() or (across > FITS * other[both] + 10 * SMALLEST * largest).any():
        return None
    factors = np.where(both, other / np.where(both, size, 1), np.nan)
    return factors, none, none_other


def _few(values: Array, most: int = 1) -> bool:
    """Whether the values are a few distinct numbers."""
    found = np.sort(values[np.isfinite(values)])
    return found.size > 0 and 1 + int((np.diff(found) > SAME_FACTOR * np.abs(found[1:])).sum()) <= most


def _mask(experiment: Experiment, findings: Findings, _: Steps, parts: Parts) -> bool:
    for _place, a, b in _apart(experiment, parts):
        found = _factors(a.gradient, b.gradient)
        if found is None:
            continue
        factors, none, none_other = found
        only_first, only_second = float((none & ~none_other).mean()), float((none_other & ~none).mean())
        masked = bool((none & none_other).any())
        by_sample = factors.ndim > 1 and all(_few(row) for row in factors if np.isfinite(row).any())
        if only_first or only_second:
            if not (_few(factors) or by_sample):
                continue
            side = 1 if only_first else 0
            share = only_first or only_second
            title = (
                f"The {word(side)} side takes {percent(share)} of the positions into the loss that the "
                f"{word(1 - side)} side masks"
            )
        elif masked and (by_sample or _few(factors)):
            side, share = None, float((none & none_other).mean())
            title = (
                "The masked losses are divided by different numbers: of all positions, of those that count, or "
                "sample by sample"
            )
        else:
            continue
        return _report(
            findings,
            Reason.MASK,
            title,
            [
                evidence(
                    "masked",
                    "Share of positions without a gradient, first and second.",
                    float(none.mean()),
                    float(none_other.mean()),
                ),
                *_gaps(parts),
            ],
            _size(experiment),
            "Multiply the loss of every position by the mask (outputs._keras_mask, or model.compute_mask) and divide "
            "by the sum "
            "of the mask, on both sides.",
            side,
        )
    return False


def _sample_weights(experiment: Experiment, findings: Findings, steps: Steps, parts: Parts) -> bool:
    """A factor for every sample, which its class or its weight explains."""
    labels = leaves(_labels_of(experiment, steps[0]))
    for place, a, b in _apart(experiment, parts):
        found = _factors(a.gradient, b.gradient)
        if found is None:
            continue
        factors = found[0].reshape(len(found[0]), -1)
        if not all(_few(row) for row in factors if np.isfinite(row).any()):
            continue
        by_sample = np.nanmean(factors, axis=1)
        stated = _explained_by(by_sample, labels[min(place, len(labels) - 1)] if labels else None, a)
        if stated is None:
            continue
        return _report(
            findings,
            Reason.SAMPLE_WEIGHTS,
            f"The sides weight the samples differently: {stated}",
            [
                evidence(
                    "weights",
                    f"Factors of the samples, second over first: {np.nanmin(by_sample):.5g} to "
                    f"{np.nanmax(by_sample):.5g}.",
                ),
                *_gaps(parts),
            ],
            _size(experiment),
            "Use the same sample and class weights on both sides.",
        )
    return False


def _explained_by(by_sample: Array, labels: Any, given: OutputGradient) -> str | None:
    if labels is not None:
        hot = as_outputs(labels, given.values)
        y = np.asarray(labels) if hot is None else hot
        classes = y.argmax(axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(len(y), -1)[:, 0]
        if classes.ndim == 1 and 1 < len(np.unique(classes)) <= max(2, len(classes) // 2):
            groups = {value: by_sample[classes == value] for value in np.unique(classes)}
            if all(_few(group) for group in groups.values() if np.isfinite(group).any()):
                each = ", ".join(f"{value:g}: {np.nanmean(group):.4g}" for value, group in groups.items())
                return f"by class, second over first ({each})"
    # With three and more outputs a factor a sample is seen without knowing why.
    return "every sample has its own factor" if given.values.shape[-1] > 2 else None  # noqa: PLR2004


# Penalties of outputs.


def _output_penalty(experiment: Experiment, findings: Findings, _: Steps, parts: Parts) -> bool:
    """Differences of all outputs' gradients that are multiples of a penalty's gradient."""
    apart = _apart(experiment, parts)
    fits = [_penalty_of(a, b) for _, a, b in apart]
    known = [(place, *fit) for (place, _, _), fit in zip(apart, fits, strict=True) if fit is not None]
    if len(known) < len(fits):
        return False
    stated = joined([f"{times:.5g} times {words} of output {place + 1}" for place, words, times in known])
    return _report(
        findings,
        Reason.REGULARIZATION,
        f"The outputs are penalized differently: per sample, the second gradient of the outputs holds {stated} more "
        f"than the first",
        [
            *(
                evidence(f"penalty/{place}", f"Multiple of {words}, second less first.", 0.0, times)
                for place, words, times in known
            ),
            *_gaps(parts),
        ],
        _size(experiment),
        "Add the same penalties of outputs to both losses, with the same factors.",
    )


def _penalty_of(a: OutputGradient, b: OutputGradient) -> tuple[str, float] | None:
    """The penalty, in words, and its multiple in ``b`` less that in ``a``, per sample."""
    if a.of_logits or b.of_logits or a.gradient.size < FEWEST_VALUES:
        return None
    left = [b.gradient - a.gradient]
    penalties = {words: made(a.values) for words, made in OF_OUTPUTS.items()}
    # Signs that are all the same may as well be a shift of the labels.
    fits = ((words, multiple_of([one], left)) for words, one in penalties.items() if np.ptp(one) > 0)
    return next(((words, len(a.values) * times) for words, times in fits if times is not None), None)


# The function.


def _named(experiment: Experiment, findings: Findings, steps: Steps, *, certain: bool) -> bool:
    """Identifies both losses; where the outputs agree, a side that is not identified is another loss as well."""
    fits = [_fits_of(experiment, step) for step in steps]
    for one, other in zip(*fits, strict=False):
        if one is None or other is None:
            continue
        if one.fits and other.fits and one.twice != other.twice:
            return _activated_twice(experiment, findings, (one, other))
        if one.fits and other.fits and one.name != other.name:
            return _loss_function(experiment, findings, (one, other))
        if one.fits != other.fits and not certain:
            return _loss_function(experiment, findings, (one, other))
    calls = [[(call.name, _options(call)) for call in step.losses] for step in steps]
    if all(calls) and _canonical(calls[0]) != _canonical(calls[1]) and len(calls[0]) == len(calls[1]):
        stated = [joined([f"{name}{options}" for name, options in side]) for side in calls]
        return _report(
            findings,
            Reason.LOSS_FUNCTION,
            f"The losses differ: {stated[0]} and {stated[1]}",
            [evidence("losses", f"Keras losses that are computed, first: {stated[0]}; second: {stated[1]}.")],
            _size(experiment),
            "Use the same loss with the same options on both sides.",
        )
    return False


def _activated_twice(experiment: Experiment, findings: Findings, fits: tuple[Fit, Fit]) -> bool:
    side = 1 if fits[1].twice else 0
    return _report(
        findings,
        Reason.FROM_LOGITS,
        f"The {word(side)} side applies {fits[side].twice} to the outputs before a loss that applies it to them again",
        _fit_evidence(fits),
        _size(experiment),
        f"Give the loss the outputs as they are, or from_logits=False behind {fits[side].twice}.",
        side,
    )


def _unnamed(experiment: Experiment, findings: Findings, parts: Parts) -> None:
    """Losses that are not in the table, where equal outputs have other gradients."""
    if any(distance(a.values, b.values) > experiment.tolerance for a, b in parts):
        return
    measured = [
        evidence(
            f"output_gradient_gap/{place}",
            f"Distance of the gradients of output {place + 1} on equal outputs, relative to their norm.",
            0.0,
            distance(a.gradient, b.gradient),
        )
        for place, a, b in _apart(experiment, parts)
    ]
    _report(
        findings,
        Reason.LOSS_FUNCTION,
        "The losses differ: they give equal outputs other gradients, and no known loss explains these",
        measured,
        _size(experiment),
        "Compare the two losses on one batch: what they sum, average and divide over, and the labels that they get.",
    )


# Losses that are the same of labels in another form.
SAME_LOSS = {"sparse_categorical_crossentropy": "categorical_crossentropy"}


def _canonical(calls: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(SAME_LOSS.get(name, name), options) for name, options in calls]


def _options(call: LossCall) -> str:
    stated = {
        name: value
        for name, value in call.options.items()
        if name not in ("reduction", "from_logits", "axis") and value not in (None, 0, 0.0)
    }
    return f"({', '.join(f'{name}={value}' for name, value in stated.items())})" if stated else ""


def _fit_evidence(fits: tuple[Fit, Fit]) -> list[Evidence]:
    return [
        evidence(
            f"{word(side)}_loss",
            f"The {word(side)} side's loss is {fit}; relative residual of the fit.",
            0.0,
            fit.residual,
        )
        for side, fit in enumerate(fits)
    ]


def _loss_function(experiment: Experiment, findings: Findings, fits: tuple[Fit, Fit]) -> bool:
    return _report(
        findings,
        Reason.LOSS_FUNCTION,
        f"The losses differ: the first is {fits[0]}, the second {fits[1]}",
        _fit_evidence(fits),
        _size(experiment),
        "Use the same loss with the same options on both sides.",
    )


# What is added beyond the outputs.


def _penalty(experiment: Experiment, findings: Findings) -> None:
    """A difference of the weights' gradients, on equal gradients of the outputs, that is a penalty of the weights."""
    first, second = (trace.steps[0] for trace in experiment.batch())
    if first.gradients is None or second.gradients is None or first.weights is None:
        return
    left = subtract(second.gradients, first.gradients)
    whole = max(norm(first.gradients), norm(second.gradients))
    penalties = {
        "the model's own penalty": experiment.penalty_gradient if experiment.has_additional_losses else [],
        **{stated: [made(array) for array in first.weights] for stated, made in OF_WEIGHTS.items()},
    }
    moved = [norm([array]) > experiment.tolerance * whole / 10 for array in left]
    for stated, gradient in penalties.items():
        if not gradient:
            continue
        masked = (
            gradient if stated.startswith("the model") else [g * keep for g, keep in zip(gradient, moved, strict=True)]
        )
        found = multiple_of(masked, left)
        if found is None:
            continue
        share = norm(left) / whole if whole else float("inf")
        findings.cause(
            difference(
                Reason.REGULARIZATION,
                f"The second side's gradient holds {found:.5g} times the gradient of {stated} more than the first's",
                [
                    evidence("penalty", f"Multiple of {stated} in the difference of the gradients.", 0.0, found),
                    evidence(
                        "gradient_gap", "Distance of the first gradients.", 0.0, gap(first.gradients, second.gradients)
                    ),
                ],
                consequence=f"The gradient differs by {multiple(share)} its norm: weights or outputs are "
                f"penalized differently.",
                fix="Add sum(model.losses) to the loss, once and unscaled, on both sides, and no penalty by hand "
                "beside it.",
            ),
            Effect.TRAINING,
            finite(share),
        )
        return
