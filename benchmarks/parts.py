"""All that is measured, part by part, and where the figures are kept."""

from typing import Any

from benchmarks import contest, growth, limits, machine, memory, overhead, service, throughput
from benchmarks.setting import ROOT, Setting

# Committed, so that BENCHMARKS.md can be written from them again.
KEPT = ROOT / "benchmarks" / "measured"

# Name → module with ``measure``, and the model of what it gives. Each takes from half a minute to half an hour.
PARTS: dict[str, tuple[Any, type[Any]]] = {
    "machine": (machine, machine.Machine),
    "limits": (limits, limits.Limits),
    "contest": (contest, contest.Contest),
    "overhead": (overhead, overhead.Overheads),
    "throughput": (throughput, throughput.Throughput),
    "service": (service, service.Service),
    "memory": (memory, memory.Memory),
    "growth": (growth, growth.Growth),
}


def measure(name: str, setting: Setting) -> None:
    """Measures a part and keeps its figures in place of those before."""
    module, _ = PARTS[name]
    (KEPT / f"{name}.json").write_text(module.measure(setting).model_dump_json(indent=1) + "\n")


def kept() -> dict[str, Any]:
    """What was measured, by part.

    Raises:
        FileNotFoundError: a part never was.
    """
    return {name: model.model_validate_json((KEPT / f"{name}.json").read_text()) for name, (_, model) in PARTS.items()}
