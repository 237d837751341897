"""Fixes that a program may need, by kind, and the table of them in the order in which equal ones are preferred."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from loopbench_diagnose.program.bench import Bench
from loopbench_diagnose.reasons import Reason


@dataclass(frozen=True, eq=False)
class Remedy:
    """A fix: ``changes`` of a trial, and the fault that it removes.

    ``title`` states the fault and ``fix`` what to do. ``proven`` is the sentence that proves the fault without any
    trial; empty where a trial has to.
    """

    reason: Reason
    title: str
    fix: str
    changes: dict[str, Any] = field(default_factory=dict)
    proven: str = ""


Kind = Callable[[Bench], Iterable[Remedy]]
