"""Finds the fixes that a program needs: the best one first, on top of it the next, and at last none too many."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from loopbench.spec import Reason
from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.program.remedies import (
    Remedy,
    constant,
    head,
    hidden,
    initial,
    optimizer,
    order,
    rate,
    regularization,
    scale,
    updates,
)

# By kind, in the order in which one of several that help alike is preferred.
REMEDIES = (head, constant, order, scale, rate, updates, hidden, regularization, initial, optimizer)

# Levels go from 0, the best constant, to 1. A program at GOOD has no fault that matters; a fix has to bring MARGIN.
GOOD = 0.9
MARGIN = 0.15
# The part of the largest gain that makes a fix as good as the one that has it.
ALIKE = 0.75
MOST_ROUNDS = 3
# Faults that make up for each other.
SLOW = frozenset({Reason.LEARNING_RATE_TOO_LOW, Reason.TOO_FEW_UPDATES})
# Pairs of fixes are tried where the level is lower than this.
BAD = 0.5


@dataclass
class Result:
    """``needed`` are the fixes, and ``changes`` those of all of them."""

    needed: list[Remedy]
    changes: dict[str, Any]


def merged(remedies: Iterable[Remedy]) -> dict[str, Any]:
    """The changes of all of them; a later one has the last word."""
    made: dict[str, Any] = {}
    for remedy in remedies:
        made |= remedy.changes
    return made


def search(bench: Bench) -> Result:
    """The fixes that the program needs: those that are proven, and those that help clearly under every seed."""
    remedies = [remedy for kind in REMEDIES for remedy in kind.remedies(bench)]
    needed = [remedy for remedy in remedies if remedy.proven]
    rest = [remedy for remedy in remedies if not remedy.proven]
    if needed or bench.own_level < GOOD:
        needed = _necessary(bench, _added(bench, needed, rest))
    return Result(needed, merged(needed))


def _added(bench: Bench, needed: list[Remedy], rest: list[Remedy]) -> list[Remedy]:
    for _ in range(MOST_ROUNDS):
        levels = bench.levels(merged(needed))
        if not needed:
            # Trials may do worse than the program by chance.
            levels = [max(level, bench.own_level) for level in levels]
        if min(levels) >= GOOD:
            break
        best = _best(bench, needed, rest, levels)
        if not best:
            break
        needed = [*needed, *best]
        rest = [remedy for remedy in rest if remedy not in best and not _makes_up_for(remedy, best)]
    return needed


def _makes_up_for(remedy: Remedy, made: Iterable[Remedy]) -> bool:
    """Whether it is of the pair of which one is enough: a higher rate, and more updates."""
    return remedy.reason in SLOW and any(one.reason in SLOW and one.reason != remedy.reason for one in made)


def _best(bench: Bench, needed: list[Remedy], rest: Sequence[Remedy], levels: list[float]) -> Sequence[Remedy]:
    """The remedy, or else the pair of remedies, that helps most and clearly; the first of those that help alike."""
    tried = [((remedy,), bench.level(merged([*needed, remedy]))) for remedy in rest]
    found = _first_clear(bench, needed, tried, levels)
    if found or max(levels) > BAD:
        return found
    pairs = _pairs(tried)
    return _first_clear(bench, needed, [(pair, bench.level(merged([*needed, *pair]))) for pair in pairs], levels)


Tried = Sequence[tuple[tuple[Remedy, ...], float]]


def _pairs(tried: Tried) -> Iterator[tuple[Remedy, ...]]:
    """Pairs of the best remedies of every kind of change."""
    best: dict[frozenset[str], tuple[Remedy, float]] = {}
    for (remedy,), level in tried:
        slots = frozenset(remedy.changes)
        if slots not in best or level > best[slots][1]:
            best[slots] = remedy, level
    return ((best[one][0], best[other][0]) for one, other in combinations(best, 2) if not one & other)


def _first_clear(bench: Bench, needed: list[Remedy], tried: Tried, levels: list[float]) -> Sequence[Remedy]:
    ranked = sorted(tried, key=lambda one: -one[1])
    for best, level in ranked:
        gain = level - levels[0]
        if gain < MARGIN:
            break
        if not is_clear(levels, bench.levels(merged([*needed, *best]))):
            continue
        alike = [one for one, reached in tried if reached - levels[0] >= ALIKE * gain]
        clear = [one for one in alike if is_clear(levels, bench.levels(merged([*needed, *one])))]
        return _short_rather_than_slow(clear, tried, levels)
    return ()


def _short_rather_than_slow(clear: list[tuple[Remedy, ...]], tried: Tried, levels: list[float]) -> tuple[Remedy, ...]:
    """The first one; more updates rather than a higher rate, where a rate that is higher still does harm.

    Both make up for each other. A rate is too low where it is far from the rates that are too high.
    """
    by_reason = {one[0].reason: one for one in reversed(clear) if len(one) == 1}
    rates = [reached for (one, *_), reached in tried if one.reason is Reason.LEARNING_RATE_TOO_LOW]
    short = by_reason.get(Reason.TOO_FEW_UPDATES)
    if short and clear[0][0].reason is Reason.LEARNING_RATE_TOO_LOW and rates[-1] <= levels[0]:
        return short
    return clear[0]


def is_clear(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether every seed gains more than the margin."""
    return bool(np.subtract(after, before).min() >= MARGIN)


def _necessary(bench: Bench, needed: list[Remedy]) -> list[Remedy]:
    """Without those that an addition made superfluous; what is proven stays."""
    for remedy in list(needed):
        others = [other for other in needed if other is not remedy]
        if remedy.proven or not others:
            continue
        if not is_clear(bench.levels(merged(others)), bench.levels(merged(needed))):
            needed = others
    return needed
