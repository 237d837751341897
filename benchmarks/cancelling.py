"""Time until a slot is free after a cancellation, by every way to cancel, while all cores train."""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from pydantic import BaseModel

from benchmarks.figures import Spread, spread
from benchmarks.setting import ROOT, RunningServer, Setting, ready_server
from loopbench.spec import RunFilter, RunSpec, RunState
from loopbench.v1 import benchmark_service_pb2, benchmark_service_pb2_grpc
from loopbench.wire import spec_to_wire

ROUNDS = 10
# They run until they are cancelled.
ENDLESS = RunSpec(epochs=1_000)
FILLER, VICTIM, NEXT = (ENDLESS.model_copy(update={"seed": seed}) for seed in range(3))
RUNNING = RunFilter(states=(RunState.RUNNING,))
SLOTS = 2
# Long enough for a run to begin.
DEADLINE = 5.0


class Cancelling(BaseModel):
    """Seconds until another run had the slot, by the way of the cancellation, per round."""

    seconds: dict[str, list[float]]

    def of(self, way: str) -> Spread:
        """Spread of the seconds of one way."""
        return spread(self.seconds[way])


@dataclass(frozen=True)
class Place:
    """A server with its stub, and another server of the same store."""

    server: RunningServer
    other: RunningServer
    stub: Any

    def call(self, timeout: float | None = None) -> Any:
        """Starts a call that waits for the run to cancel."""
        request = benchmark_service_pb2.TrainRequest(spec=spec_to_wire(VICTIM), request_id=str(uuid.uuid4()))
        return self.stub.Train.future(request, timeout=timeout)

    def wait_for_running(self, count: int) -> None:
        """Wait until ``count`` runs have a slot."""
        while len([*self.server.client.list_runs(RUNNING)]) != count:
            time.sleep(0.01)


# Begins a run, and gives what calls it off and returns the time at which it did, in seconds since 1970.
Way = Callable[[Place], Callable[[], float]]


def _now(act: Callable[[], object]) -> float:
    begin = time.time()
    act()
    return begin


def _asked(place: Place) -> Callable[[], float]:
    run = place.server.client.train(VICTIM, detach=True)
    return lambda: _now(lambda: place.server.client.cancel_run(run.id))


def _asked_elsewhere(place: Place) -> Callable[[], float]:
    run = place.server.client.train(VICTIM, detach=True)
    return lambda: _now(lambda: place.other.client.cancel_run(run.id))


def _call_cancelled(place: Place) -> Callable[[], float]:
    call = place.call()
    return lambda: _now(call.cancel)


def _deadline(place: Place) -> Callable[[], float]:
    due = time.time() + DEADLINE
    call = place.call(DEADLINE)

    def wait() -> float:
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return due

    return wait


def _client_killed(place: Place) -> Callable[[], float]:
    command = [sys.executable, "-m", "benchmarks.caller", place.server.address, VICTIM.model_dump_json()]
    caller = subprocess.Popen(command, cwd=ROOT)  # noqa: S603  our own

    def kill() -> float:
        begin = _now(caller.kill)
        caller.wait()
        return begin

    return kill


CANCELLATIONS: dict[str, Way] = {
    "CancelRun": _asked,
    "CancelRun at another server": _asked_elsewhere,
    "the waiting call is cancelled": _call_cancelled,
    "its deadline passes": _deadline,
    "the client is killed": _client_killed,
}


def _seconds(place: Place, way: Way) -> float:
    """From calling a run off to the start of the one that waits for its slot; what else runs is the filler."""
    client = place.server.client
    call_off = way(place)
    place.wait_for_running(SLOTS)
    waiting = client.train(NEXT, detach=True)
    time.sleep(0.5)  # during the training
    begin = call_off()
    while not (started := client.get_run(waiting.id).start_time):
        time.sleep(0.005)
    client.cancel_run(waiting.id)
    place.wait_for_running(1)
    return started.timestamp() - begin


@contextmanager
def _place(setting: Setting) -> Iterator[Place]:
    with TemporaryDirectory(prefix="loopbench-benchmark-") as folder:
        store = ("--store-url", f"sqlite:///{folder}/shared.db")
        with (
            ready_server(setting, "--slots", SLOTS, *store) as server,
            ready_server(setting, "--slots", 1, *store) as other,
            grpc.insecure_channel(server.address) as channel,
        ):
            yield Place(server, other, benchmark_service_pb2_grpc.BenchmarkServiceStub(channel))


def measure(setting: Setting) -> Cancelling:
    """Measure all ways in turn."""
    found: dict[str, list[float]] = {way: [] for way in CANCELLATIONS}
    with _place(setting) as place:
        filler = place.server.client.train(FILLER, detach=True)
        place.wait_for_running(1)
        for _ in range(ROUNDS):
            for name, way in CANCELLATIONS.items():
                found[name].append(_seconds(place, way))
        place.server.client.cancel_run(filler.id)
    return Cancelling(seconds=found)
