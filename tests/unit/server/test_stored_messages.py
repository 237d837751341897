"""Stored runs become the messages that their models become."""

import json
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from loopbench import spec, wire
from loopbench.spec import OPTIMIZERS, RunFilter, RunState
from loopbench_server.errors import RunUnreadableError
from loopbench_server.runs.schema import columns_of, runs
from loopbench_server.runs.store import Store
from loopbench_server.stored_messages import ended_event, page_message, run_message

MakeRun = Callable[..., spec.Run]
ERROR = spec.RunError(reason="RUN_FAILED", message="it failed", hint="look", retryable=True)


@pytest.fixture
def succeeded(make_run: MakeRun, make_result: Callable[..., spec.Result]) -> spec.Run:
    time = make_run().create_time
    return make_run(
        state=RunState.SUCCEEDED,
        start_time=time + timedelta(microseconds=1),
        end_time=time + timedelta(days=1, microseconds=999_999),
        result=make_result(tensorboard_dir="logs"),
    )


def every_kind(succeeded: spec.Run, make_epoch: Any) -> list[spec.Run]:
    """Runs in every state, with every optimizer, every value of an enumeration, and figures of every kind."""
    made = [succeeded.model_copy(update={"state": state, "error": ERROR, "result": None}) for state in RunState]
    specs: list[dict[str, Any]] = [{"optimizer": kind()} for kind in OPTIMIZERS.values()]
    specs += [{"optimizer": kind(clipnorm=0.5, use_ema=True)} for kind in OPTIMIZERS.values()]
    enums = {
        "method": spec.Method,
        "loss": spec.Loss,
        "dataset": spec.Dataset,
        "device": spec.Device,
        "execution": spec.Execution,
        "meter": spec.Meter,
        "loss_report": spec.LossReport,
    }
    specs += [{name: value} for name, values in enums.items() for value in values]
    specs += [{"shuffle_buffer": 0, "seed": 2**32 - 1, "tensorboard": True}]
    made += [succeeded.model_copy(update={"spec": spec.RunSpec(**given)}) for given in specs]
    assert succeeded.result is not None
    for figure in (math.inf, -math.inf, -0.0, 5e-324, 1e308):
        reported = spec.Reported(loss=figure, accuracy=0.5)
        result = succeeded.result.model_copy(
            update={"reported_train": reported, "history": (make_epoch(1, train=reported),)}
        )
        made.append(succeeded.model_copy(update={"result": result}))
    made.append(succeeded.model_copy(update={"result": succeeded.result.model_copy(update={"history": ()})}))
    return [
        run.model_copy(update={"id": f"00000000-0000-4000-8000-{number:012}", "request_id": str(number)})
        for number, run in enumerate(made)
    ]


def test_each_is_the_message_of_its_model(store: Store, succeeded: spec.Run, make_epoch: Any) -> None:
    for run in every_kind(succeeded, make_epoch):
        store.add(run)
        assert run_message(store.row(run.id)) == wire.run_to_wire(run)


def test_a_figure_that_is_not_a_number_stays_one(store: Store, succeeded: spec.Run) -> None:
    assert succeeded.result is not None
    reported = spec.Reported(loss=math.nan, accuracy=0.5)
    store.add(succeeded.model_copy(update={"result": succeeded.result.model_copy(update={"reported_train": reported})}))
    assert math.isnan(run_message(store.row(succeeded.id)).result.reported_train.loss)


def change(store: Store, run: spec.Run, column: str, edit: Callable[[dict[str, Any]], object]) -> None:
    stored = json.loads(columns_of(run)[column])
    edit(stored)
    with store.transaction() as connection:
        connection.execute(sa.update(runs).where(runs.c.id == run.id).values({column: json.dumps(stored)}))


def test_what_an_older_server_did_not_store_has_its_default(store: Store, succeeded: spec.Run) -> None:
    store.add(succeeded)
    change(store, succeeded, "spec", lambda stored: (stored.pop("replicas"), stored["optimizer"].pop("nesterov")))
    change(store, succeeded, "result", lambda stored: stored["phases"].pop("load_seconds"))
    assert run_message(store.row(succeeded.id)) == wire.run_to_wire(store.get(succeeded.id))
    assert run_message(store.row(succeeded.id)).spec.replicas == 1


UNKNOWN: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "a field of a spec": ("spec", lambda stored: stored.update(later=1)),
    "a field in an epoch": ("result", lambda stored: stored["history"][0].update(later=1)),
    "a value of an enumeration": ("spec", lambda stored: stored.update(method="LATER")),
    "an optimizer": ("spec", lambda stored: stored["optimizer"].update(kind="later")),
    "a value of another type": ("spec", lambda stored: stored.update(epochs="many")),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_a_newer_server_stored_is_left_out_of_a_page(
    store: Store, succeeded: spec.Run, make_run: MakeRun, what: str
) -> None:
    store.add(succeeded)
    store.add(make_run(2, create_time=succeeded.create_time - timedelta(days=1)))
    change(store, succeeded, *UNKNOWN[what])
    with pytest.raises(RunUnreadableError):
        run_message(store.row(succeeded.id))
    first, token = store.page(RunFilter(), 1, "", run_message)
    assert first == []
    assert [run.id for run in store.page(RunFilter(), 1, token, run_message)[0]] == [make_run(2).id]


def test_a_run_that_has_ended_is_one_event(store: Store, succeeded: spec.Run, make_epoch: Any) -> None:
    records = tuple(make_epoch(number) for number in (1, 2, 3))
    store.add(succeeded)
    event = ended_event(store.row(succeeded.id), [record.model_dump_json() for record in records])
    expected = spec.RunEvent(state=succeeded.state, epochs=records, run=succeeded)
    assert event == wire.event_to_wire(expected)


def test_a_page_holds_its_runs_and_the_token_of_the_next(store: Store, succeeded: spec.Run) -> None:
    store.add(succeeded)
    page = page_message(*store.page(RunFilter(), 1, "", run_message))
    assert [wire.run_from_wire(run) for run in page.runs] == [succeeded]
    assert page.next_page_token == ""
