"""A real server with diverging runs: mark, verdicts, exit code, diagnosis and TensorBoard."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from loopbench.spec import Adam, Dataset, Divergence, Execution, Loss, Method, Run, RunGroup, RunSpec, Sgd, Verdict
from loopbench_client import Client
from loopbench_client.cli import app
from loopbench_client.cli.exit_codes import ExitCode
from tests.support.servers import ServerProcess

pytestmark = pytest.mark.slow


def spec(rate: float, **fields: Any) -> RunSpec:
    known = {
        "method": Method.GRADIENT_TAPE,
        "dataset": Dataset.DIGITS,
        "epochs": 1,
        "optimizer": Sgd(learning_rate=rate),
    }
    return RunSpec(**known | fields)


@pytest.fixture
def trained(client: Client) -> Any:
    return lambda rate, **fields: client.train(spec(rate, **fields), timeout=120)


@pytest.fixture(scope="module")
def diverged(server: ServerProcess) -> Run:
    """A run whose weights are not finite from the second step on."""
    with server.client() as client:
        return client.train(spec(1e6), timeout=120)


@pytest.fixture
def cli(server: ServerProcess) -> Any:
    def run(*words: str) -> Result:
        return CliRunner().invoke(app, words, env={"LOOPBENCH_SERVER": server.address, "COLUMNS": "240"})

    return run


def verdict(client: Client, first: list[Run], second: list[Run]) -> Verdict:
    groups = [
        RunGroup(label=label, run_ids=tuple(run.id for run in runs))
        for label, runs in zip("ab", (first, second), strict=True)
    ]
    (pair,) = client.compare(groups).pairs
    return pair.verdict


OTHERS = [
    {"rate": 1e5},
    {"rate": 1e6, "batch_size": 64},
    {"rate": 1e6, "method": Method.FIT},
    {"rate": 1e6, "method": Method.CUSTOM_TRAIN_STEP, "loss": Loss.MEAN_SQUARED_ERROR},
    {"rate": 1e6, "execution": Execution.EAGER},
    {"rate": 1e6, "execution": Execution.XLA},
    {"rate": 1e6, "optimizer": Adam(learning_rate=1e6), "epochs": 3},
    {"rate": 0.01},
]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_diverged_runs_are_no_evidence_for_any_method(
    client: Client, diverged: Any, trained: Any, cli: Any, other: Any
) -> None:
    first, second = diverged, trained(**other)
    assert first.result.diverged == Divergence(epoch=1, step=2)
    assert (second.result.diverged is None) == (other == {"rate": 0.01})
    assert verdict(client, [first], [second]) is Verdict.DIVERGED
    for requirement in ("identical", "equivalent"):
        done = cli("compare", f"a={first.id}", f"b={second.id}", "--require", requirement)
        assert done.exit_code == ExitCode.NOT_MET
    assert "a and b: diverged. a diverged under 1 of 1 seed (seed 0: epoch 1, step 2)" in done.stdout


def test_some_seeds_of_a_group(client: Client, trained: Any) -> None:
    """At this learning rate two of four seeds diverge."""
    sound = [trained(0.01, seed=seed) for seed in range(3)]
    edge = [trained(0.05, seed=seed) for seed in range(4)]
    assert [run.result.diverged is not None for run in edge] == [False, True, True, False]
    assert verdict(client, sound, edge) is Verdict.DIVERGED
    kept = [run for run in edge if not run.result.diverged]
    assert verdict(client, sound, kept) is not Verdict.DIVERGED


def test_json_is_valid(diverged: Run, cli: Any) -> None:
    read = json.loads(cli("show", diverged.id, "--json").stdout, parse_constant=pytest.fail)
    assert read["result"]["diverged"] == {"epoch": 1, "step": 2}
    assert read["result"]["train"]["loss"] == "NaN"


def test_the_diagnosis_names_it(client: Client) -> None:
    diagnosis = client.diagnose(spec(1e6), spec(1e5), timeout=300)
    assert [cause.reason for cause in diagnosis.causes] == ["NON_FINITE", "LEARNING_RATE"]


def test_weights_that_diverged_can_be_evaluated(client: Client, diverged: Run) -> None:
    assert math.isnan(client.evaluate(diverged.id, timeout=120).validation.loss)


def test_tensorboard_logs_are_written(trained: Any) -> None:
    folder = Path(trained(1e6, tensorboard=True).result.tensorboard_dir)
    assert {path.parent.name for path in folder.rglob("events.*")} == {"train", "validation", folder.name}
