"""Where the runs ran, and in what their environments differ."""

from collections.abc import Iterable
from dataclasses import dataclass

from loopbench.spec import Environment, Run
from loopbench.text import kebab
from loopbench_client.report.model import Report


@dataclass(frozen=True)
class Value:
    """What some runs have, and which; ``runs`` is empty where all have it."""

    text: str
    runs: str


@dataclass(frozen=True)
class Fact:
    """A line of the table."""

    name: str
    values: tuple[Value, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs do not agree in it."""
        return len(self.values) > 1


def facts(report: Report) -> tuple[Fact, ...]:
    """Every fact of the environments; first those in which runs differ."""
    known = [
        (label, run, described(run.result.environment))
        for label, runs in report.runs.items()
        for run in runs
        if run.result is not None
    ]
    names = dict.fromkeys(name for *_, facts_of_run in known for name in facts_of_run)
    found = (
        _fact(name, [(label, run, facts_of_run.get(name, "")) for label, run, facts_of_run in known]) for name in names
    )
    return tuple(sorted(found, key=lambda fact: not fact.differs))


def described(environment: Environment) -> dict[str, str]:
    """An environment by names for people; what the server does not know is left out."""
    found = {
        "device": f"{kebab(environment.device)} {environment.device_name}",
        "processor": environment.cpu_model,
        "cores": str(environment.cpu_count),
        "threads of a run": str(environment.threads),
        "platform": environment.platform,
        "source revision": environment.source_revision,
        # A map of the contract has no order.
        **dict(sorted(environment.versions.items())),
    }
    return {name: text for name, text in found.items() if text}


def _fact(name: str, found: Iterable[tuple[str, Run, str]]) -> Fact:
    by_text: dict[str, dict[str, list[str]]] = {}
    for label, run, text in found:
        by_text.setdefault(text, {}).setdefault(label, []).append(str(run.spec.seed))
    if len(by_text) == 1:
        return Fact(name, tuple(Value(text, "") for text in by_text))
    return Fact(name, tuple(Value(text or "not known", _who(seeds)) for text, seeds in by_text.items()))


def _who(seeds_by_label: dict[str, list[str]]) -> str:
    return "; ".join(f"{label}, seeds {', '.join(seeds)}" for label, seeds in seeds_by_label.items())
