"""All that is measured, part by part, and where the figures are kept."""

import json
from datetime import UTC, datetime
from typing import Any

from benchmarks import cancelling, contest, growth, limits, machine, memory, overhead, service, throughput
from benchmarks.setting import ROOT, Setting
from loopbench_server.engine.environment import cpu_model
from loopbench_server.revision import source_revision

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
    "cancelling": (cancelling, cancelling.Cancelling),
    "memory": (memory, memory.Memory),
    "growth": (growth, growth.Growth),
}


def measure(name: str, setting: Setting) -> None:
    """Measures a part and keeps its figures in place of those before, with the day, the commit and the CPU."""
    module, _ = PARTS[name]
    when = {"day": datetime.now(UTC).date().isoformat(), "revision": source_revision(), "cpu": cpu_model()}
    found = module.measure(setting).model_dump(mode="json")
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps({**when, "measured": found}, indent=1) + "\n")


class NeverMeasuredError(Exception):
    """Parts have no figures yet."""


def kept() -> tuple[dict[str, Any], dict[str, str]]:
    """What was measured, and the day and commit of it, each by part, with the CPU where it is not the machine's.

    Raises:
        NeverMeasuredError: of all parts that never were.
    """
    missing = [name for name in PARTS if not (KEPT / f"{name}.json").is_file()]
    if missing:
        raise NeverMeasuredError(f"never measured: {', '.join(missing)}")
    files = {name: json.loads((KEPT / f"{name}.json").read_text()) for name in PARTS}
    measured = {name: model.model_validate(files[name]["measured"]) for name, (_, model) in PARTS.items()}
    return measured, {name: _when(file, measured["machine"].cpu) for name, file in files.items()}


def _when(file: dict[str, Any], usual: str) -> str:
    elsewhere = "" if file["cpu"] == usual else f" on {file['cpu']}"
    return f"{file['day']} at {_short(file['revision'])}{elsewhere}"


def _short(revision: str) -> str:
    commit, _, changes = revision.partition("-")
    return f"{commit[:12]} with changes" if changes else commit[:12]
