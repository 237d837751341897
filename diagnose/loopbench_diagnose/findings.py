"""Gathers what the probes find."""

from collections.abc import Iterable
from enum import IntEnum

from loopbench.spec import Cause, Diagnosis, Evidence, Side

SIDES = (Side.FIRST, Side.SECOND)


class Severity(IntEnum):
    """What a cause touches; the higher, the earlier it is told."""

    ROUNDING = 1
    REPORT = 2
    TRAINING = 3


class Findings:
    """Causes, with what ranks them, and controls."""

    def __init__(self) -> None:
        self._causes: list[tuple[Severity, float, Cause]] = []
        self._controls: list[Evidence] = []

    def cause(self, cause: Cause, severity: Severity, size: float) -> None:
        """Adds a cause; ``size`` ranks causes of the same severity."""
        self._causes.append((severity, size, cause))

    def control(
        self, name: str, description: str, expected: float | None = None, observed: float | None = None
    ) -> None:
        """Adds a measurement that shows no difference."""
        self._controls.append(Evidence(name=name, description=description, expected=expected, observed=observed))

    def agree(self, items: Iterable[Evidence]) -> None:
        """Adds measurements that show no difference."""
        self._controls.extend(items)

    def extend(self, reason: str, items: Iterable[Evidence]) -> None:
        """Adds evidence to a cause that was found before."""
        for place, (severity, size, cause) in enumerate(self._causes):
            if cause.reason == reason:
                extended = cause.model_copy(update={"evidence": (*cause.evidence, *items)})
                self._causes[place] = severity, size, extended
                return
        raise KeyError(reason)

    def reword(self, reason: str, severity: Severity, **texts: str) -> None:
        """Says anew what a cause that was found before is, by its fields."""
        self._causes = [
            (severity, size, cause.model_copy(update=texts)) if cause.reason == reason else (known, size, cause)
            for known, size, cause in self._causes
        ]

    @property
    def causes(self) -> tuple[Cause, ...]:
        """So far, as they were found."""
        return tuple(cause for _, _, cause in self._causes)

    @property
    def reasons(self) -> set[str]:
        """Of the causes so far."""
        return {cause.reason for _, _, cause in self._causes}

    def diagnosis(self) -> Diagnosis:
        """All of it, the strongest cause first."""
        ranked = sorted(self._causes, key=lambda found: found[:2], reverse=True)
        return Diagnosis(causes=tuple(cause for _, _, cause in ranked), controls=tuple(self._controls))


def evidence(name: str, description: str, expected: float | None = None, observed: float | None = None) -> Evidence:
    """A measurement; what is expected is what both sides would show without the cause."""
    return Evidence(name=name, description=description, expected=expected, observed=observed)


def word(side: int) -> str:
    """How texts call a side: first or second."""
    return SIDES[side].lower()


def percent(fraction: float) -> str:
    """A share in percent with two significant digits."""
    return f"{float(f'{100 * fraction:.2g}'):g} %"


def joined(parts: Iterable[str]) -> str:
    """``a, b and c``."""
    *front, last = parts
    return f"{', '.join(front)} and {last}" if front else last
