"""Stored runs converted directly to messages equal those converted through the models."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from loopbench import spec, wire
from loopbench.spec import RunState
from loopbench_server.rpc.stored_messages import row_to_run_message
from loopbench_server.store.schema import runs
from loopbench_server.store.store import Store


@pytest.mark.parametrize("loss", [0.25, float("nan"), float("inf")])
@pytest.mark.parametrize("marked", [False, True])
def test_a_stored_run_has_the_message_of_its_model(
    store: Store,
    make_run: Callable[..., spec.Run],
    make_result: Callable[..., spec.Result],
    loss: float,
    *,
    marked: bool,
) -> None:
    result = make_result(reported_train=spec.ReportedMetrics(loss=loss, accuracy=0.5))
    cnn = spec.RunSpec(network=spec.Cnn(filters=(8, 4)))
    run = make_run(spec=cnn, state=RunState.SUCCEEDED, result=result)
    store.add(run.model_copy(update={"state": RunState.RUNNING, "result": None}))
    store.update(run, b"weights")
    with store.transaction() as connection:
        if not marked:
            # As written by a server without divergence marks.
            text = result.model_dump_json(exclude={"diverged"})
            connection.execute(sa.update(runs).values(result=text))
        row = connection.execute(sa.select(runs)).one()
    message = row_to_run_message(row)
    expected = wire.run_to_wire(store.get(run.id))
    assert message.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
    assert message.result.HasField("diverged") is (loss != 0.25)
