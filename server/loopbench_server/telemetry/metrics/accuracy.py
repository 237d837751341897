"""Mean accuracies over the seeds of a specification, from runs as they end."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean

from loopbench.spec import Method, Run
from loopbench.spec.normalization import spec_digest, uses_defaults
from loopbench_server.telemetry.metrics import labels
from loopbench_server.telemetry.metrics.seeds import keep_newest

# Limits of remembered specifications with other parameters than the defaults, and of seeds per specification and
# method; the oldest are dropped. Those with the defaults differ in loss, optimizer and dataset only.
MAX_SPECS, MAX_SEEDS = 50, 500
DEFAULT, OTHER = "default", "other"

# Loss, optimizer, dataset, parameters and digest of a specification. The methods share it.
Key = tuple[str, ...]


@dataclass(frozen=True)
class Means:
    """Means of a method over ``seeds`` seeds, as fractions, and the end of its newest run."""

    train: float
    validation: float
    seeds: int
    end: datetime


@dataclass(frozen=True)
class _End:
    time: datetime
    train: float
    validation: float


_Seeds = OrderedDict[int, _End]
_Methods = dict[Method, _Seeds]


def parameters(run: Run) -> str:
    """Return whether the specification of ``run`` has the default parameters."""
    return DEFAULT if uses_defaults(run.spec) else OTHER


class Accuracies:
    """Takes the means of all methods of a specification over the same seeds, so that no difference is only a seed."""

    def __init__(self) -> None:
        self._specs: OrderedDict[Key, _Methods] = OrderedDict()

    def add(self, run: Run) -> Mapping[Key, Mapping[Method, Means]]:
        """Return the means that change with ``run``, which succeeded and did not diverge.

        A specification that is dropped for it has none. The newest run of a seed counts, whatever their order here.
        """
        assert run.result is not None
        assert run.end_time is not None
        _, *same = labels.spec_labels(run.spec)
        key = (*same, parameters(run), spec_digest(run.spec))
        methods = self._specs.setdefault(key, {})
        self._specs.move_to_end(key)
        end = _End(run.end_time, run.result.train.accuracy, run.result.validation.accuracy)
        keep_newest(methods.setdefault(run.spec.method, _Seeds()), run.spec.seed, end, MAX_SEEDS)
        return {key: _means(methods), **{dropped: {} for dropped in self._drop_old()}}

    def _drop_old(self) -> Iterable[Key]:
        others = [key for key in self._specs if OTHER in key]
        for key in others[: max(0, len(others) - MAX_SPECS)]:
            del self._specs[key]
            yield key


def _means(methods: _Methods) -> dict[Method, Means]:
    """Return the means over the seeds of all methods; without such a seed, those of the newest method alone."""
    shared = set.intersection(*(set(seeds) for seeds in methods.values()))
    if not shared:
        newest = max(methods, key=lambda method: _newest(methods[method].values()))
        methods, shared = {newest: methods[newest]}, set(methods[newest])
    return {method: _mean([seeds[seed] for seed in shared]) for method, seeds in methods.items()}


def _mean(ends: list[_End]) -> Means:
    train, validation = fmean(end.train for end in ends), fmean(end.validation for end in ends)
    return Means(train, validation, len(ends), _newest(ends))


def _newest(ends: Iterable[_End]) -> datetime:
    return max(end.time for end in ends)
