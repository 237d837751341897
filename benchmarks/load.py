"""Load on a server, from a separate process: calls at a steady rate, and watchers of one run, all on one event loop.

Prints one line of JSON. A call's latency counts from the moment it was due, so that a server that stalls is charged for
the calls that waited behind the stall.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loopbench.v1 import benchmark_service_pb2, benchmark_service_pb2_grpc

Call = Callable[[], Awaitable[Any]]

# Number of streams per connection.
STREAMS_A_CHANNEL = 100


async def _timed(call: Call, due: float, seconds: list[float]) -> None:
    await call()
    seconds.append(time.perf_counter() - due)


async def steady(calls: dict[str, Call], rate: float, duration: float) -> dict[str, list[float]]:
    """Makes ``calls`` in turn, ``rate`` a second in all, for ``duration`` seconds; gives each one's latencies."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    under_way, start = [], time.perf_counter()
    for number in range(int(rate * duration)):
        name = list(calls)[number % len(calls)]
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        under_way.append(asyncio.create_task(_timed(calls[name], due, taken[name])))
    await asyncio.gather(*under_way)
    return taken


async def watch(stub: Any, run_id: str) -> dict[str, Any]:
    """Return the epochs that a watcher receives, in order, the number of events, and the digest in the last one."""
    epochs: list[int] = []
    events, event = 0, None
    async for event in stub.WatchRun(benchmark_service_pb2.WatchRunRequest(run_id=run_id)):
        events += 1
        epochs += [record.epoch for record in event.epochs]
    return {"epochs": epochs, "events": events, "final_digest": event.run.result.weights_digest if event else ""}


def _calls(channel: grpc.aio.Channel, run_id: str, ended_run_id: str) -> dict[str, Call]:
    service = benchmark_service_pb2_grpc.BenchmarkServiceStub(channel)
    health = health_pb2_grpc.HealthStub(channel)
    return {
        "GetRun, a run under way": lambda: service.GetRun(benchmark_service_pb2.GetRunRequest(run_id=run_id)),
        "GetRun, an ended run": lambda: service.GetRun(benchmark_service_pb2.GetRunRequest(run_id=ended_run_id)),
        "health": lambda: health.Check(health_pb2.HealthCheckRequest()),
    }


async def load(
    address: str, run_id: str, *, ended_run_id: str = "", rate: float = 0.0, duration: float = 0.0, watchers: int = 0
) -> dict[str, Any]:
    """Latencies in seconds by call, and what each watcher of ``run_id`` saw to its end."""
    channels = [
        # Options that differ keep gRPC from giving them all the same connection.
        grpc.aio.insecure_channel(address, options=[("loopbench.channel", number)])
        for number in range(1 + -(-watchers // STREAMS_A_CHANNEL))
    ]
    stubs = [benchmark_service_pb2_grpc.BenchmarkServiceStub(channel) for channel in channels[1:]]
    watching = [asyncio.create_task(watch(stubs[number % len(stubs)], run_id)) for number in range(watchers)]
    latencies = await steady(_calls(channels[0], run_id, ended_run_id), rate, duration) if rate else {}
    seen = await asyncio.gather(*watching)
    await asyncio.gather(*(channel.close() for channel in channels))
    return {"latencies": latencies, "watchers": seen}


def main() -> None:
    """Run the load of the command line and print its results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("run_id")
    parser.add_argument("--ended-run-id", default="")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="calls a second: GetRun of either run and health, in turn"
    )
    parser.add_argument("--duration", type=float, default=0.0, help="seconds of calls")
    parser.add_argument("--watchers", type=int, default=0)
    print(json.dumps(asyncio.run(load(**vars(parser.parse_args())))))


if __name__ == "__main__":
    main()
