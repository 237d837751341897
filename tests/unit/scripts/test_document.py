"""BENCHMARKS.md shows the measured values and marks missed targets."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import contest, parts
from benchmarks.cancelling import Cancelling
from benchmarks.contest import Contest, Outcome
from benchmarks.memory import Memory, ProcessMemory
from benchmarks.overhead import Overhead, Overheads
from benchmarks.service import Latency, Load, Service, Watched
from benchmarks.targets import targets
from benchmarks.throughput import Throughput
from benchmarks.writing import DOCUMENT, document

Measured = dict[str, Any]


def test_the_document_is_fresh() -> None:
    assert DOCUMENT.read_text() == document(), 'run make bench BENCH_FLAGS="--rewrite"'


def test_every_machine_is_held_against_the_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "measured"
    shutil.copytree(parts.KEPT, kept)
    contest_file = json.loads(next(kept.glob("*/contest.json")).read_text())
    seconds = contest_file["measured"]["seconds"]
    seconds["article: fit on arrays"] = [2.5 * each for each in seconds["GRAPH, fit"]]
    other = {"day": "2026-01-02", "revision": 40 * "a", "cpu": "Another CPU"}
    (kept / "another-cpu").mkdir()
    (kept / "another-cpu" / "contest.json").write_text(json.dumps(contest_file | other))
    monkeypatch.setattr(parts, "KEPT", kept)
    lines = document().splitlines()
    assert "- **Another CPU**. Measured contest 2026-01-02 at aaaaaaaaaaaa." in lines
    titles, row = (
        next(line for line in lines if line.startswith(begin)).split("|")
        for begin in ("| target |", "| GRAPH, fit: at least 3 ×")
    )
    assert row[titles.index(" Another CPU ")] == " 2.50 × (2.50–2.50), **missed** "
    assert "### On Another CPU" in lines


@pytest.fixture
def measured() -> Measured:
    """Invented measurements that reach every target."""
    accuracies = {"epoch_seconds": [1.0], "train_accuracy": 0.97, "validation_accuracy": 0.967}
    names = [*contest.OURS, *contest.EAGER, *contest.PEERS]
    seconds = {name: 20.0 if name == "article: eager tape" else 8.0 for name in contest.PEERS}
    load = Load(
        latencies={"health": Latency(calls=100, median=0.001, p99=0.01, longest=0.02)},
        server_bytes=100_000_000,
        server_cores=0.1,
    )
    return {
        "contest": Contest(
            whole={name: Outcome(**accuracies, digest="abc" if name in names[:8] else "") for name in names},
            seconds={name: [seconds.get(name, 1.0)] * 3 for name in names},
        ),
        "overhead": Overheads(first={}, warm={"GRAPH, tape": Overhead(seconds=[1.0, 1.5, 3.0])}),
        "throughput": Throughput(runs=6, cores=2, seconds={1: [18.0, 18.0], 2: [10.0, 10.0]}),
        "service": Service(
            health_seconds=[0.5],
            ready_seconds=[3.0],
            idle_bytes=[90_000_000],
            load=load,
            watched_load=load.model_copy(deep=True),
            watched=Watched(watchers=500, complete=500, events=1_000, epochs=5),
        ),
        "cancelling": Cancelling(seconds={"CancelRun": [0.1, 0.2, 0.9]}),
        "memory": Memory(
            runs={},
            forkserver=ProcessMemory(),
            short_runs=[250, 500, 750, 1_000],
            server_bytes=[80_000_000, 100_000_000, 100_000_000, 100_500_000],
            forkserver_bytes=[1, 1, 1, 1],
            server_files=[9, 9, 9, 9],
            short_run_seconds=0.5,
        ),
    }


def missed(measured: Measured) -> list[str]:
    return [target.target for target in targets(measured) if not target.reached]


def test_all_are_reached(measured: Measured) -> None:
    assert missed(measured) == []


def other_bits(measured: Measured) -> None:
    measured["contest"].whole["EAGER, tape"].digest = "other"


def inaccurate(measured: Measured) -> None:
    measured["contest"].whole["NumPy"].validation_accuracy = 0.9619


def slow(measured: Measured) -> None:
    measured["contest"].seconds["GRAPH, fit"] = [1.4, 1.4, 1.0]


def slower_than_jax(measured: Measured) -> None:
    measured["contest"].seconds["JAX, lax.scan"] = [0.9, 0.9, 4.0]


def long_calls(measured: Measured) -> None:
    measured["overhead"].warm["XLA, fit"] = Overhead(seconds=[2.1])


def one_after_another(measured: Measured) -> None:
    measured["throughput"].seconds[2] = [12.0, 12.0]


def late(measured: Measured) -> None:
    measured["service"].watched_load.latencies["health"].p99 = 0.051


def large(measured: Measured) -> None:
    measured["service"].load.server_bytes = 121_000_000


def unwatched(measured: Measured) -> None:
    measured["service"].watched.complete = 499


def clinging(measured: Measured) -> None:
    measured["cancelling"].seconds["CancelRun"][0] = 1.1


def growing(measured: Measured) -> None:
    measured["memory"].server_bytes[-1] = 102_500_000


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (other_bits, "the bits of EAGER"),
        (inaccurate, "within 0.5 points"),
        (slow, "GRAPH, fit: at least 15"),
        (slower_than_jax, "at most the time of “JAX, lax.scan”"),
        (long_calls, "at most 2 s"),
        (one_after_another, "1.6 ×"),
        (late, "p99"),
        (large, "120 MB"),
        (unwatched, "500 watchers at once"),
        (clinging, "within a second"),
        (growing, "does not grow"),
    ],
)
def test_a_miss_is_called_one(measured: Measured, spoil: Callable[[Measured], None], found: str) -> None:
    spoil(measured)
    (only,) = missed(measured)
    assert found in only
