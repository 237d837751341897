"""Agreement of the methods, from runs as they end."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from loopbench.spec import Method, Result, Run
from loopbench.spec.environments import installation_of
from loopbench.spec.normalization import normalize_method

K = TypeVar("K")
V = TypeVar("V")

# Limits of remembered specifications, and of seeds per specification; the oldest are dropped.
MAX_SPECS, MAX_SEEDS = 500, 500


@dataclass(frozen=True)
class Agreement:
    """``difference`` is the largest difference of final validation accuracies under one seed, a fraction."""

    identical: bool
    difference: float


@dataclass(frozen=True)
class _End:
    digest: str
    accuracy: float


_Seeds = OrderedDict[int, dict[Method, _End]]


class Parity:
    """Compares runs of one specification in one environment, seed by seed."""

    def __init__(self) -> None:
        self._specs: OrderedDict[tuple[str, ...], _Seeds] = OrderedDict()

    def add(self, run: Run) -> Agreement | None:
        """Return what the specification of ``run``, which succeeded, now shows; None while it has a single method.

        A run that diverged is ignored: its weights often equal those of any other such run.
        """
        assert run.result is not None
        if run.result.diverged:
            return None
        seeds = _get_newest(self._specs, _key(run, run.result), _Seeds(), MAX_SPECS)
        methods = _get_newest(seeds, run.spec.seed, {}, MAX_SEEDS)
        methods[run.spec.method] = _End(run.result.weights_digest, run.result.validation.accuracy)
        return _agreement(seeds)


def _key(run: Run, result: Result) -> tuple[str, ...]:
    # Other processors and versions may round differently, which says nothing about the methods.
    # Not of the commit: where it changed one of the methods, they must not agree.
    facts = installation_of(result.environment)
    spec = normalize_method(run.spec).model_copy(update={"seed": 0}).model_dump_json()
    return (spec, *(f"{name} {value}" for name, value in facts))


def _get_newest(kept: OrderedDict[K, V], key: K, new: V, most: int) -> V:
    """Return the value of ``key``, which becomes the newest entry."""
    value = kept.setdefault(key, new)
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
    return value


def _agreement(seeds: _Seeds) -> Agreement | None:
    compared = [[*ends.values()] for ends in seeds.values() if len(ends) > 1]
    if not compared:
        return None
    accuracies = [[end.accuracy for end in ends] for ends in compared]
    return Agreement(
        identical=all(len({end.digest for end in ends}) == 1 for ends in compared),
        difference=max(max(values) - min(values) for values in accuracies),
    )
