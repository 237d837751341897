"""Specs trained and compared, against a fake server that follows the contract."""

import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from loopbench import wire
from loopbench.spec import Method, Naming, Run, RunEvent, RunGroup, RunSpec, RunState
from loopbench_client import Client, ServerUnavailableError
from loopbench_client.comparing import Compared, Failure, Plan, Watcher, compare_specs, training
from loopbench_client.comparing.training import most_unfinished, train_all
from tests.support.fake_service import make_run
from tests.support.servers import eventually

FIT, TAPE, STEP = (RunSpec(method=method) for method in (Method.FIT, Method.GRADIENT_TAPE, Method.CUSTOM_TRAIN_STEP))
PLAN = Plan({"fit": FIT, "tape": TAPE}, (0, 1))


class RecordingWatcher(Watcher):
    """Watcher that records its calls."""

    def __init__(self) -> None:
        self.found: list[Run] = []
        self.jobs = 0
        self.events: list[RunEvent] = []
        self.ends: list[Run | Failure] = []

    def begin(self, jobs: Mapping[RunSpec, tuple[str, ...]], found: Mapping[RunSpec, Run]) -> None:
        self.jobs, self.found = len(jobs), [*found.values()]

    def progress(self, spec: RunSpec, event: RunEvent) -> None:  # noqa: ARG002  # the base class gives the arguments
        self.events.append(event)

    def ended(self, spec: RunSpec, end: Run | Failure) -> None:
        assert spec == end.spec
        self.ends.append(end)


@pytest.fixture(autouse=True)
def _keeps(service: Any) -> None:
    service.runs, service.keeps = [], True


def trained(service: Any) -> list[tuple[Method, int]]:
    specs = [wire.spec_from_wire(request.spec) for request in service.requests["Train"]]
    return [(spec.method, spec.seed) for spec in specs]


def unnamed(specs: Iterable[RunSpec]) -> dict[RunSpec, Naming]:
    return dict.fromkeys(specs, Naming())


def test_runs_are_named_by_their_label_and_their_plan(client: Client, service: Any) -> None:
    compare_specs(client, replace(PLAN, specs={"fit": FIT, "again": FIT, "x" * 101: TAPE}, seeds=(0,), name="losses"))
    requests = service.requests["Train"]
    assert [request.name for request in requests] == ["fit", f"{'x' * 99}…"]
    assert {request.labels["plan"] for request in requests} == {"losses"}
    service.requests["Train"].clear()
    compare_specs(client, replace(PLAN, seeds=(1,)))
    unlabelled = [(request.name, dict(request.labels)) for request in service.requests["Train"]]
    assert unlabelled == [("fit", {}), ("tape", {})]


def test_every_spec_is_trained_under_every_seed_and_compared(client: Client, service: Any) -> None:
    recorder = RecordingWatcher()
    compared = compare_specs(client, Plan(PLAN.specs, (3, 4), margin=0.25, alpha=0.125), watcher=recorder)
    assert trained(service) == [(Method.FIT, 3), (Method.GRADIENT_TAPE, 3), (Method.FIT, 4), (Method.GRADIENT_TAPE, 4)]
    (request,) = service.requests["Compare"]
    assert [(group.label, [*group.run_ids]) for group in request.groups] == [
        ("fit", ["run-0", "run-2"]),
        ("tape", ["run-1", "run-3"]),
    ]
    assert (request.margin, request.alpha) == (0.25, 0.125)
    assert [run.spec.seed for run in compared.runs["tape"]] == [3, 4]
    assert (compared.specs, compared.failures, compared.reused) == ({"fit": FIT, "tape": TAPE}, (), 0)
    assert compared.pair("tape", "fit") == compared.pair("fit", "tape") is not None
    assert (recorder.jobs, recorder.found, len(recorder.events)) == (4, [], 4 * len(service.events))
    assert [(end.spec.method, end.spec.seed) for end in recorder.ends] == trained(service)


def test_existing_runs_are_not_trained_again(client: Client, service: Any) -> None:
    first = compare_specs(client, PLAN)
    recorder = RecordingWatcher()
    again = compare_specs(client, PLAN, watcher=recorder)
    assert len(trained(service)) == 4
    assert (again.reused, len(recorder.found), recorder.ends) == (4, 4, [])
    assert again.runs == first.runs
    wanted = wire.filter_from_wire(service.requests["ListRuns"][-1].filter)
    assert wanted.states == (RunState.SUCCEEDED,)
    assert set(wanted.methods) == {Method.FIT, Method.GRADIENT_TAPE}
    assert set(wanted.seeds) == {0, 1}
    assert (wanted.optimizers, wanted.datasets, wanted.losses) == (("sgd",), ("MNIST",), ("SUM_OF_SQUARES",))


