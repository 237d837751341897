"""Diverged runs: older rows are marked, and no comparison or diagnosis uses them."""

import asyncio
import json
import math
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from google.protobuf import json_format
from prometheus_client import CollectorRegistry

from loopbench import spec, wire
from loopbench.spec import (
    Cause,
    ComparisonRequest,
    Diagnosis,
    DiagnosisRequest,
    DiagnosisSubject,
    Divergence,
    Method,
    RunSpec,
    RunState,
    Verdict,
)
from loopbench.spec.normalization import spec_digest
from loopbench.v1 import run_pb2
from loopbench_server.operations.compare import Group, compare
from loopbench_server.operations.compare_stored import compare_stored
from loopbench_server.operations.diagnose import Diagnoser
from loopbench_server.operations.task_runner import TaskRunner
from loopbench_server.operations.verify import Verifier
from loopbench_server.store.database import open_database
from loopbench_server.store.migrate import HEAD
from loopbench_server.store.schema import runs
from loopbench_server.store.store import Store
from loopbench_server.telemetry.metrics.results import ResultMetrics
from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.protocol import Diagnosed, Task, Trained
from tests.support.factories import START

WHERE = Divergence(epoch=1, step=3)
NAN_FINAL = spec.FinalMetrics(loss=math.nan, accuracy=0.105, correct=38, samples=359)
NAN = spec.ReportedMetrics(loss=math.nan, accuracy=0.105)
Make = Callable[..., Any]
# What later revisions added to the tables is removed.
TO_0003 = (
    "DROP TABLE labels",
    "DROP INDEX ix_runs_name",
    "ALTER TABLE runs DROP COLUMN name",
    "ALTER TABLE runs DROP COLUMN labels",
    "UPDATE alembic_version SET version_num = '0003'",
)


# --- the mark ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["loss", "accuracy"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_epoch_that_is_not_finite_marks_an_older_result(
    make_result: Make, make_epoch: Make, split: str, field: str, bad: float
) -> None:
    sound = spec.ReportedMetrics(loss=0.5, accuracy=0.5)
    broken = make_epoch(2, **{split: sound.model_copy(update={field: bad})})
    result = make_result(history=(make_epoch(1), broken, make_epoch(3)))
    assert result.diverged == Divergence(epoch=2, step=None)


@pytest.mark.parametrize("field", ["train", "validation", "reported_train", "reported_validation"])
def test_an_end_that_is_not_finite_marks_it_too(make_result: Make, field: str) -> None:
    value = NAN if field.startswith("reported") else NAN_FINAL
    assert make_result(**{field: value}).diverged == Divergence(epoch=2)


def test_a_mark_stays_as_it_is(make_result: Make, make_run: Make) -> None:
    assert make_result().diverged is None
    result = make_result(train=NAN_FINAL, diverged=WHERE)
    assert result.diverged == WHERE
    assert wire.run_to_wire(make_run(result=result)).result.diverged.step == 3
    assert spec.Result.model_validate_json(result.model_dump_json()).diverged == WHERE


def test_json_of_a_run_that_diverged_is_valid(make_result: Make, make_run: Make) -> None:
    message = wire.run_to_wire(make_run(result=make_result(train=NAN_FINAL, diverged=WHERE)))

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    printed = json_format.MessageToJson(message, always_print_fields_with_no_presence=True)
    read = json.loads(printed, parse_constant=no_constant)
    assert read["result"]["train"]["loss"] == "NaN"
    assert read["result"]["diverged"] == {"epoch": 1, "step": 3}
    assert json_format.Parse(printed, run_pb2.Run()).result.diverged.step == 3


# --- comparing --------------------------------------------------------------------------------------------------------


@pytest.fixture
def group(make_run: Make, make_result: Make) -> Make:
    """Runs with seeds 0, 1, …; a run with a place diverged there. All have the same digests."""

    def build(label: str, *places: Divergence | None, digest: str = "d", **fields: Any) -> Group:
        made = []
        for seed, place in enumerate(places):
            result = make_result(weights_digest=f"{digest}{seed}", diverged=place)
            made.append(make_run(seed + 1, spec=RunSpec(seed=seed, **fields), result=result, state=RunState.SUCCEEDED))
        return Group(label, tuple(made))

    return build


def compare_pair(*groups: Group) -> spec.PairComparison:
    (pair,) = compare(groups, 0.005, 0.05).pairs
    return pair


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((WHERE,), (WHERE,)),
        ((WHERE,), (None,)),
        ((None,), (WHERE,)),
        ((WHERE, WHERE, WHERE), (WHERE, WHERE, WHERE)),
        ((None, WHERE, None), (None, None, None)),
        ((None, None, None), (None, None, WHERE)),
        # The seed that diverged is not shared.
        ((None, None, WHERE), (None, None)),
    ],
)
def test_a_pair_with_a_run_that_diverged_is_diverged(
    group: Make, first: tuple[Divergence | None, ...], second: tuple[Divergence | None, ...]
) -> None:
    pair = compare_pair(group("a", *first), group("b", *second))
    assert pair.verdict is Verdict.DIVERGED
    assert (pair.interval_low, pair.equivalence_p_value, pair.difference_p_value) == (None, None, None)
    assert pair.seeds_needed is None


