"""``loopbench compare`` on specs, from a real server."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from loopbench.spec import Dataset, Device, Execution, Meter, Method, RunFilter, RunSpec, RunState, Verdict
from loopbench_client import Client
from loopbench_client.comparing import Plan, compare_specs, make_plan, read_draft
from tests.support.servers import SECONDS_TO_READY, ServerProcess, Start

# What a shell starts in the background ignores SIGINT, and so would a command below it.
MAIN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
MAIN += "from loopbench_client.cli import main; main()"
SHARED = ("--dataset", "digits", "--epochs", "1")


def started(address: str, *words: str) -> subprocess.Popen[str]:
    environment = os.environ | {"LOOPBENCH_SERVER": address}
    command = [sys.executable, "-c", MAIN, "compare", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def compare(address: str, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    process = started(address, *words)
    stdout, stderr = process.communicate(timeout=240)
    return process.returncode, stdout, stderr


def specs(*texts: str) -> Sequence[str]:
    return [word for text in texts for word in ("--spec", text)]


@pytest.fixture
def own(start: Start) -> ServerProcess:
    """A server whose runs are this test's alone."""
    server = start("--slots", "2")
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
    return server


def test_three_methods_are_identical_and_a_small_loss_is_not(own: ServerProcess) -> None:
    words = specs("tape: method=gradient-tape", "fit: method=fit", "step: method=custom-train-step")
    code, stdout, stderr = compare(own.address, *words, *SHARED, "--seeds", "2", "--require", "identical")
    assert (code, stderr.splitlines()[0]) == (0, "0 of 6 runs are there already")
    assert len(stderr.splitlines()) == 7
    assert stdout.count("The final weights are the same, bit for bit, for all 2 seeds.") == 3

    words = [*words, *specs("mse: loss=mean-squared-error")]
    code, stdout, stderr = compare(own.address, *words, *SHARED, "--seeds", "2", "--json", "--require", "equivalent")
    document = json.loads(stdout)
    assert (code, document["reused"], stderr.splitlines()[0]) == (8, 6, "6 of 8 runs are there already")
    assert [len(runs) for runs in document["runs"].values()] == [2, 2, 2, 2]
    with own.client() as client:
        assert len([*client.list()]) == 8


def test_a_file_is_a_plan(own: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(
        "seeds: [5, 3]\ndefaults: {dataset: digits, epochs: 1}\nspecs:\n"
        "  small: {optimizer: {sgd: {learning_rate: 0.001}}}\n"
        "  meter: {optimizer: sgd, learning_rate: 0.001, meter: categorical-on-labels}\n"
    )
    with own.client() as client:
        compared = compare_specs(client, make_plan(read_draft(file)))
    assert compared.comparison is not None
    assert [group.seeds for group in compared.comparison.groups] == [(3, 5), (3, 5)]
    pair = compared.pair("meter", "small")
    assert pair is not None
    assert pair.verdict is Verdict.IDENTICAL
    assert compared.specs["meter"].meter is Meter.CATEGORICAL_ON_LABELS
    # The meter counts one sample a batch: 12 of 359.
    assert compared.misreports("meter")
    assert not compared.misreports("small")


def test_an_interrupted_comparison_goes_on_where_it_was(own: ServerProcess) -> None:
    long = "long: execution=eager epochs=1000"
    words = [*specs("one: method=fit", "two: method=gradient-tape", long), "--dataset", "digits", "--seeds", "1"]
    words += ["--batch-size", "16"]
    process = started(own.address, *words)
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(3)]
    assert [line.split()[0] for line in lines] == ["0", "1/3", "2/3"]
    with own.client() as client:
        (running,) = client.list(RunFilter(states=(RunState.RUNNING, RunState.QUEUED)))
        for event in client.watch(running.id):
            if event.progress:
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        assert (process.returncode, stdout) == (130, "")
        assert stderr.splitlines() == [
            "the same command again goes on from here: what has finished is not run again",
            "interrupted",
        ]
        assert client.get(running.id).state is RunState.CANCELLED

        code, _, stderr = compare(own.address, *words[:4], *words[6:])
        assert (code, stderr) == (0, "2 of 2 runs are there already\n")
        assert len([*client.list(RunFilter(states=(RunState.SUCCEEDED,)))]) == 2
        # What was cancelled is run again, and what is there is not.
        plan = Plan({"long": running.spec.model_copy(update={"epochs": 1}), "one": one_of(client)}, (0,))
        assert compare_specs(client, plan).reused == 1
        assert len([*client.list()]) == 4


def one_of(client: Client) -> RunSpec:
    (run,) = client.list(RunFilter(methods=(Method.FIT,)))
    return run.spec


def test_a_run_that_cannot_be_stops_no_other(own: ServerProcess) -> None:
    with own.client() as client:
        if any(device.type is Device.GPU for device in client.server_info().devices):
            pytest.skip("this machine has a GPU")
    words = specs("gpu: device=gpu", "one: method=fit", "two: method=gradient-tape")
    code, stdout, stderr = compare(own.address, *words, *SHARED, "--seeds", "1")
    assert code == 1
    assert "one and two: identical." in stdout
    assert "failed: gpu, seed 0: " in stderr
    reason, hint = stderr.splitlines()[-2:]
    assert reason.strip().startswith("reason ")
    assert hint.strip().startswith("hint: ")


def test_labels_of_one_spec_share_runs(client: Client) -> None:
    spec = RunSpec(dataset=Dataset.DIGITS, epochs=1, batch_size=48, execution=Execution.EAGER)
    compared = compare_specs(client, Plan({"a": spec, "b": spec}, (11, 12)))
    assert compared.runs["a"] == compared.runs["b"]
    again = compare_specs(client, Plan({"a": spec, "b": spec}, (11, 12)))
    assert (again.reused, again.runs) == (2, compared.runs)
    fresh = compare_specs(client, Plan({"a": spec, "b": spec}, (11, 12)), fresh=True)
    assert fresh.reused == 0
    assert {run.id for run in fresh.runs["a"]}.isdisjoint(run.id for run in again.runs["a"])


def test_the_article_on_digits(server: ServerProcess) -> None:
    words = ["--preset", "article", *SHARED, "--seeds", "1", "--json"]
    code, stdout, _ = compare(server.address, *words)
    document = json.loads(stdout)
    assert (code, len(document["groups"]), len(document["pairs"])) == (0, 10, 45)
    holds = {(claim["label"], claim["claim"]): claim["holds"] for claim in document["claims"]}
    assert holds["1 tape", "train 96.86 %"] is None
    for label in ("4 fit", "6 train_step"):
        assert holds[label, "the same as '1 tape'"] is True
    assert holds["5 tape mse", "the same as '2 fit mse'"] is True
    assert holds["8 meter on outputs", "the meter agrees with counting"] is True
