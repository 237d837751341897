"""Learning rates, update by update."""

from typing import Any

from loopbench.spec import Effect, Evidence, Reason
from loopbench.text import counted
from loopbench_diagnose.effects import inner
from loopbench_diagnose.experiment import Experiment
from loopbench_diagnose.findings import Findings, difference, evidence, joined, word
from loopbench_diagnose.gradients import ratio, subtract
from loopbench_diagnose.settings import Schedule, options
from loopbench_diagnose.trace import Trace, Update

# Relative; rates are float32.
SAME = 1e-5
# A movement that is the gradient times a number, within this residual, is one of plain gradient descent.
DESCENT = 1e-3
SHOWN = 4
# Updates beyond the replay at which two schedules are compared.
LATER = (10, 30, 100, 300, 1_000, 3_000, 10_000, 100_000)

Rates = dict[int, float]


def probe(experiment: Experiment, findings: Findings) -> None:
    """Compares the rates of all updates that both sides make, for every variable."""
    traces = experiment.comparison.traces
    made = [[_rates(update) for update in trace.updates_made] for trace in traces]
    pairs = list(zip(*made, strict=False))
    if not pairs or _classes(traces[0]) != _classes(traces[1]):
        return
    apart = [number for number, (one, other) in enumerate(pairs) if _differ(one, other)]
    if not apart:
        _later(experiment, findings)
        return
    changes = [_changes(rates) for rates in made]
    constant = not any(changes) and 0 in apart
    if constant or (len(apart) == len(pairs) and _proportional(pairs)):
        _constant(experiment, findings, pairs[0])
    else:
        _schedule(findings, traces, pairs, apart[0], changes)


def _classes(trace: Trace) -> set[str]:
    return {type(inner(optimizer)).__name__ for optimizer in trace.optimizers} or {"SGD"}


def _rates(update: Update) -> Rates:
    if update.rates or not update.by_hand or update.before is None or update.after is None:
        return update.rates
    gradients = update.steps[-1].gradients
    if gradients is None:
        return {}
    found = ratio(gradients, subtract(update.before, update.after))
    return dict.fromkeys(range(len(gradients)), found.scale) if found.residual < DESCENT else {}


def _differ(one: Rates, other: Rates) -> bool:
    return any(not _close(one[place], other[place]) for place in one.keys() & other.keys())


def _close(first: float, second: float, tolerance: float = SAME) -> bool:
    # Rates of updates by hand are measured.
    return abs(first - second) <= max(tolerance, DESCENT if tolerance == SAME else 0) * max(abs(first), abs(second))


def _changes(rates: list[Rates]) -> bool:
    known: Rates = {}
    return any(any(not _close(known.setdefault(place, rate), rate) for place, rate in made.items()) for made in rates)


def _proportional(pairs: list[tuple[Rates, Rates]]) -> bool:
    """Whether one side's rate is the other's times one number at every update, as of the same schedule."""
    times = [other[place] / one[place] for one, other in pairs for place in one.keys() & other.keys() if one[place]]
    return bool(times) and max(times) - min(times) < DESCENT * max(abs(value) for value in times)


def _constant(experiment: Experiment, findings: Findings, pair: tuple[Rates, Rates]) -> None:
    one, other = pair
    apart = [place for place in sorted(one.keys() & other.keys()) if not _close(one[place], other[place])]
    first, second = one[apart[0]], other[apart[0]]
    some = len(apart) < len(one.keys() & other.keys())
    names = joined([experiment.harness.names[place] for place in apart])
    where = f" of {names}" if some else ""
    findings.cause(
        difference(
            Reason.LEARNING_RATE,
            f"The learning rates{where} differ: learning_rate {first:.6g} and {second:.6g}",
            [
                evidence("configuration", f"First and second: learning_rate {first:.6g} and {second:.6g}."),
                evidence("learning_rate", "Learning rate of the first update, first and second.", first, second),
                evidence(
                    "update_gap",
                    "Relative change of the updates by another rate alone.",
                    0.0,
                    abs(second / first - 1) if first else float("inf"),
                ),
            ],
            consequence=f"A rate {second / first if first else float('inf'):.6g} times as large makes updates as "
            f"many times "
            "as large.",
            fix="Give both optimizers the same learning_rate.",
        ),
        Effect.TRAINING,
        min(abs(second / first - 1), 1e9) if first else 1e9,
    )


