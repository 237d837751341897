"""What a loop and its optimizer do to a gradient before the update is made of it."""

from loopbench.spec import Evidence
from loopbench_diagnose.effects import inner
from loopbench_diagnose.findings import evidence, joined
from loopbench_diagnose.gradients import gap, norm, ratio
from loopbench_diagnose.trace import Step, Trace

# Fields of an optimizer's configuration.
CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")
UNCHANGED = "unchanged"
# Relative; what is handed on as it is differs by the rounding of float32 alone.
SAME = 1e-4


def stated(trace: Trace) -> str:
    """How a side clips, by configuration and by hand."""
    config = inner(trace.optimizers[-1]).get_config() if trace.optimizers else {}
    parts = [f"{name} {config[name]:g}" for name in CLIPS if config.get(name) is not None]
    made = _change(trace.steps[0])
    return joined([*parts, *([made] if made != UNCHANGED else [])] or ["not at all"])


def by_hand(first: Trace, second: Trace) -> bool:
    """Whether the optimizers are given different gradients, of which at least one is not what the tape gave."""
    one, other = first.steps[0].applied, second.steps[0].applied
    if one is None or other is None or all(factor(trace) is not None for trace in (first, second)):
        return False
    return any(_change(trace.steps[0]) != UNCHANGED for trace in (first, second)) and gap(one, other) > SAME


def factor(trace: Trace) -> float | None:
    """The factor by which a loop multiplies every gradient, the same in several steps; None where there is none."""
    pairs = [(step.gradients, step.applied) for step in trace.steps]
    made = [ratio(before, after) for before, after in pairs if before is not None and after is not None]
    if len(made) < len(pairs) or any(abs(one.scale / made[0].scale - 1) > SAME for one in made):
        return None
    # A clip of one step would look like a factor.
    known = len(made) > 1 or abs(made[0].scale - 1) < SAME
    return made[0].scale if known and max(one.residual for one in made) < SAME else None


def measured(first: Trace, second: Trace) -> tuple[Evidence, ...]:
    """What comes of it."""
    moved = [norm(trace.movement(1)) for trace in (first, second)]
    return (
        *(_lengths(trace.steps[0], name) for trace, name in ((first, "first"), (second, "second"))),
        evidence("update_lengths", "Length of the first update, first and second.", *moved),
    )


def _lengths(step: Step, name: str) -> Evidence:
    return evidence(
        f"{name}_lengths",
        f"Length of the {name} side's first gradient, and of what its optimizer was given: {_change(step)}.",
        norm(step.gradients or []),
        norm(step.applied or []),
    )


def _change(step: Step) -> str:
    """What a loop does to its gradient before the optimizer has it, in words."""
    if step.applied is None or step.gradients is None:
        return "not given to the optimizer"
    made = ratio(step.gradients, step.applied)
    if made.residual < SAME:
        return UNCHANGED if abs(made.scale - 1) < SAME else "all variables by one factor"
    each = [ratio([before], [after]).residual for before, after in zip(step.gradients, step.applied, strict=True)]
    return "each variable by a separate factor" if max(each) < SAME else "each value for itself"
