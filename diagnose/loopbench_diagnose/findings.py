"""Gathers what the probes find."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from loopbench.spec import Cause, Diagnosis, Effect, Evidence, Replay, Side

SIDES = (Side.FIRST, Side.SECOND)
IN_USER_CODE = "in user code:"
# Behind the name of an experiment that raised an exception.
FAILED = ": not tested because "
# The order in which causes are listed.
ORDER = (Effect.TRAINING, Effect.STATE, Effect.REPORT, Effect.ROUNDING)


class Findings:
    """Causes, with what ranks them, controls, and experiments that could not be made.

    ``replay`` is what the causes were found in.
    """

    def __init__(self) -> None:
        self._causes: list[tuple[float, Cause]] = []
        self._controls: list[Evidence] = []
        self._not_tested: list[str] = []
        self._notes: list[str] = []
        self.replay = Replay()

    def cause(self, cause: Cause, effect: Effect, size: float) -> None:
        """Adds a cause; ``size`` ranks causes of the same effect."""
        self._causes.append((size, cause.model_copy(update={"effect": effect})))

    def control(
        self, name: str, description: str, expected: float | None = None, observed: float | None = None
    ) -> None:
        """Adds a measurement that shows no difference."""
        self._controls.append(Evidence(name=name, description=description, expected=expected, observed=observed))

    def agree(self, items: Iterable[Evidence]) -> None:
        """Adds measurements that show no difference."""
        self._controls.extend(items)

    def not_tested(self, what: str, error: BaseException) -> None:
        """Adds an experiment that failed, with the line of its error that says why."""
        lines = str(error).strip().splitlines() or [""]
        # TensorFlow puts the places in the user's code before the error of a tf.function.
        line = lines[-1].strip() if lines[0] == IN_USER_CODE else lines[0]
        kind = type(error).__name__
        line = line.removeprefix(f"{kind}: ")[:300]
        self._not_tested.append(f"{what}{FAILED}{kind} was raised: {line}")

    def left_out(self, sentence: str) -> None:
        """Adds an experiment that cannot be made, with the reason."""
        self._not_tested.append(sentence)

    def note(self, sentence: str) -> None:
        """Adds an observation that is no cause."""
        self._notes.append(sentence)

    @property
    def notes(self) -> tuple[str, ...]:
        """Observations that are no causes."""
        return tuple(self._notes)

    def extend(self, reason: str, items: Iterable[Evidence]) -> None:
        """Adds evidence to a cause that was found before."""
        for place, (size, cause) in enumerate(self._causes):
            if cause.reason == reason:
                self._causes[place] = size, cause.model_copy(update={"evidence": (*cause.evidence, *items)})
                return
        raise KeyError(reason)

    def reword(self, reason: str, effect: Effect, size: float | None = None, **texts: str) -> None:
        """Replaces texts, by field, the effect and the rank of a cause that was found before."""
        self._causes = [
            (known if size is None else size, cause.model_copy(update={"effect": effect, **texts}))
            if cause.reason == reason
            else (known, cause)
            for known, cause in self._causes
        ]

    def drop(self, reasons: Iterable[str]) -> None:
        """Removes causes that another one explains."""
        gone = set(reasons)
        self._causes = [(size, cause) for size, cause in self._causes if cause.reason not in gone]

    @property
    def causes(self) -> tuple[Cause, ...]:
        """So far, as they were found; differences within rounding are not among them."""
        return tuple(cause for _, cause in self._causes if cause.effect is not Effect.ROUNDING)

    @property
    def ranked(self) -> list[tuple[float, Cause]]:
        """The same, each with the size that ranks it, in the order of a diagnosis."""
        known = [found for found in self._causes if found[1].effect is not Effect.ROUNDING]
        return sorted(known, key=lambda found: (ORDER.index(found[1].effect), -found[0]))

    @property
    def reasons(self) -> set[str]:
        """Of the causes so far."""
        return {cause.reason for cause in self.causes}

    def fields(self) -> dict[str, Any]:
        """The fields of a diagnosis, causes in order."""
        ranked = [
            cause for _, cause in sorted(self._causes, key=lambda found: (ORDER.index(found[1].effect), -found[0]))
        ]
        return {
            "causes": tuple(cause for cause in ranked if cause.effect is not Effect.ROUNDING),
            "rounding": tuple(cause for cause in ranked if cause.effect is Effect.ROUNDING),
            "controls": tuple(self._controls),
            "not_tested": tuple(self._not_tested),
            "replay": self.replay,
        }

    def diagnosis(self) -> Diagnosis:
        """All of it, the strongest cause first."""
        return Diagnosis(**self.fields())


def difference(
    reason: str,
    title: str,
    measured: Iterable[Evidence],
    *,
    consequence: str,
    fix: str,
    side: int | None = None,
) -> Cause:
    """A cause; ``side`` is 0 or 1 where one side is at fault."""
    return Cause(
        reason=reason,
        title=title,
        evidence=tuple(measured),
        consequence=consequence,
        fix=fix,
        side=None if side is None else SIDES[side],
    )


def evidence(name: str, description: str, expected: float | None = None, observed: float | None = None) -> Evidence:
    """A measurement; what is expected is what both sides would show without the cause."""
    return Evidence(name=name, description=description, expected=expected, observed=observed)


def word(side: int) -> str:
    """How texts call a side: first or second."""
    return SIDES[side].lower()


def percent(fraction: float) -> str:
    """A share in percent with two significant digits."""
    return f"{float(f'{100 * fraction:.2g}'):g} %"


# Of evidence about first gradients that no number makes equal.
GRADIENT_GAP = "Distance of the first gradients, relative to their norm."


def multiple(factor: float) -> str:
    """A factor with two significant digits, for the beginning of "their norm"."""
    if not np.isfinite(factor):
        return "an infinite multiple of"
    return f"{float(f'{factor:.2g}'):g} times"


def joined(parts: Iterable[str]) -> str:
    """``a, b and c``."""
    *front, last = parts
    return f"{', '.join(front)} and {last}" if front else last
