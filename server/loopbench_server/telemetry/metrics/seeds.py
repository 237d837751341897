"""The newest run of every seed, up to a number of seeds."""

from collections import OrderedDict
from datetime import datetime
from typing import Protocol, TypeVar


class Ended(Protocol):
    """What is remembered of a run that ended at ``time``."""

    @property
    def time(self) -> datetime:
        """The end of the run."""


End = TypeVar("End", bound=Ended)


def keep_newest(seeds: OrderedDict[int, End], seed: int, end: End, limit: int) -> None:
    """Add the end of a run; the newest run of a seed counts, whatever their order here.

    Of more than ``limit`` seeds the one that was added first is dropped.
    """
    if seed in seeds and end.time < seeds[seed].time:
        return
    seeds[seed] = end
    seeds.move_to_end(seed)
    if len(seeds) > limit:
        seeds.popitem(last=False)
