"""What a report is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from loopbench.spec import Comparison, Diagnosis, Run, RunSpec


class Claim(Protocol):
    """What somebody claims of a group, and whether it holds; ``holds`` is None where the runs do not decide."""

    @property
    def label(self) -> str:
        """The group."""

    @property
    def his_figure(self) -> str:
        """What was published, in words."""

    @property
    def claim(self) -> str:
        """The claim in words."""

    @property
    def holds(self) -> bool | None:
        """Whether it holds."""

    @property
    def reason(self) -> str:
        """Why, with the figures that say so."""


@dataclass(frozen=True)
class Report:
    """Everything that the page says.

    Attributes:
        title: the page's heading.
        comparison: the groups and the verdict on every pair.
        specs: the specification of every group, by label; its seed is that of any run.
        runs: the runs of every group, by label, in the order of their seeds.
        created: when the comparison was made, with its zone.
        diagnoses: by pair of labels what was found, or why nothing could be.
        claims: what was claimed beforehand.
        preset: the preset that has the claims; empty without one.
        failures: a line for every run that brought no result.
    """

    title: str
    comparison: Comparison
    specs: Mapping[str, RunSpec]
    runs: Mapping[str, tuple[Run, ...]]
    created: datetime
    diagnoses: Mapping[tuple[str, str], Diagnosis | str] = field(default_factory=dict)
    claims: Sequence[Claim] = ()
    preset: str = ""
    failures: Sequence[str] = ()
