"""What a loop and its optimizer do to a gradient before the update is made of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from loopbench.spec import Evidence
from loopbench_diagnose.effects import inner
from loopbench_diagnose.findings import evidence, joined
from loopbench_diagnose.gradients import gap, norm, ratio
from loopbench_diagnose.settings import settings
from loopbench_diagnose.trace import Array, Arrays, Step, Trace

UNCHANGED = "unchanged"
# Relative; what is handed on as it is differs by the rounding of float32 alone.
SAME = 1e-4


@dataclass(frozen=True)
class Way:
    """A way to clip: ``size`` is what it limits, ``clip`` makes gradients of a limit."""

    size: Callable[[Arrays], float]
    clip: Callable[[Arrays, float], Arrays]


def _shortened(gradients: Arrays, length: float, limit: float) -> Arrays:
    return [array * limit / length for array in gradients] if length > limit else gradients


def _each_shortened(gradients: Arrays, limit: float) -> Arrays:
    return [_shortened([array], norm([array]), limit)[0] for array in gradients]


# By the fields of an optimizer's configuration.
CLIPS: dict[str, Way] = {
    "global_clipnorm": Way(norm, lambda gradients, limit: _shortened(gradients, norm(gradients), limit)),
    "clipnorm": Way(lambda gradients: max(norm([array]) for array in gradients), _each_shortened),
    "clipvalue": Way(
        lambda gradients: max(float(np.abs(array).max(initial=0)) for array in gradients),
        lambda gradients, limit: [np.clip(array, -limit, limit) for array in gradients],
    ),
}


@dataclass(frozen=True)
class Clip:
    """A way by its name, and its limit."""

    name: str
    limit: float

    def made(self, gradients: Arrays) -> Arrays:
        """The gradients after it."""
        return CLIPS[self.name].clip(gradients, self.limit)


def configured(trace: Trace) -> list[Clip]:
    """The clips of a side's optimizer."""
    config = settings(inner(trace.optimizers[-1])) if trace.optimizers else {}
    return [Clip(name, config[name]) for name in CLIPS if config.get(name) is not None]


def recognized(trace: Trace) -> Clip | None:
    """The clip that a loop makes by hand: the one that explains what the optimizer was given in every step."""
    pairs = [(s.gradients, s.applied) for s in trace.steps if s.gradients is not None and s.applied is not None]
    changed = [applied for gradients, applied in pairs if gap(gradients, applied) > SAME]
    if not changed or not all(np.isfinite(norm(applied)) for _, applied in pairs):
        return None
    # A gradient that was changed has the size of the limit.
    clips = (Clip(name, max(map(way.size, changed))) for name, way in CLIPS.items())
    fits = (clip for clip in clips if all(gap(clip.made(before), after) < SAME for before, after in pairs))
    return next(fits, None)


def remaining(trace: Trace, step: Step) -> Arrays:
    """The gradients that an optimizer makes an update of: what it was given, after its own clips."""
    gradients = step.applied or []
    for clip in configured(trace):
        gradients = clip.made(gradients)
    return gradients


def scaled_limit(trace: Trace, other: Trace) -> float | None:
    """The limit of a loop that clips gradients by hand that are still scaled, None of any other loop.

    In the scale of the loss it is then the limit of the other side.
    """
    clip, scale = recognized(trace), trace.steps[0].loss_scale
    if clip is None or scale == 1:
        return None
    limits = [one.limit for one in (*configured(other), recognized(other)) if one is not None]
    return next((limit for limit in limits if abs(clip.limit * scale / limit - 1) < SAME), None)


def stated(trace: Trace, other: Trace) -> str:
    """How a side clips, by configuration and by hand."""
    parts = [f"{clip.name} {clip.limit:g}" for clip in configured(trace)]
    return joined([*parts, *_stated_by_hand(trace, other)] or ["not at all"])


def _stated_by_hand(trace: Trace, other: Trace) -> list[str]:
    clip, scaled = recognized(trace), scaled_limit(trace, other)
    if clip is None:
        return [made for made in _changes(trace) if made != UNCHANGED][:1]
    if scaled is not None:
        scale = trace.steps[0].loss_scale
        return [f"{clip.name} {scaled:g} by hand before the gradients are divided by the loss scale of {scale:g}"]
    return [f"{clip.name} {clip.limit:.4g} by hand"]


def changes(trace: Trace) -> bool:
    """Whether a loop changes a gradient."""
    return any(made != UNCHANGED for made in _changes(trace))


def by_hand(first: Trace, second: Trace) -> bool:
    """Whether the optimizers are given different gradients, of which at least one is not what the tape gave."""
    one, other = first.steps[0].applied, second.steps[0].applied
    if one is None or other is None or all(factor(trace) is not None for trace in (first, second)):
        return False
    return any(_change(trace.steps[0]) != UNCHANGED for trace in (first, second)) and gap(one, other) > SAME


def shortens(trace: Trace) -> bool:
    """Whether a loop makes values of its gradients smaller, and none larger or of another sign."""
    return all(
        step.applied is not None and all(map(_is_inside, step.gradients, step.applied))
        for step in trace.steps
        if step.gradients is not None
    )


def _is_inside(before: Array, after: Array) -> bool:
    margin = SAME * np.abs(before).max(initial=0)
    low, high = np.minimum(before, 0) - margin, np.maximum(before, 0) + margin
    return bool(((low <= after) & (after <= high)).all())


def only_clips(trace: Trace) -> bool:
    """Whether a loop hands its gradients on as they are, or does no more than clip them."""
    if recognized(trace) is not None:
        return True
    pairs = [(step.gradients, step.applied) for step in trace.steps if step.gradients is not None]
    shortened = all(after is not None and _is_shortened(before, after) for before, after in pairs)
    # A factor that no gradient escapes is no clip.
    return shortened and UNCHANGED in _changes(trace)


def _is_shortened(before: Arrays, after: Arrays) -> bool:
    """Whether all variables have one factor of at most 1.

    TensorFlow takes the norm of ``tf.IndexedSlices`` row by row, so the sum of the rows has another limit every time.
    """
    made = ratio(before, after)
    return made.residual < SAME and made.scale < 1 + SAME


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
        *lengths((first.steps[0], second.steps[0]), "first gradient"),
        evidence("update_lengths", "Length of the first update, first and second.", *moved),
    )


def lengths(steps: Sequence[Step], which: str) -> tuple[Evidence, ...]:
    """The lengths of a gradient before and after a loop changes it, of both sides."""
    return tuple(
        evidence(
            f"{name}_lengths",
            f"Length of the {name} side's {which}, and of what its optimizer was given: {_change(step)}.",
            norm(step.gradients or []),
            norm(step.applied or []),
        )
        for step, name in zip(steps, ("first", "second"), strict=True)
    )


def _changes(trace: Trace) -> list[str]:
    return [_change(step) for step in trace.steps if step.gradients is not None]


def _change(step: Step) -> str:
    """What a loop does to its gradient before the optimizer has it, in words."""
    if step.applied is None or step.gradients is None:
        return "not given to the optimizer"
    made = ratio(step.gradients, step.applied)
    if made.residual < SAME:
        return UNCHANGED if abs(made.scale - 1) < SAME else "all variables by one factor"
    each = [ratio([before], [after]).residual for before, after in zip(step.gradients, step.applied, strict=True)]
    return "each variable by a separate factor" if max(each) < SAME else "each value for itself"