def test_another_plan_reuses_matching_runs(client: Client, service: Any) -> None:
    compare_specs(client, PLAN)
    compared = compare_specs(client, Plan({"tape": TAPE, "step": STEP}, (1, 2)))
    assert trained(service)[4:] == [(Method.CUSTOM_TRAIN_STEP, 1), (Method.GRADIENT_TAPE, 2), (STEP.method, 2)]
    assert compared.reused == 1


def test_fresh_trains_all_again(client: Client, service: Any) -> None:
    compare_specs(client, PLAN)
    assert compare_specs(client, PLAN, fresh=True).reused == 0
    assert len(trained(service)) == 8
    assert {*service.requests["Compare"][1].groups[0].run_ids} == {"run-4", "run-6"}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, (1, ())),
        ({"source_revision": "abc"}, (1, ("revision",))),
        ({"versions": {"tensorflow": "2.20.0", "keras": "3.15.1"}}, (0, ())),
        ({"cpu_model": "another"}, (0, ())),
        ({"threads": 2}, (0, ())),
    ],
)
def test_runs_that_may_have_other_bits_are_not_reused(
    fields: dict[str, Any], found: tuple[int, tuple[str, ...]], client: Client, service: Any, make_served_run: Any
) -> None:
    run = make_served_run(TAPE)
    environment = service.environment.model_copy(update=fields)
    service.runs = [run.model_copy(update={"result": run.result.model_copy(update={"environment": environment})})]
    compared = compare_specs(client, Plan(PLAN.specs, (0,)))
    assert (compared.reused, compared.differing_facts) == found


def test_the_latest_run_of_a_spec_is_taken(client: Client, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(TAPE, id="new"), make_served_run(FIT, id="fit"), make_served_run(TAPE, id="old")]
    compared = compare_specs(client, Plan(PLAN.specs, (0,)))
    assert [run.id for runs in compared.runs.values() for run in runs] == ["fit", "new"]


def test_labels_of_one_spec_share_its_runs(client: Client, service: Any) -> None:
    compared = compare_specs(client, Plan({"one": TAPE, "two": TAPE}, (0, 1)))
    assert len(trained(service)) == 2
    assert compared.runs["one"] == compared.runs["two"]


def test_runs_are_in_the_order_of_their_seeds(client: Client) -> None:
    compared = compare_specs(client, Plan(PLAN.specs, (5, 3)))
    assert [run.spec.seed for run in compared.runs["tape"]] == [3, 5]


def test_a_failure_stops_no_other_run(client: Client, service: Any, status: Any, info: Any) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="spec.seed", description="is odd")
    service.failures["Train"] += [
        status(grpc.StatusCode.ABORTED, "out of memory", info("WORKER_DIED", run_id="r9")),
        status(grpc.StatusCode.INVALID_ARGUMENT, "bad", error_details_pb2.BadRequest(field_violations=[violation])),
    ]
    recorder = RecordingWatcher()
    compared = compare_specs(client, Plan({"fit": FIT, "also": FIT, "tape": TAPE}, (0, 1)), watcher=recorder)
    assert compared.failures == (
        Failure(FIT, ("fit", "also"), "WORKER_DIED", "out of memory", "r9"),
        Failure(TAPE, ("tape",), "", "bad; spec.seed: is odd"),
    )
    assert {label: [run.spec.seed for run in runs] for label, runs in compared.runs.items()} == {
        "fit": [1],
        "also": [1],
        "tape": [1],
    }
    assert len(recorder.ends) == 4
    # Only the failed run is repeated.
    again = compare_specs(client, Plan({"fit": FIT, "also": FIT, "tape": TAPE}, (0, 1)))
    assert (again.reused, again.failures) == (2, ())


def test_groups_that_lost_all_their_runs_are_not_compared(client: Client, service: Any, status: Any) -> None:
    service.failures["Train"] += [status(grpc.StatusCode.ABORTED, "no")] * 2
    compared = compare_specs(client, Plan({"fit": FIT, "tape": TAPE, "step": STEP}, (0,)))
    assert [*compared.runs] == ["step"]
    assert compared.comparison is None
    assert compared.summary("step") is None
    assert not compared.misreports("step")
    assert not service.requests["Compare"]


