"""Finds the fixes that a program needs: the best one first, on top of it the next, and at last none too many."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from loopbench.spec import Reason
from loopbench_diagnose.program.bench import SEEDS, Bench
from loopbench_diagnose.program.remedies import (
    Remedy,
    constant,
    frozen,
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
REMEDIES = (head, constant, order, scale, frozen, rate, updates, hidden, regularization, initial, optimizer)

# Levels go from 0, the best constant, to 1. A program at GOOD has no fault that matters; a fix has to bring MARGIN.
GOOD = 0.9
MARGIN = 0.15
# Settings, of which many help a bit. The fix of another fault may bring LEAST, where it halves what is missing.
SETTINGS = frozenset(
    {
        Reason.LEARNING_RATE_TOO_LOW,
        Reason.LEARNING_RATE_TOO_HIGH,
        Reason.TOO_FEW_UPDATES,
        Reason.MODEL,
        Reason.REGULARIZATION,
        Reason.OPTIMIZER,
    }
)
LEAST = 0.1
# The part of the largest gain that makes a fix as good as the one that has it.
ALIKE = 0.75
# The same where the best is another optimizer: that changes the rate, too.
ALIKE_TO_AN_OPTIMIZER = 0.5
MOST_ROUNDS = 3
# Faults that make up for each other.
SLOW = frozenset({Reason.LEARNING_RATE_TOO_LOW, Reason.TOO_FEW_UPDATES})
# Pairs of fixes are tried where the level is lower than this, and settings on top of other fixes.
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
        levels = [_before(bench, needed, seed) for seed in SEEDS]
        if min(levels) >= GOOD:
            break
        open_ = not needed or np.mean(levels) < BAD
        best = _best(bench, needed, [one for one in rest if open_ or one.reason not in SETTINGS], levels)
        if not best:
            break
        needed = [*needed, *best]
        rest = [remedy for remedy in rest if remedy not in best and not _makes_up_for(remedy, best)]
    return needed


def _before(bench: Bench, needed: Sequence[Remedy], seed: int) -> float:
    """The level without further fixes. A trial without any may do worse than the program by chance."""
    level = bench.level(merged(needed), seed)
    return level if needed else max(level, bench.own_level)


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
    """Pairs of the best remedies of every kind of change, but for two that make up for each other."""
    best: dict[frozenset[str], tuple[Remedy, float]] = {}
    for (remedy,), level in tried:
        slots = frozenset(remedy.changes)
        if slots not in best or level > best[slots][1]:
            best[slots] = remedy, level
    for one, other in combinations(best, 2):
        first, second = best[one][0], best[other][0]
        if not one & other and not _makes_up_for(first, [second]):
            yield first, second


def _first_clear(bench: Bench, needed: list[Remedy], tried: Tried, levels: list[float]) -> Sequence[Remedy]:
    ranked = sorted(tried, key=lambda one: -one[1])
    for best, level in ranked:
        gain = level - levels[0]
        if gain < LEAST:
            break
        if not _is_clear(bench, needed, best):
            continue
        part = ALIKE_TO_AN_OPTIMIZER if best[0].reason is Reason.OPTIMIZER else ALIKE
        alike = [one for one, reached in tried if reached - levels[0] >= part * gain]
        return _short_rather_than_slow([one for one in alike if _is_clear(bench, needed, one)], tried, levels)
    return ()


def _short_rather_than_slow(clear: list[tuple[Remedy, ...]], tried: Tried, levels: list[float]) -> tuple[Remedy, ...]:
    """The first one; more updates rather than a higher rate, where a rate that is higher still does harm.

    Both make up for each other. A rate is too low where it is far from the rates that are too high.
    """
    by_reason = {one[0].reason: one for one in reversed(clear) if len(one) == 1}
    rates = [reached for (one, *_), reached in tried if one.reason is Reason.LEARNING_RATE_TOO_LOW]
    short = by_reason.get(Reason.TOO_FEW_UPDATES)
    if short and clear[0][0].reason is Reason.LEARNING_RATE_TOO_LOW and rates[1] <= levels[0]:
        return short
    return clear[0]


def _is_clear(bench: Bench, needed: Sequence[Remedy], added: Sequence[Remedy]) -> bool:
    """Whether the gain is clear under every seed; where it is large on average and close under one, a third decides."""

    def gain_of(seed: int) -> float:
        return bench.level(merged([*needed, *added]), seed) - _before(bench, needed, seed)

    gains = [gain_of(seed) for seed in SEEDS]
    if min(gains) >= MARGIN or (all(one.reason not in SETTINGS for one in added) and _halves(bench, needed, gains)):
        return True
    return min(gains) >= MARGIN / 2 and sum(gains) >= 2 * MARGIN * len(SEEDS) and gain_of(len(SEEDS)) >= MARGIN


def _halves(bench: Bench, needed: Sequence[Remedy], gains: Sequence[float]) -> bool:
    missing = [1 - _before(bench, needed, seed) for seed in SEEDS]
    return min(gains) >= LEAST and all(gain >= left / 2 for gain, left in zip(gains, missing, strict=True))


def _necessary(bench: Bench, needed: list[Remedy]) -> list[Remedy]:
    """Without those that an addition made superfluous; what is proven stays."""
    for remedy in list(needed):
        others = [other for other in needed if other is not remedy]
        if not remedy.proven and others and not _is_clear(bench, others, [remedy]):
            needed = others
    return needed
