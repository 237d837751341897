"""Runs of standby workers beside runs of new processes."""

import json
from collections.abc import Sequence

from loopbench.spec import Device, Result, RunSpec
from loopbench_client import Client
from tests.support.servers import ServerProcess, Start, eventually

# Seconds. A preparation on a GPU takes some.
SECONDS_TO_PREPARE = 120


def assert_equal_results(start: Start, specs: Sequence[RunSpec]) -> None:
    """Each spec ends in the same bits, with the same notes, in a process that waited for it and in a new one."""
    new = start("--standby-workers", "0")
    prepared = start("--slots", "2", "--standby-workers", "2", "--log-level", "debug")
    for server in (new, prepared):
        server.wait_ready()
    pairs = zip(_results(new, specs, standby=False), _results(prepared, specs, standby=True), strict=True)
    for spec, (one, other) in zip(specs, pairs, strict=True):
        about = json.dumps(spec.model_dump(mode="json"))
        assert one.weights_digest == other.weights_digest, about
        assert one.notes == other.notes, about
        assert one.environment == other.environment, about
    assert not new.standby_workers()


def standby_pids(server: ServerProcess, *, on_gpu: bool) -> set[int]:
    """Process ids of standby workers that have been prepared on a GPU, or on the CPU."""
    ready = [event for event in server.events() if event["event"] == "standby worker ready"]
    return {event["pid"] for event in ready if bool(event["gpu_slots"]) is on_gpu}


def _results(server: ServerProcess, specs: Sequence[RunSpec], *, standby: bool) -> list[Result]:
    found = []
    with Client(server.address) as client:
        for number, spec in enumerate(specs):
            on_gpu = spec.device is Device.GPU
            if standby:
                eventually(lambda: standby_pids(server, on_gpu=on_gpu) - _taken(server), SECONDS_TO_PREPARE)  # noqa: B023  called at once
            run = client.train(spec)
            assert run.result is not None
            found.append(run.result)
            assert len(_taken(server) & standby_pids(server, on_gpu=on_gpu)) == standby * (number + 1)
    return found


def _taken(server: ServerProcess) -> set[int]:
    return {event["pid"] for event in server.events() if event["event"] == "run started"}
