"""The server: start time, memory, and latency of calls while all cores train."""

import json
import os
import statistics
import subprocess
import sys
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import BaseModel

from benchmarks.figures import Spread, spread
from benchmarks.setting import ROOT, RunningServer, Setting, answer, ready_server, server
from loopbench.spec import Dataset, RunSpec, RunState

STARTS = 5
RATE, SECONDS = 100, 60
WATCHERS = 500
# Long enough for the calls; unwatched runs are cancelled.
WATCHED_EPOCHS, ENDLESS = 120, 1_000


class Latency(BaseModel):
    """Latencies of calls at a steady rate, in seconds."""

    calls: int
    median: float
    p99: float
    longest: float


class Load(BaseModel):
    """Latencies by call, and the server's memory in bytes and its share of a core meanwhile."""

    latencies: dict[str, Latency]
    server_bytes: int
    server_cores: float


class Watched(BaseModel):
    """Watchers of one run: their number, and the number that received every epoch once, in order, and the end."""

    watchers: int
    complete: int
    events: int
    epochs: int


class Service(BaseModel):
    """Seconds from the start of the process; bytes of the server with nothing to do; load without and with watchers."""

    health_seconds: list[float]
    ready_seconds: list[float]
    idle_bytes: list[int]
    load: Load
    watched_load: Load
    watched: Watched

    @property
    def health(self) -> Spread:
        """Spread of the seconds until health answers."""
        return spread(self.health_seconds)

    @property
    def ready(self) -> Spread:
        """Spread of the seconds until the server accepts runs."""
        return spread(self.ready_seconds)

    @property
    def idle(self) -> Spread:
        """Bytes of a server that has just become ready."""
        return spread(self.idle_bytes)


def _start(setting: Setting) -> tuple[float, float, int]:
    begin = time.perf_counter()
    with server(setting) as running:
        with grpc.insecure_channel(running.address) as channel:
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
        healthy = time.perf_counter() - begin
        running.client.wait_ready(180)
        return healthy, time.perf_counter() - begin, running.process.memory_info().rss


def _train_on_all_cores(running: RunningServer, epochs: int) -> list[str]:
    cores = os.cpu_count() or 1
    ids = [running.client.train(RunSpec(epochs=epochs, seed=seed), detach=True).id for seed in range(cores)]
    while not _train(running, ids):
        time.sleep(0.1)
    time.sleep(3)  # they trace at first
    return ids


def _train(running: RunningServer, ids: list[str]) -> bool:
    states = {running.client.get_run(run_id).state for run_id in ids}
    assert not any(state.ended for state in states), "a run ended before it was measured"
    return states == {RunState.RUNNING}


def _latency(seconds: list[float]) -> Latency:
    return Latency(
        calls=len(seconds),
        median=statistics.median(seconds),
        p99=statistics.quantiles(seconds, n=100, method="inclusive")[98],
        longest=max(seconds),
    )


def _load(running: RunningServer, ids: list[str], ended_id: str) -> Load:
    """``ids`` train all the while; ``ended_id`` is a run that is only in the store."""
    before, start = running.process.cpu_times(), time.perf_counter()
    printed = answer(
        [
            *(sys.executable, "-m", "benchmarks.load", running.address, ids[0]),
            *("--ended-run-id", ended_id, "--rate", RATE, "--duration", SECONDS),
        ]
    )
    after, seconds = running.process.cpu_times(), time.perf_counter() - start
    assert _train(running, ids)
    return Load(
        latencies={name: _latency(values) for name, values in printed["latencies"].items()},
        server_bytes=running.process.memory_info().rss,
        server_cores=(after.user + after.system - before.user - before.system) / seconds,
    )


def _watched_load(running: RunningServer, ended_id: str) -> tuple[Load, Watched]:
    ids = run_id, *others = _train_on_all_cores(running, WATCHED_EPOCHS)
    command = [sys.executable, "-m", "benchmarks.load", running.address, run_id, "--watchers", str(WATCHERS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:  # noqa: S603  our own
        load = _load(running, list(ids), ended_id)
        reports = json.loads(process.communicate()[0])["watchers"]
    for other in others:
        running.client.cancel_run(other)
    run = running.client.get_run(run_id)
    assert run.result is not None
    complete = [
        each["epochs"] == list(range(1, WATCHED_EPOCHS + 1)) and each["final_digest"] == run.result.weights_digest
        for each in reports
    ]
    events = sum(each["events"] for each in reports)
    return load, Watched(watchers=len(reports), complete=sum(complete), events=events, epochs=WATCHED_EPOCHS)


def measure(setting: Setting) -> Service:
    """Measure several starts, then one server under load while its cores train."""
    healthy, ready, idle = zip(*(_start(setting) for _ in range(STARTS)), strict=True)
    with ready_server(setting) as running:
        ended_id = running.client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1)).id
        ids = _train_on_all_cores(running, ENDLESS)
        load = _load(running, ids, ended_id)
        for run_id in ids:
            running.client.cancel_run(run_id)
        watched_load, watched = _watched_load(running, ended_id)
    return Service(
        health_seconds=healthy,
        ready_seconds=ready,
        idle_bytes=idle,
        load=load,
        watched_load=watched_load,
        watched=watched,
    )
