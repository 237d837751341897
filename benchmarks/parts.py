"""The parts of the benchmarks and the files of their results."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import (
    cancelling,
    contest,
    convolutions,
    gpu,
    growth,
    limits,
    machine,
    memory,
    overhead,
    service,
    throughput,
)
from benchmarks.setting import ROOT, Setting
from loopbench_server.engine.environment import cpu_model

# Committed, so that BENCHMARKS.md can be rendered again: one folder per CPU, one file per part.
KEPT = ROOT / "benchmarks" / "measured"

# Name → module with ``measure``, and the model of what it gives. Each takes from half a minute to half an hour.
PARTS: dict[str, tuple[Any, type[Any]]] = {
    "machine": (machine, machine.Machine),
    "limits": (limits, limits.Limits),
    "contest": (contest, contest.Contest),
    "convolutions": (convolutions, contest.Contest),
    "gpu": (gpu, gpu.OnGpu),
    "overhead": (overhead, overhead.Overheads),
    "throughput": (throughput, throughput.Throughput),
    "service": (service, service.Service),
    "cancelling": (cancelling, cancelling.Cancelling),
    "memory": (memory, memory.Memory),
    "growth": (growth, growth.Growth),
}


# Parts that the document leaves out until a machine has measured them.
OPTIONAL = {"convolutions", "gpu"}


@dataclass(frozen=True)
class OneMachine:
    """What was measured on one machine, and the day and commit of it, each by part; not all parts need be there."""

    cpu: str
    measured: dict[str, Any]
    when: dict[str, str]


def measure(name: str, setting: Setting, revision: str) -> None:
    """Measure a part and replace the results of this CPU, with day and commit."""
    module, _ = PARTS[name]
    cpu = cpu_model()
    about = {"day": datetime.now(UTC).date().isoformat(), "revision": revision, "cpu": cpu}
    found = module.measure(setting).model_dump(mode="json")
    folder = KEPT / re.sub("[^a-z0-9]+", "-", cpu.lower()).strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({**about, "measured": found}, indent=1) + "\n")


class NeverMeasuredError(Exception):
    """Parts have no figures yet."""


def kept() -> list[OneMachine]:
    """All results, the machine with the most parts first.

    Raises:
        NeverMeasuredError: of all parts that no machine has.
    """
    folders = sorted({path.parent for path in KEPT.glob("*/*.json")})
    machines = sorted(map(_of, folders), key=lambda machine: len(machine.measured), reverse=True)
    missing = [name for name in PARTS.keys() - OPTIONAL if not any(name in machine.measured for machine in machines)]
    if missing:
        raise NeverMeasuredError(f"never measured: {', '.join(missing)}")
    return machines


def _of(folder: Path) -> OneMachine:
    files = {name: json.loads(path.read_text()) for name in PARTS if (path := folder / f"{name}.json").is_file()}
    (cpu,) = {file["cpu"] for file in files.values()}
    return OneMachine(
        cpu=cpu,
        measured={name: PARTS[name][1].model_validate(file["measured"]) for name, file in files.items()},
        when={name: f"{file['day']} at {_short(file['revision'])}" for name, file in files.items()},
    )


def _short(revision: str) -> str:
    commit, _, changes = revision.partition("-")
    return f"{commit[:12]} with changes" if changes else commit[:12]