def test_a_pair_says_how_many_diverged_and_where(group: Make) -> None:
    pair = compare_pair(group("a", None, WHERE, None), group("b", None, None))
    assert "a diverged under 1 of 3 seeds (seed 1: epoch 1, step 3), b diverged under none of 2." in pair.explanation
    pair = compare_pair(group("a", *[Divergence(epoch=7)] * 5), group("b", WHERE))
    assert "5 of 5 seeds (seed 0: epoch 7; seed 1: epoch 7; seed 2: epoch 7; 2 more)" in pair.explanation
    assert "b diverged under 1 of 1 seed (" in pair.explanation


def test_a_group_names_the_seeds(group: Make) -> None:
    comparison = compare([group("a", None, WHERE, WHERE), group("b", None, None, None)], 0.005, 0.05)
    assert [summary.diverged_seeds for summary in comparison.groups] == [(1, 2), ()]
    again = wire.comparison_from_wire(wire.comparison_to_wire(comparison))
    assert again == comparison


def test_other_pairs_are_corrected_without_it(group: Make) -> None:
    sound = [group("a", None, None, None), group("b", None, None, None, digest="e")]
    with_it = compare([*sound, group("c", WHERE, None, None, digest="f")], 0.005, 0.05)
    (alone,) = compare(sound, 0.005, 0.05).pairs
    assert next(pair for pair in with_it.pairs if pair.second_label == "b") == alone
    assert [pair.verdict for pair in with_it.pairs[1:]] == [Verdict.DIVERGED] * 2


def test_finite_runs_stay_identical(group: Make) -> None:
    assert compare_pair(group("a", None, None), group("b", None, None)).verdict is Verdict.IDENTICAL


# --- older rows -------------------------------------------------------------------------------------------------------


def test_older_rows_are_marked_by_their_metrics(
    tmp_path: Path, make_run: Make, make_result: Make, make_epoch: Make
) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"

    def opened() -> Store:
        return Store(open_database(url), "server", timedelta(seconds=30))

    broken = make_result(train=NAN_FINAL, history=(make_epoch(1), make_epoch(2, train=NAN), make_epoch(3, train=NAN)))
    made = [
        make_run(number, spec=RunSpec(seed=number), state=RunState.SUCCEEDED, result=result)
        for number, result in enumerate((broken, broken, make_result()))
    ]
    store = opened()
    for run in made:
        store.add(run)
    with store.transaction() as connection:
        for run in made:
            old = {
                name: value for name, value in json.loads(run.result.model_dump_json()).items() if name != "diverged"
            }
            connection.execute(sa.update(runs).where(runs.c.id == run.id).values(result=json.dumps(old)))
        for statement in TO_0003:
            connection.execute(sa.text(statement))
    store.close()
    store = opened()
    results = [store.get(run.id).result for run in made]
    assert [result.diverged for result in results if result] == [Divergence(epoch=2)] * 2 + [None]
    ids = {label: (made[number].id,) for label, number in (("a", 0), ("b", 1), ("c", 2))}
    request = ComparisonRequest(groups=tuple(spec.RunGroup(label=name, run_ids=found) for name, found in ids.items()))
    # The mark was set from the history, which a comparison does not load.
    verdicts = [pair.verdict for pair in compare_stored(store, request).pairs]
    assert verdicts == [Verdict.DIVERGED] * 3
    with store.transaction() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == HEAD
    store.close()


# --- metrics ----------------------------------------------------------------------------------------------------------

LABELS = {"method": "FIT", "loss": "SUM_OF_SQUARES", "optimizer": "sgd", "dataset": "MNIST", "parameters": "default"}
AGREEMENT = {name: LABELS[name] for name in ("loss", "optimizer", "dataset")}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def found(registry: CollectorRegistry, make_run: Make, make_result: Make) -> Make:
    """Add a run that ended ``seconds`` after the start, and update the metrics."""
    metrics = ResultMetrics(registry, START)

    def find(method: Method, seconds: int, diverged: Divergence | None = None, digest: str = "d") -> None:
        result = make_result(diverged=diverged, weights_digest=digest)
        end = START + timedelta(seconds=seconds)
        run = make_run(seconds + 10, spec=RunSpec(method=method), state=RunState.SUCCEEDED, result=result, end_time=end)
        metrics.run_found(run)

    return find


