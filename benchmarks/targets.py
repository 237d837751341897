"""Targets and whether they are reached."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import contest, gpu
from benchmarks.cancelling import Cancelling
from benchmarks.contest import JAX, Contest
from benchmarks.figures import Spread
from benchmarks.memory import Memory
from benchmarks.overhead import Overheads
from benchmarks.service import Service
from benchmarks.throughput import Throughput

GRAPH = ("GRAPH, tape", "GRAPH, fit", "GRAPH, train_step")
COMPILED_WHOLE = "XLA, tape, an epoch compiled whole"
EAGER_TAPE, FIT_ON_ARRAYS = "article: eager tape", "article: fit on arrays"
# Of the server's memory, over the second half of the short runs: what it sways by from one look to the next.
GROWTH = 0.02


@dataclass(frozen=True)
class Target:
    """A target, the measured value, and whether the target is reached."""

    target: str
    measured: str
    reached: bool


def ratio(value: Spread) -> str:
    """Median and range."""
    return f"{value.median:.2f} × ({value.low:.2f}–{value.high:.2f})"


def seconds(value: Spread) -> str:
    """Median and range."""
    return f"{value.median:.2f} s ({value.low:.2f}–{value.high:.2f})"


def _epochs(found: Contest) -> Iterator[Target]:
    same = len(found.digests("GRAPH") | found.digests("EAGER")) == 1
    yield Target("the three methods under GRAPH end in the bits of EAGER", "yes" if same else "no", same)
    for least, peer in ((15, EAGER_TAPE), (3, FIT_ON_ARRAYS)):
        for name in GRAPH:
            times = found.times(peer, name)
            yield Target(f"{name}: at least {least} × as fast as “{peer}”", ratio(times), times.median >= least)
    for jax in JAX:
        times = found.times(COMPILED_WHOLE, jax)
        yield Target(f"{COMPILED_WHOLE}: at most the time of “{jax}”", ratio(times), times.median <= 1)
    outside = found.outside()
    yield Target(f"all within {contest.BAND} points of validation accuracy", ", ".join(outside) or "all", not outside)


def _calls(found: Overheads) -> Iterator[Target]:
    slowest = max((each.total for each in found.warm.values()), key=lambda total: total.median)
    yield Target(
        "a warm call of 10 epochs takes at most 2 s beside training, the slowest kind",
        seconds(slowest),
        slowest.median <= 2,
    )


def _comparisons(found: Throughput) -> Iterator[Target]:
    gain = found.gain
    yield Target(
        f"a comparison on {found.cores} cores: at least 1.6 × the throughput of one run after another",
        ratio(gain),
        gain.median >= 1.6,
    )


def _service(found: Service) -> Iterator[Target]:
    states = {"idle": found.idle.high, "all cores training": found.load.server_bytes}
    for title, held in {**states, "and 500 watchers": found.watched_load.server_bytes}.items():
        yield Target(f"the server holds at most 120 MB, {title}", f"{held / 1e6:.0f} MB", held <= 120e6)
    yield Target("health answers within 2 s of the start", f"{found.health.high:.2f} s", found.health.high <= 2)
    for title, load in (("all cores training", found.load), ("and 500 watchers", found.watched_load)):
        for name, latency in load.latencies.items():
            measured = f"{1e3 * latency.p99:.1f} ms"
            yield Target(f"{name}, {title}: p99 at most 50 ms at 100 calls a second", measured, latency.p99 <= 0.05)
    watched = found.watched
    yield Target(
        "500 watchers at once, none of which misses an event",
        f"{watched.complete}",
        watched.complete == watched.watchers == 500,
    )


def _cancelling(found: Cancelling) -> Iterator[Target]:
    for way in found.seconds:
        taken = found.of(way)
        yield Target(f"{way}: the slot is free within a second, all cores training", seconds(taken), taken.high <= 1)


def _memory(found: Memory) -> Iterator[Target]:
    yield Target(
        "the server does not grow over the second half of 1,000 short runs (by more than 2 %)",
        f"{100 * found.growth:+.1f} %",
        found.growth <= GROWTH,
    )


def _on_gpu(found: gpu.OnGpu) -> Iterator[Target]:
    for ways, digests in found.methods().items():
        yield Target(f"GPU: the methods under {ways} end in one digest", f"{len(digests)}", len(digests) == 1)
    for name, peer, most in ((COMPILED_WHOLE, gpu.SCAN_PEER, 1.5), (GRAPH[0], gpu.EAGER_PEER, 1.0)):
        times = found.times(name, peer)
        yield Target(f"GPU: {name}: at most {most} × the time of “{peer}”", ratio(times), times.median <= most)
    slowest = max(outcome.start_seconds for outcome in found.whole.values())
    yield Target(
        "GPU: a run starts and compiles within 1 s, the slowest kind",
        f"{slowest:.2f} s",
        slowest <= 1,
    )


JUDGED: dict[str, Callable[[Any], Iterator[Target]]] = {
    "contest": _epochs,
    "overhead": _calls,
    "throughput": _comparisons,
    "service": _service,
    "cancelling": _cancelling,
    "memory": _memory,
    "gpu": _on_gpu,
}


def targets(measured: Mapping[str, Any]) -> list[Target]:
    """Targets of the measured parts."""
    return [target for part, judge in JUDGED.items() if part in measured for target in judge(measured[part])]