def _schedule(
    findings: Findings, traces: tuple[Trace, Trace], pairs: list[tuple[Rates, Rates]], start: int, changes: list[bool]
) -> None:
    values = [[next(iter(rates.values()), float("nan")) for rates in side] for side in zip(*pairs, strict=True)]
    shown = [", ".join(f"{rate:.6g}" for rate in side[start : start + SHOWN]) for side in values]
    changing = [side for side in (0, 1) if changes[side]]
    how = (
        f"only the {word(changing[0])} side's rate changes"
        if len(changing) == 1
        else "the rates change at different updates"
    )
    findings.cause(
        difference(
            Reason.LEARNING_RATE_SCHEDULE,
            f"The learning rates part at update {start + 1}: {how}",
            [
                evidence(
                    "rates",
                    f"Rates from update {start + 1} on, first: {shown[0]}; second: {shown[1]}.",
                    values[0][start],
                    values[1][start],
                ),
                *_words(traces),
            ],
            consequence=f"From update {start + 1} on, the updates have other lengths.",
            fix="Use the same schedule on both sides, and count in the same unit: per update or per epoch.",
        ),
        Effect.TRAINING,
        min(1e9, abs(values[1][start] / values[0][start] - 1)) if values[0][start] else 1e9,
    )


def _words(traces: tuple[Trace, Trace]) -> list[Evidence]:
    """Schedules of Keras's kind with their options."""
    return [
        evidence(f"{word(side)}_schedule", f"The {word(side)} side's schedule: {_describe_schedule(rate)}.")
        for side, trace in enumerate(traces)
        if isinstance(rate := _schedule_of(trace), Schedule)
    ]


def _describe_schedule(rate: Any) -> str:
    stated = ", ".join(f"{name}={value}" for name, value in options(rate).items())
    return f"{type(rate).__name__}({stated})"


def _later(experiment: Experiment, findings: Findings) -> None:
    """Schedules that agree over the replay and differ afterwards."""
    found = [_schedule_of(trace) for trace in experiment.comparison.traces]
    made = len(experiment.comparison.pairs)
    rates = [[update.rates for update in trace.updates_made] for trace in experiment.comparison.traces]
    by_hand = [not callable(rate) and _changes(made) for rate, made in zip(found, rates, strict=True)]
    if None in found or not any(callable(rate) for rate in found) or any(by_hand):
        findings.control("learning_rates", f"The learning rates agree over {counted(made, 'update')}.")
        return
    for step in LATER:
        first, second = (_value(rate, step) for rate in found)
        if step > made and not _close(first, second):
            findings.cause(
                difference(
                    Reason.LEARNING_RATE_SCHEDULE,
                    f"The learning rates agree over {counted(made, 'update')} and differ at update {step:,}: "
                    f"{first:.6g} and {second:.6g}",
                    [evidence("rates", f"Rates of the two schedules at update {step:,}.", first, second)],
                    consequence="In a longer training the updates have other lengths.",
                    fix="Use the same schedule on both sides.",
                ),
                Effect.TRAINING,
                min(1e9, abs(second / first - 1)) if first else 1e9,
            )
            return
    findings.control("learning_rates", f"The learning rates agree over {counted(made, 'update')}.")


def _schedule_of(trace: Trace) -> Any:
    """The schedule of a side's one optimizer, or its rate; None where there is none, or several."""
    if len(trace.optimizers) != 1:
        return None
    rate = getattr(inner(trace.optimizers[0]), "_learning_rate", None)
    return (
        rate
        if callable(rate)
        else next(iter(trace.updates_made[-1].rates.values()), None)
        if trace.updates_made
        else None
    )


def _value(rate: Any, step: int) -> float:
    from loopbench_diagnose.recording.values import float64  # noqa: PLC0415

    return float(float64(rate(step))) if callable(rate) else float(rate)
