"""``loopbench evaluate``."""

from typing import Annotated

from loopbench import wire
from loopbench.spec import AccuracyMetric, Loss, Method
from loopbench.text import kebab
from loopbench_client.channel import EVALUATE_TIMEOUT
from loopbench_client.cli.options import Json, RunId, Server, enum_option
from loopbench_client.cli.output import out, print_json
from loopbench_client.cli.session import await_answer, connect
from loopbench_client.cli.tables import print_figures
from loopbench_client.cli.waiting import waiting


def evaluate(
    run_id: RunId,
    *,
    method: Annotated[Method | None, enum_option(Method, "The way of evaluating; default: the run's.")] = None,
    loss: Annotated[Loss | None, enum_option(Loss, "The loss to evaluate; default: the run's.")] = None,
    accuracy_metric: Annotated[
        AccuracyMetric | None, enum_option(AccuracyMetric, "What counts the accuracy; default: the run's.")
    ] = None,
    server: Server = None,
    json: Json = False,
) -> None:
    """Evaluate the stored final weights of a run in one of the ways."""
    with connect(server, ready=True) as client:
        await_answer(client)
        with waiting("the evaluation", EVALUATE_TIMEOUT):
            evaluation = client.evaluate(client.find_run_id(run_id), method, loss, accuracy_metric)
    if json:
        print_json(wire.evaluation_to_wire(evaluation))
        return
    ways = (evaluation.method, evaluation.loss, evaluation.accuracy_metric)
    out().print(f"run {evaluation.run_id}  {' '.join(map(kebab, ways))}", soft_wrap=True)
    print_figures(evaluation)
