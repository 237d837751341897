"""``loopbench compare`` on specs with a real server."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from loopbench.spec import AccuracyMetric, Dataset, Device, Execution, Method, RunFilter, RunSpec, RunState, Verdict
from loopbench_client import Client
from loopbench_client.comparing import Plan, compare_specs, make_plan, read_draft
from tests.support.servers import TIMEOUT_SECONDS, Peers, ServerProcess, start_server, stop_server

pytestmark = pytest.mark.slow

# A shell's background process ignores SIGINT, and its children inherit that.
MAIN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
MAIN += "from loopbench_client.cli import main; main()"
SECONDS_TO_COMPARE = 600
SHARED = ("--dataset", "digits", "--epochs", "1")


def started(server: ServerProcess, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAIN, "compare", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=server.environment())


def compare(server: ServerProcess, *words: str) -> tuple[int, str, str]:
    """Runs the command and returns exit code, stdout and stderr."""
    process = started(server, *words)
    stdout, stderr = process.communicate(timeout=SECONDS_TO_COMPARE)
    return process.returncode, stdout, stderr


def specs(*texts: str) -> Sequence[str]:
    return [word for text in texts for word in ("--spec", text)]


def test_a_file_is_a_plan(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(
        "seeds: [5, 3]\ndefaults: {dataset: digits, epochs: 1}\nspecs:\n"
        "  small: {optimizer: {sgd: {learning_rate: 0.001}}}\n"
        "  metric: {optimizer: sgd, learning_rate: 0.001, accuracy_metric: categorical-on-labels}\n"
    )
    compared = compare_specs(client, make_plan(read_draft(file)))
    assert compared.comparison is not None
    assert [group.seeds for group in compared.comparison.groups] == [(3, 5), (3, 5)]
    pair = compared.pair("metric", "small")
    assert pair is not None
    assert pair.verdict is Verdict.IDENTICAL
    assert compared.specs["metric"].accuracy_metric is AccuracyMetric.CATEGORICAL_ON_LABELS
    # The accuracy metric counts one sample per batch: 12 of 359.
    assert compared.misreports("metric")
    assert not compared.misreports("small")


def test_an_interrupted_comparison_resumes(server: ServerProcess, client: Client) -> None:
    # No other test uses this seed.
    shared = ["--dataset", "digits", "--seeds", "1", "--seed", "7000", "--batch-size", "16"]
    short, long = specs("one: method=fit", "two: method=gradient-tape"), specs("long: execution=eager epochs=1000")
    seed = RunFilter(seeds=(7_000,))
    process = started(server, *short, *long, *shared)
    assert process.stderr is not None
    ended: list[str] = []
    while len(ended) < 2:
        line = process.stderr.readline()
        assert line, "the command ended before two of its runs"
        ended += [line.split()[0]] if "/3 " in line else []
    assert ended == ["1/3", "2/3"]
    (running,) = client.list_runs(RunFilter(seeds=seed.seeds, states=(RunState.RUNNING, RunState.QUEUED)))
    for event in client.watch_run(running.id):
        if event.progress:
            break
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, stdout) == (130, "")
    assert "the same command again resumes here: finished runs are not repeated" in stderr.splitlines()
    assert stderr.splitlines()[-1] == "interrupted"
    assert client.get_run(running.id).state is RunState.CANCELLED

    code, _, stderr = compare(server, *short, *shared)
    assert (code, stderr) == (0, "found 2 of 2 runs on the server; training 0\n")
    assert len([*client.list_runs(RunFilter(seeds=seed.seeds, states=(RunState.SUCCEEDED,)))]) == 2
    # Cancelled runs are trained again; completed ones are reused.
    (one,) = client.list_runs(RunFilter(seeds=seed.seeds, methods=(Method.FIT,)))
    specifications = {"long": running.spec.model_copy(update={"epochs": 1}), "one": one.spec}
    plan = Plan({label: chosen.model_copy(update={"seed": 0}) for label, chosen in specifications.items()}, seed.seeds)
    assert compare_specs(client, plan).reused == 1
    assert len([*client.list_runs(seed)]) == 4


def test_an_invalid_run_stops_no_other(server: ServerProcess, client: Client) -> None:
    if any(device.type is Device.GPU for device in client.get_server_info().devices):
        pytest.skip("this machine has a GPU")
    words = specs("gpu: device=gpu", "one: method=fit", "two: method=gradient-tape")
    code, stdout, stderr = compare(server, *words, *SHARED, "--seeds", "1")
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
    code, stdout, _ = compare(server, *words)
    document = json.loads(stdout)
    assert (code, len(document["groups"]), len(document["pairs"])) == (0, 10, 45)
    holds = {(claim["label"], claim["claim"]): claim["holds"] for claim in document["claims"]}
    assert holds["1 tape", "train 96.86 %"] is None
    for label in ("4 fit", "6 train_step"):
        assert holds[label, "the same as '1 tape'"] is True
    assert holds["5 tape mse", "the same as '2 fit mse'"] is True
    assert holds["8 metric on outputs", "the metric agrees with counting"] is True


def test_servers_of_two_environments_are_compared(tmp_path: Path) -> None:
    """Two threads and one end in the same bits under GRAPH: ARCHITECTURE.md."""
    store = f"sqlite:///{tmp_path / 'shared.db'}"
    words = [*specs("tape: method=gradient-tape"), *SHARED, "--seeds", "2", "--across", "environment", "--json"]
    documents = []
    for threads in ("1", "2"):
        folder = tmp_path / threads
        folder.mkdir()
        server = start_server(folder, "--threads-per-run", threads, "--store-url", store)
        server.wait_ready()
        code, stdout, _ = compare(server, *words, "--baseline", "previous", "--require", "identical")
        # Threads are hardware, so the other environment is not the previous one.
        assert (code, json.loads(stdout)["comparisons"]) == (0, [])
        code, stdout, _ = compare(server, *words, "--baseline", "threads=1", "--require", "identical")
        documents.append(json.loads(stdout))
        stop_server(server)
    first, second = documents
    assert (first["notCompared"], len(first["environments"])) == (["tape"], 1)
    assert [one["hardware"]["threads"] for one in second["environments"]] == ["1", "2"]
    assert [one["here"] for one in second["environments"]] == [False, True]
    assert (second["reused"], code) == (2, 0)
    ((pair,),) = (one["pairs"] for one in second["comparisons"])
    assert (pair["firstLabel"], pair["secondLabel"], pair["verdict"]) == ("#1", "#2", "VERDICT_IDENTICAL")


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Peers]:
    """Two servers with two slots each, on one store."""

    def begin(number: int) -> ServerProcess:
        folder = tmp_path / str(number)
        folder.mkdir()
        return start_server(folder, "--slots", "2", "--store-url", f"sqlite:///{tmp_path / 'shared.db'}")

    made = Peers(begin)
    yield made
    made.stop()


def test_all_servers_of_an_address_train(peers: Peers) -> None:
    servers = [peers[number] for number in range(2)]
    specs = {str(epochs): RunSpec(dataset=Dataset.DIGITS, epochs=epochs) for epochs in (1, 2)}
    with Client(f"ipv4:{','.join(server.address for server in servers)}") as client:
        compared = compare_specs(client, Plan(specs, tuple(range(12))))
    assert compared.failures == ()
    trained = [sum(event["event"] == "run started" for event in server.events()) for server in servers]
    # Calls go to the servers in turn. The first ones may go to the server whose connection is ready first.
    assert sum(trained) == 24
    assert min(trained) >= 8, trained
