"""What every call sends and how its answer is read: the part that both clients share."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import uuid4

from loopbench import spec, wire
from loopbench.v1 import benchmark_service_pb2
from loopbench_client.arguments import clear_refusals, expect
from loopbench_client.errors import ErrorDetails, InvalidSpecError, NotFoundError, UnsupportedError

T = TypeVar("T")

# The initial metadata in which Train names its run at once.
RUN_ID_METADATA = "loopbench-run-id"

PAGE_SIZE = 50

# The server does not accept parts of ids: it would have to guess.
ID_PREFIX = re.compile(r"[0-9a-f-]{4,35}")
# Runs that an error about a prefix names.
MOST_NAMED = 5
OLD_FILTER = "the server does not filter by name, label or the beginning of an id: it is older than this client"


@dataclass(frozen=True)
class Call(Generic[T]):
    """One call of the service: the name of its method, the message it sends and how to read each message it answers.

    One that is not ``repeatable`` is not sent again where its answer is lost.
    """

    method: str
    request: Any
    read: Callable[[Any], T]
    repeatable: bool = True


def check_progress(on_progress: object, *, detach: bool) -> None:
    """Refuses to report the progress of a run that is not waited for."""
    if detach and on_progress is not None:
        raise ValueError("a detached run has no on_progress: follow it with watch_run(run)")


@clear_refusals()
def train(run: spec.RunSpec, request_id: str | None, naming: spec.Naming, *, detach: bool) -> Call[spec.Run]:
    """A call that is safe to repeat, because it always bears a request_id."""
    expect("train", run, spec.RunSpec)
    expect("train: request_id", request_id, str, type(None))
    request = benchmark_service_pb2.TrainRequest(
        spec=wire.spec_to_wire(run),
        request_id=request_id or str(uuid4()),
        detach=detach,
        name=naming.name,
        labels=naming.labels,
    )
    return Call("Train", request, wire.run_from_wire)


@clear_refusals()
def naming(name: str, labels: Mapping[str, str] | None) -> spec.Naming:
    """The name and the labels of a run.

    Raises:
        InvalidSpecError: they break the contract.
    """
    if labels is not None:
        expect("train: labels", labels, Mapping)
    return spec.Naming(name=name, labels=dict(labels or {}))


def only(answers: list[Any]) -> Any:
    """The one message of a call that was made as a stream.

    Raises:
        InvalidFieldsError: there is another number of them.
    """
    if len(answers) != 1:
        raise spec.InvalidFieldsError(
            (spec.Violation(field="", description=f"{len(answers)} messages instead of one"),)
        )
    return answers[0]


@clear_refusals()
def evaluate(
    source: spec.RunSpec | str,
    method: spec.Method | None,
    loss: spec.Loss | None,
    accuracy_metric: spec.AccuracyMetric | None,
) -> Call[spec.Evaluation]:
    """Stored weights, of a run or of the latest run of a spec."""
    named = {"run_id": source} if isinstance(source, str) else {"spec": source}
    request = spec.EvaluationRequest.model_validate(
        {**named, "method": method, "loss": loss, "accuracy_metric": accuracy_metric}
    )
    return Call("Evaluate", wire.evaluation_request_to_wire(request), wire.evaluation_from_wire)


@clear_refusals()
def watch_run(run_id: str) -> Call[spec.RunEvent]:
    """A stream, which ends with the run."""
    return Call("WatchRun", benchmark_service_pb2.WatchRunRequest(run_id=run_id), wire.event_from_wire)


@clear_refusals()
def get_run(run_id: str) -> Call[spec.Run]:
    """One run."""
    return Call("GetRun", benchmark_service_pb2.GetRunRequest(run_id=run_id), wire.run_from_wire)


@clear_refusals()
def list_runs(runs: spec.RunFilter | None, page_size: int, page_token: str) -> Call[tuple[list[spec.Run], str]]:
    """One page of runs and the token of the next, empty after the last."""
    wanted = spec.RunFilter() if runs is None else runs
    expect("list_runs", wanted, spec.RunFilter)
    request = benchmark_service_pb2.ListRunsRequest(
        filter=wire.filter_to_wire(wanted), page_size=page_size, page_token=page_token
    )

    def read(page: Any) -> tuple[list[spec.Run], str]:
        found = [*map(wire.run_from_wire, page.runs)]
        if not all(_is_named(run, wanted) for run in found):
            raise UnsupportedError(ErrorDetails(OLD_FILTER, "OLD_SERVER"), hint="upgrade the server")
        return found, page.next_page_token

    return Call("ListRuns", request, read)


def _is_named(run: spec.Run, wanted: spec.RunFilter) -> bool:
    """Whether a run has the names that a filter asks for; an older server ignores these conditions."""
    return (
        (not wanted.names or run.name in wanted.names)
        and wanted.labels.items() <= run.labels.items()
        and run.id.startswith(wanted.id_prefix)
    )


def id_of(call: str, run: spec.Run | str, *others: type) -> str:
    """The id of a run, which is given by itself or by its id.

    Raises:
        TypeError: ``run`` is neither, and none of the ``others`` that the call takes.
    """
    expect(call, run, *others, spec.Run, str)
    return run.id if isinstance(run, spec.Run) else run


def is_id_prefix(text: str) -> bool:
    """Whether ``text`` can be the beginning of a run id, and is not a whole one."""
    expect("find_run_id", text, str)
    return ID_PREFIX.fullmatch(text.lower()) is not None


def only_run(prefix: str, found: list[spec.Run]) -> str:
    """The id of the only run whose id begins with ``prefix``.

    Raises:
        NotFoundError: no run does.
        InvalidSpecError: several do.
    """
    if len(found) == 1:
        return found[0].id
    if not found:
        details = ErrorDetails(f"no run has an id that begins with {prefix}", "RUN_NOT_FOUND")
        raise NotFoundError(details, hint="loopbench runs lists the runs")
    several = ", ".join(run.id for run in found[:MOST_NAMED]) + (", …" if len(found) > MOST_NAMED else "")
    details = ErrorDetails(f"several run ids begin with {prefix}: {several}", "AMBIGUOUS_ID")
    raise InvalidSpecError(details, hint="give more characters")


@clear_refusals()
def get_weights(run_id: str) -> Call[bytes]:
    """A stream of the parts of an ``.npz`` file."""
    return Call("GetWeights", benchmark_service_pb2.GetWeightsRequest(run_id=run_id), lambda part: part.data)


@clear_refusals()
def cancel_run(run_id: str) -> Call[spec.Run]:
    """Ends a run."""
    return Call("CancelRun", benchmark_service_pb2.CancelRunRequest(run_id=run_id), wire.run_from_wire)


@clear_refusals()
def delete_run(run_id: str) -> Call[None]:
    """Deletes a run that has ended. Repeated after its answer was lost, it would say that there is no such run."""
    request = benchmark_service_pb2.DeleteRunRequest(run_id=run_id)
    return Call("DeleteRun", request, lambda _: None, repeatable=False)


@clear_refusals()
def compare(groups: Iterable[spec.RunGroup], margin: float | None, alpha: float | None) -> Call[spec.Comparison]:
    """Verdicts on every pair of groups."""
    groups = [*groups]
    for group in groups:
        expect("compare", group, spec.RunGroup)
    request = benchmark_service_pb2.CompareRequest(groups=map(wire.group_to_wire, groups), margin=margin, alpha=alpha)
    return Call("Compare", request, wire.comparison_from_wire)


@clear_refusals()
def diagnose(
    first: spec.RunSpec | str, second: spec.RunSpec | str, *, verify: bool, seeds: int | None
) -> Call[spec.Diagnosis]:
    """Causes of a difference between two specs, or the runs that have them."""
    request = wire.diagnosis_request_to_wire(
        spec.DiagnosisRequest(first=_subject(first), second=_subject(second), verify=verify)
    )
    if seeds is not None:
        # The server says what is wrong with it.
        request.seeds = seeds
    # A verification that was lost on the way would train everything again.
    return Call("Diagnose", request, wire.diagnosis_from_wire, repeatable=not verify)


def _subject(source: spec.RunSpec | str) -> spec.DiagnosisSubject:
    return spec.DiagnosisSubject(run_id=source) if isinstance(source, str) else spec.DiagnosisSubject(spec=source)


def get_server_info() -> Call[spec.ServerInfo]:
    """What the server is."""
    return Call("GetServerInfo", benchmark_service_pb2.GetServerInfoRequest(), wire.server_info_from_wire)