def test_the_client_waits_for_a_full_queue(client: Client, service: Any, status: Any, info: Any) -> None:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(1)
    service.failures["Train"] += [status(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", info("QUEUE_FULL"), retry)] * 3
    compared = compare_specs(client, Plan(PLAN.specs, (0,)))
    assert (compared.failures, len(trained(service))) == ((), 5)


@pytest.mark.usefixtures("short_pauses")
def test_a_lost_server_ends_the_comparison(client: Client, service: Any, status: Any) -> None:
    service.failures["Train"] += [status(grpc.StatusCode.UNAVAILABLE, "gone")] * 20
    with pytest.raises(ServerUnavailableError, match="gone"):
        compare_specs(client, PLAN)
    assert (Method.FIT, 1) not in trained(service)


class Interrupted(Watcher):
    """Ctrl-C comes with the first progress of a run."""

    def progress(self, *_: Any) -> None:
        raise KeyboardInterrupt


def test_a_server_that_does_not_answer_holds_up_no_interrupt(
    client: Client, service: Any, make_served_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "STOP_TIMEOUT", 0.1)
    running = make_served_run(FIT, id="under-way", state=RunState.RUNNING, result=None)
    service.hold, service.events = True, [RunEvent(state=RunState.RUNNING, run=running)]
    cancelling, answered, enter = threading.Event(), threading.Event(), service._enter

    def late(method: str, *rest: Any) -> None:
        if method == "CancelRun":
            cancelling.set()
            answered.wait(30)
        enter(method, *rest)

    monkeypatch.setattr(service, "_enter", late)
    with pytest.raises(KeyboardInterrupt):
        compare_specs(client, PLAN, watcher=Interrupted())
    assert cancelling.wait(30)
    assert not answered.is_set()
    answered.set()


def test_an_interrupt_cancels_what_is_running(client: Client, service: Any, make_served_run: Any) -> None:
    running = make_served_run(FIT, id="under-way", state=RunState.RUNNING, result=None)
    service.hold = True
    service.events = [RunEvent(state=RunState.RUNNING, run=running)]

    with pytest.raises(KeyboardInterrupt):
        compare_specs(client, PLAN, watcher=Interrupted())
    assert [request.run_id for request in service.requests["CancelRun"]] == ["under-way"]
    assert trained(service) == [(Method.FIT, 0)]


@pytest.mark.parametrize(
    ("running", "slots", "unfinished"),
    [(0, 2, 7), (2, 2, 7), (3, 2, 14), (4, 2, 14), (5, 2, 21), (0, 1, 6), (2, 1, 12)],
)
def test_five_runs_wait_at_each_server_that_trains(
    running: int, slots: int, unfinished: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the fixture's, which leaves none to wait
    assert most_unfinished(running, slots) == unfinished


@pytest.mark.parametrize(("state", "requested"), [(RunState.QUEUED, 6), (RunState.RUNNING, 20)])
def test_the_servers_get_more_runs_while_they_start_them(
    client: Client, service: Any, state: RunState, requested: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    run = make_run(FIT, state=state, result=None)
    service.hold, service.events = True, [RunEvent(state=state, run=run)]
    specs = [FIT.model_copy(update={"seed": seed}) for seed in range(20)]
    with closing(train_all(client, unnamed(specs), 1)) as outcomes:
        for _ in range(requested):
            next(outcomes)
        eventually(lambda: len(trained(service)) == requested)


def test_runs_whose_id_is_not_known_yet_end_as_well(client: Client, service: Any) -> None:
    service.hold = True
    with closing(train_all(client, unnamed([FIT, TAPE]), 2)) as outcomes:
        assert next(outcomes)[0] in (FIT, TAPE)
    # At its next event, or by its id if the id arrived just before.
    assert service.requests["CancelRun"] or service.abandoned.wait(10)


def test_waiting_for_a_full_queue_ends_as_well(client: Client, service: Any, status: Any, info: Any) -> None:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromSeconds(3_600)
    service.failures["Train"].append(status(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", info("QUEUE_FULL"), retry))
    with closing(train_all(client, unnamed([FIT, TAPE]), 2)) as outcomes:
        assert isinstance(next(outcomes)[1], RunEvent)
    assert len(trained(service)) == 2


def test_groups_of_runs_are_read_for_what_they_reported(client: Client, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(STEP)]
    groups = (RunGroup(label="a", run_ids=("1", "2")), RunGroup(label="b", run_ids=("3",)))
    compared = compare_specs(client, Plan({}, (), groups))
    assert compared.specs == {"a": STEP, "b": STEP}
    assert [len(runs) for runs in compared.runs.values()] == [2, 1]
    assert not service.requests["Train"]
    assert not service.requests["GetServerInfo"]


def test_a_wrong_accuracy_metric_is_detected_by_the_margin(client: Client, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(STEP)]
    # The service counts 80 %; the loops reported 91.79 %.
    compared = compare_specs(client, Plan({}, (), tuple(RunGroup(label=name, run_ids=("1",)) for name in "ab")))
    assert compared.reported("a") == pytest.approx(0.9179)
    assert compared.misreports("a")
    assert compared.comparison is not None
    wide = compared.comparison.model_copy(update={"margin": 0.12})
    assert not Compared(compared.specs, compared.runs, wide).misreports("a")


def test_runs_and_specs_in_one_comparison(client: Client, service: Any, make_served_run: Any) -> None:
    service.runs = [make_served_run(FIT)]
    plan = Plan({"tape": TAPE}, (0,), (RunGroup(label="old", run_ids=("x",)),))
    assert [*compare_specs(client, plan).runs] == ["old", "tape"]
    assert [group.label for group in service.requests["Compare"][0].groups] == ["old", "tape"]
