"""Agreement of the software of this server with the software before it, from runs as they end."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean

from loopbench.spec import Environment, Run
from loopbench.spec.environments import Facts, environment_key
from loopbench.spec.normalization import spec_digest
from loopbench_server.telemetry.metrics.labels import Spec, spec_labels
from loopbench_server.telemetry.metrics.seeds import keep_newest

# Limits of remembered specifications, of software per specification, and of seeds; the oldest are dropped.
MAX_SPECS, MAX_SOFTWARE, MAX_SEEDS = 500, 8, 100


@dataclass(frozen=True)
class Change:
    """What a change of the software did to training.

    Attributes:
        identical: whether all weights are the same, seed by seed.
        difference: largest absolute difference of mean final validation accuracies, a fraction.
    """

    identical: bool
    difference: float


@dataclass(frozen=True)
class _End:
    time: datetime
    digest: str
    accuracy: float


@dataclass
class _Runs:
    """Runs of one specification by one software; ``began`` is the end of the first of them."""

    began: datetime
    ends: OrderedDict[int, _End] = field(default_factory=OrderedDict)


@dataclass(frozen=True)
class _Key:
    """A specification without its seed, by its digest, on one hardware."""

    labels: Spec
    spec: str
    hardware: Facts


_Software = OrderedDict[Facts, _Runs]


class Upgrades:
    """Compares the runs by the software of this server with those by the software before it on the same hardware.

    The order is that of the first runs. A server of a former version, after an upgrade that was rolled back, is
    therefore compared with the version before it, and not with the one that was withdrawn.
    """

    def __init__(self) -> None:
        self._specs: OrderedDict[_Key, _Software] = OrderedDict()
        self._changes: dict[_Key, Change] = {}
        self._here: Collection[Facts] = ()

    def set_environments(self, environments: Collection[Environment]) -> set[Spec]:
        """Set those of this server, one per type of device; return the labels whose result may change."""
        self._here = {environment_key(one).software for one in environments}
        for key in self._specs:
            self._judge(key)
        return {key.labels for key in self._specs}

    def add(self, run: Run) -> set[Spec]:
        """Add a run that succeeded; return the labels whose result may change.

        A run that diverged is ignored: its weights often equal those of any other such run.
        """
        assert run.result is not None
        assert run.end_time is not None
        if run.result.diverged:
            return set()
        environment = environment_key(run.result.environment)
        key = _Key(spec_labels(run.spec), spec_digest(run.spec), environment.hardware)
        software = self._specs.setdefault(key, OrderedDict())
        self._specs.move_to_end(key)
        end = _End(run.end_time, run.result.weights_digest, run.result.validation.accuracy)
        _add_end(software, environment.software, run.spec.seed, end)
        self._judge(key)
        return {key.labels, *self._drop_oldest()}

    def change(self, labels: Spec) -> Change | None:
        """Return the result over all specifications with these labels; None without one to compare."""
        found = [change for key, change in self._changes.items() if key.labels == labels]
        if not found:
            return None
        return Change(all(change.identical for change in found), max(change.difference for change in found))

    def _judge(self, key: _Key) -> None:
        self._changes.pop(key, None)
        if change := _change(self._specs[key], self._here):
            self._changes[key] = change

    def _drop_oldest(self) -> set[Spec]:
        if len(self._specs) <= MAX_SPECS:
            return set()
        key, _ = self._specs.popitem(last=False)
        self._changes.pop(key, None)
        return {key.labels}


def _add_end(software: _Software, facts: Facts, seed: int, end: _End) -> None:
    runs = software.setdefault(facts, _Runs(end.time))
    software.move_to_end(facts)
    runs.began = min(runs.began, end.time)
    keep_newest(runs.ends, seed, end, MAX_SEEDS)
    if len(software) > MAX_SOFTWARE:
        software.popitem(last=False)


def _change(software: _Software, here: Collection[Facts]) -> Change | None:
    own = max((runs for facts, runs in software.items() if facts in here), key=lambda runs: runs.began, default=None)
    if own is None:
        return None
    earlier = (runs for facts, runs in software.items() if facts not in here and runs.began < own.began)
    before = max(earlier, key=lambda runs: runs.began, default=None)
    shared = own.ends.keys() & before.ends.keys() if before else set()
    if before is None or not shared:
        return None
    pairs = [(before.ends[seed], own.ends[seed]) for seed in shared]
    return Change(
        identical=all(first.digest == second.digest for first, second in pairs),
        difference=abs(fmean(second.accuracy - first.accuracy for first, second in pairs)),
    )