def test_accuracies_leave_them_out_and_a_gauge_shows_them(registry: CollectorRegistry, found: Make) -> None:
    def shown() -> tuple[float | None, ...]:
        labels = LABELS | {"spec": spec_digest(RunSpec())}
        return (
            registry.get_sample_value("loopbench_last_run_diverged", LABELS),
            registry.get_sample_value("loopbench_last_success_timestamp_seconds", labels),
            registry.get_sample_value("loopbench_accuracy_ratio", labels | {"split": "train"}),
        )

    found(Method.FIT, 1, WHERE)
    assert shown() == (1, None, None)
    found(Method.FIT, 2)
    assert shown() == (0, START.timestamp() + 2, 0.5)
    found(Method.FIT, 4, WHERE)
    assert shown() == (1, START.timestamp() + 2, 0.5)
    found(Method.FIT, 3)  # not in the order of their ends
    assert shown() == (1, START.timestamp() + 3, 0.5)


def test_they_are_counted_from_the_start(registry: CollectorRegistry, found: Make) -> None:
    def count(method: str = "FIT") -> float | None:
        return registry.get_sample_value("loopbench_stored_runs_diverged_total", {"method": method})

    assert (count(), count("GRADIENT_TAPE")) == (0, 0)
    found(Method.FIT, -1, WHERE)
    found(Method.FIT, 1)
    assert count() == 0
    found(Method.FIT, 2, WHERE)
    assert (count(), count("GRADIENT_TAPE")) == (1, 0)


@pytest.mark.parametrize("digest", ["d", "e"])
def test_agreement_leaves_them_out(registry: CollectorRegistry, found: Make, digest: str) -> None:
    def agreement() -> float | None:
        return registry.get_sample_value("loopbench_methods_agree", AGREEMENT)

    found(Method.FIT, 1, WHERE)
    found(Method.GRADIENT_TAPE, 2, WHERE, digest)
    assert agreement() is None
    found(Method.CUSTOM_TRAIN_STEP, 3, None, digest)
    assert agreement() is None
    found(Method.FIT, 4, None, "f")
    assert agreement() == 0


# --- diagnoses --------------------------------------------------------------------------------------------------------

FIRST, SECOND = RunSpec(seed=7), RunSpec(seed=7, method=Method.FIT)
CAUSE = Cause(reason="NON_FINITE", title="t", evidence=(), consequence="e", fix="f", side=spec.Side.SECOND)


@pytest.fixture
def diagnoses(store: Store, pool: Any, config: WorkerConfig, make_scheduler: Make) -> Diagnoser:
    verification = Verifier(make_scheduler(slots=2, queue_size=0), 2)
    return Diagnoser(store, TaskRunner(pool, 1, 10, config.limits), verification, config)


@pytest.fixture
def lost(store: Store, make_run: Make, make_result: Make) -> spec.Run:
    return store.add(make_run(spec=SECOND, state=RunState.SUCCEEDED, result=make_result(diverged=WHERE)))


@pytest.mark.parametrize("by_id", [True, False])
async def test_a_process_receives_where_whole_runs_diverged(
    diagnoses: Diagnoser, pool: Any, lost: spec.Run, by_id: bool
) -> None:
    second = DiagnosisSubject(run_id=lost.id) if by_id else DiagnosisSubject(spec=SECOND)
    request = DiagnosisRequest(first=DiagnosisSubject(spec=FIRST), second=second)
    waiting = asyncio.create_task(diagnoses.diagnose(request, "me"))
    worker = await pool.begun()
    task = Task.model_validate_json(worker.task.model_dump_json())
    assert task.divergences == (None, WHERE)
    worker.send(Diagnosed(diagnosis=Diagnosis(causes=(), controls=())))
    await waiting


@pytest.mark.parametrize("seeds", [1, 2])
async def test_verification_ignores_diverged_runs(
    diagnoses: Diagnoser, pool: Any, make_result: Make, seeds: int
) -> None:
    """The second side diverges with the first seed, so a single seed leaves no results."""
    request = DiagnosisRequest(
        first=DiagnosisSubject(spec=FIRST), second=DiagnosisSubject(spec=SECOND), verify=True, seeds=seeds
    )
    waiting = asyncio.create_task(diagnoses.diagnose(request, "me"))
    known = Diagnosis(causes=(CAUSE,), controls=(), first=FIRST, second=SECOND)
    (await pool.begun()).send(Diagnosed(diagnosis=known))
    same = spec.FinalMetrics(loss=0.25, accuracy=0.75, correct=3, samples=4)
    for _ in range(2 * seeds):
        worker = await pool.begun()
        broken = worker.task.spec.method is Method.FIT and worker.task.spec.seed == 7
        fields = {"validation": NAN_FINAL, "reported_validation": NAN, "diverged": WHERE} if broken else {}
        worker.send(Trained(result=make_result(**{"validation": same} | fields)), b"w")
    verified = await waiting
    assert verified.causes == (CAUSE,), "no false report"
    assert all(math.isfinite(item.expected or 0) for item in verified.controls)
    second = [item for item in verified.controls if item.name.endswith("/second")]
    assert len(second) == (0 if seeds == 1 else 2)
    assert verified.verification is not None
    assert [pair.verdict for pair in verified.verification.pairs] == [Verdict.DIVERGED]
