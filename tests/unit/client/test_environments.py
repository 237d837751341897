"""Runs of a plan compared across environments, against a fake server that follows the contract."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from typer.testing import Result

from loopbench.spec import Device, Environment, InvalidFieldsError, Method, Run, RunSpec, Verdict
from loopbench.spec.environments import environment_key
from loopbench.v1 import analysis_pb2
from loopbench_client import Client
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.comparing import Plan
from loopbench_client.comparing.environments import compare_environments, match_baseline
from tests.support.factories import make_environment
from tests.support.fake_service import START, make_result, make_run

FIT, TAPE = RunSpec(method=Method.FIT), RunSpec(method=Method.GRADIENT_TAPE)
PLAN = Plan({"fit": FIT}, (0, 1))
Store = Callable[..., None]


def with_keras(version: str, **fields: Any) -> Environment:
    return make_environment(versions={"tensorflow": "2.21.0", "keras": version}, **fields)


# Long before the runs that the fake server trains.
FIRST_DAY = START - timedelta(days=365)

HERE, OLD, OLDER = with_keras("3.15.1"), with_keras("3.14.0"), with_keras("3.12.0")
ELSEWHERE = with_keras("3.14.0", cpu_model="another")


def runs_of(environment: Environment, day: int, *specs: RunSpec, name: str = "") -> list[Run]:
    """A run of each spec under both seeds, the newest first; the ids begin with ``name`` or the version of Keras."""
    made = []
    for spec in specs or (FIT,):
        for seed in (0, 1):
            result = make_result(spec).model_copy(update={"environment": environment})
            time = FIRST_DAY + timedelta(days=day, seconds=seed)
            seeded = spec.model_copy(update={"seed": seed})
            number = f"{name or environment.versions['keras']} {spec.method} {seed}"
            made.append(make_run(seeded, id=number, create_time=time, result=result))
    return made[::-1]


@pytest.fixture(autouse=True)
def store(service: Any) -> Store:
    """Puts runs into the store, the newest first."""
    service.runs, service.keeps = [], True

    def put(*runs: list[Run]) -> None:
        service.runs = [run for several in runs for run in several]

    return put


def compared(service: Any) -> list[dict[str, list[str]]]:
    """The groups of each request."""
    return [{group.label: [*group.run_ids] for group in request.groups} for request in service.requests["Compare"]]


def test_runs_of_another_environment_are_compared_with_those_trained_here(
    client: Client, service: Any, store: Store
) -> None:
    store(runs_of(OLD, 1))
    across = compare_environments(client, Plan({"fit": FIT}, (0, 1), margin=0.25, alpha=0.125))
    assert [request.spec.seed for request in service.requests["Train"]] == [0, 1]
    assert compared(service) == [{"#1": ["3.14.0 FIT 0", "3.14.0 FIT 1"], "#2": ["run-2", "run-3"]}]
    assert (service.requests["Compare"][0].margin, service.requests["Compare"][0].alpha) == (0.25, 0.125)
    assert [(one.key, one.here) for one in across.environments.values()] == [
        (environment_key(OLD), False),
        (environment_key(HERE), True),
    ]
    (one,) = across.comparisons
    assert (one.spec, one.gated) == ("fit", one.comparison.pairs)
    assert (across.not_compared, across.failures, across.reused) == ((), (), 0)


NEWER = with_keras("3.15.1", cpu_model="another")


@pytest.mark.parametrize(("environment", "reused"), [(HERE, 2), (NEWER, 0), (OLD, 0)])
def test_only_runs_of_the_environment_of_the_server_are_reused(
    environment: Environment, reused: int, client: Client, service: Any, store: Store
) -> None:
    store(runs_of(environment, 1))
    across = compare_environments(client, PLAN)
    assert (across.reused, len(service.requests["Train"])) == (reused, 2 - reused)


def test_fresh_trains_all_again(client: Client, service: Any, store: Store) -> None:
    store(runs_of(HERE, 2), runs_of(OLD, 1))
    assert compare_environments(client, PLAN, fresh=True).reused == 0
    assert compared(service)[0]["#2"] == ["run-4", "run-5"]


def test_a_server_with_a_gpu_does_not_reuse_runs_of_its_processor_for_auto(
    client: Client, service: Any, store: Store
) -> None:
    service.gpus, service.environment = 1, with_keras("3.15.1", device=Device.GPU, device_name="H100")
    store(runs_of(HERE, 1))
    across = compare_environments(client, PLAN)
    assert [one.key.facts["device"] for one in across.environments.values()] == ["cpu", "gpu"]
    assert across.reused == 0


def test_the_newest_run_of_an_environment_counts(client: Client, service: Any, store: Store) -> None:
    store(runs_of(HERE, 4), runs_of(OLD, 3, name="new"), runs_of(OLD, 2, name="old"))
    compare_environments(client, PLAN)
    assert compared(service)[0]["#1"] == ["new FIT 0", "new FIT 1"]


def test_a_spec_of_a_single_environment_is_not_compared(client: Client, service: Any, store: Store) -> None:
    store(runs_of(HERE, 2, FIT, TAPE), runs_of(OLD, 1, TAPE))
    across = compare_environments(client, Plan({"fit": FIT, "tape": TAPE}, (0, 1)))
    assert across.not_compared == ("fit",)
    assert [one.spec for one in across.comparisons] == ["tape"]
    assert len(compared(service)) == 1


def test_runs_of_other_specs_do_not_count(client: Client, service: Any, store: Store) -> None:
    store(runs_of(HERE, 2), runs_of(OLD, 1, FIT.model_copy(update={"epochs": 3})))
    assert [*compare_environments(client, PLAN).environments] == ["#1"]
    assert compared(service) == []


def test_a_named_baseline_is_compared_with_each_other_environment(client: Client, service: Any, store: Store) -> None:
    store(runs_of(HERE, 3), runs_of(OLD, 2), runs_of(OLDER, 1))
    across = compare_environments(client, PLAN, "keras=3.14")
    assert [[*groups] for groups in compared(service)] == [["#2", "#1"], ["#2", "#3"]]
    # The verdict on an environment that nobody uses any more is no reason to stop this one.
    assert [[pair.second_label for pair in one.gated] for one in across.comparisons] == [[], ["#3"]]
    assert across.unproven == ()


def test_a_named_baseline_without_runs_of_a_spec_proves_nothing(client: Client, store: Store) -> None:
    store(runs_of(HERE, 2, FIT, TAPE), runs_of(OLD, 1, TAPE))
    plan = Plan({"fit": FIT, "tape": TAPE}, (0, 1))
    assert compare_environments(client, plan, "keras=3.14").unproven == ("fit",)
    assert compare_environments(client, plan, "previous").unproven == ()
    assert compare_environments(client, plan, "keras=3.15").unproven == ()


def test_the_environment_of_the_server_may_be_the_baseline(client: Client, service: Any) -> None:
    across = compare_environments(client, PLAN, "keras=3.15.1")
    assert (len(service.requests["Train"]), across.comparisons, across.unproven) == (2, (), ())


def test_the_previous_environment_has_the_same_hardware(client: Client, service: Any, store: Store) -> None:
    store(runs_of(HERE, 4), runs_of(ELSEWHERE, 3), runs_of(OLD, 2), runs_of(OLDER, 1))
    (one,) = compare_environments(client, PLAN, "previous").comparisons
    assert [*compared(service)[0]] == ["#2", "#4"]
    assert one.gated == one.comparison.pairs


def test_after_a_rollback_the_previous_environment_is_the_one_before(
    client: Client, service: Any, store: Store
) -> None:
    # The upgrade to OLD did not last; the server is in its former environment again, and trained afresh.
    store(runs_of(HERE, 4, name="again"), runs_of(OLD, 3), runs_of(HERE, 2), runs_of(OLDER, 1))
    across = compare_environments(client, PLAN, "previous")
    assert compared(service) == [
        {"#1": ["3.12.0 FIT 0", "3.12.0 FIT 1"], "#2": ["again FIT 0", "again FIT 1"]},
    ]
    assert [one.here for one in across.environments.values()] == [False, True, False]


def test_a_first_environment_has_none_before_it(client: Client) -> None:
    across = compare_environments(client, PLAN, "previous")
    assert (across.comparisons, across.not_compared, across.unproven) == ((), ("fit",), ())


def test_a_failure_leaves_the_other_runs(client: Client, service: Any, store: Store, status: Any) -> None:
    service.failures["Train"].append(status(grpc.StatusCode.ABORTED, "no luck"))
    store(runs_of(OLD, 1))
    across = compare_environments(client, PLAN)
    assert [failure.spec.seed for failure in across.failures] == [0]
    assert compared(service)[0]["#2"] == ["run-2"]


def test_too_many_environments_need_a_baseline(client: Client, store: Store) -> None:
    several = [runs_of(with_keras(f"1.{number}"), 100 - number) for number in range(100)]
    store(*several)
    with pytest.raises(InvalidFieldsError, match="there are runs of 101 environments"):
        compare_environments(client, PLAN)
    assert len(compare_environments(client, PLAN, "keras=1.50").comparisons) == 100


KEYS = [environment_key(one) for one in (HERE, OLD, OLDER, ELSEWHERE)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("keras=3.15.1", 0),
        ("keras=3.15", 0),
        ("keras=3.12,tensorflow=2.21", 2),
        ("processor=ANOTHER", 3),
        ("keras=3.14.0,processor=one", 1),
    ],
)
def test_a_baseline_is_the_environment_of_its_values(text: str, place: int) -> None:
    assert match_baseline(text, KEYS) == KEYS[place]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        # 3.1 is no beginning of 3.15.1: that is another version.
        ("keras=3.1", "matches no environment; name one of: processor=one,keras=3.15.1; "),
        ("kears=3.15.1", "matches no environment; name one of: "),
        ("keras=3.14", "matches 2 environments; name one of: processor=one; processor=another"),
        ("keras", "is neither NAME=VALUE,NAME=VALUE... nor previous"),
        ("keras=3.15.1,", "is neither NAME=VALUE"),
        ("=3.15.1", "is neither NAME=VALUE"),
    ],
)
def test_a_baseline_that_is_not_one_environment_is_refused(text: str, fault: str) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        match_baseline(text, KEYS)
    (violation,) = caught.value.violations
    assert violation.field == "baseline"
    assert violation.description.startswith(f"{text!r} {fault}")


def test_a_wrong_baseline_is_refused_before_any_training(client: Client, service: Any) -> None:
    with pytest.raises(InvalidFieldsError, match="matches no environment"):
        compare_environments(client, PLAN, "keras=2")
    assert not service.requests["Train"]


# The command.

Cli = Callable[..., Result]
SPECS = ("compare", "--spec", "fit: method=fit", "--seeds", "2")
ACROSS = (*SPECS, "--across", "environment")


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_command_shows_environments_and_a_line_for_each_pair(cli: Cli, store: Store) -> None:
    store(runs_of(OLD, 1), runs_of(OLDER, 0))
    done = cli(*ACROSS)
    assert done.exit_code == ExitCode.SUCCESS
    assert lines(done.stdout) == [
        "environment keras first run",
        "#1 3.12.0 2025-01-02 03:04",
        "#2 3.14.0 2025-01-03 03:04",
        "#3 3.15.1 2026-01-02 03:04 this server",
        "the same in all: device cpu, processor one, threads 1, tensorflow 2.21.0",
        "spec first second verdict points 95 % interval p more seeds differs in",
        "fit #1 #2 identical +0.00 keras 3.12.0 → 3.14.0",
        "fit #1 #3 identical +0.00 keras 3.12.0 → 3.15.1",
        "fit #2 #3 identical +0.00 keras 3.14.0 → 3.15.1",
    ]
    assert done.stderr.splitlines()[-1].startswith("2/2 fit, seed 1: ")


def test_the_command_without_another_environment_says_so(cli: Cli) -> None:
    done = cli(*ACROSS, "--require", "identical", "--baseline", "previous")
    assert done.exit_code == ExitCode.SUCCESS
    assert "not compared: 'fit' has no runs of two environments to compare" in done.stderr
    assert lines(done.stdout)[1:] == [
        "#1 2026-01-02 03:04 this server",
        "the same in all: device cpu, processor one, threads 1, keras 3.15.1, tensorflow 2.21.0",
    ]


@pytest.mark.parametrize(
    ("verdict", "words", "code"),
    [
        ("EQUIVALENT", ("--require", "equivalent"), ExitCode.SUCCESS),
        ("EQUIVALENT", ("--require", "identical"), ExitCode.NOT_MET),
        ("DIFFERENT", ("--require", "equivalent"), ExitCode.NOT_MET),
        ("DIFFERENT", (), ExitCode.SUCCESS),
        ("DIFFERENT", ("--require", "equivalent", "--baseline", "previous"), ExitCode.NOT_MET),
        # The server has the environment of the baseline, and that of others matters to nobody.
        ("DIFFERENT", ("--require", "equivalent", "--baseline", "keras=3.15"), ExitCode.SUCCESS),
    ],
)
def test_the_exit_code_follows_the_gated_verdicts(
    verdict: str, words: tuple[str, ...], code: ExitCode, cli: Cli, service: Any
) -> None:
    service.verdict = Verdict(verdict)
    service.runs = runs_of(OLD, 1)
    assert cli(*ACROSS, *words).exit_code == code


def test_a_requirement_is_not_met_without_runs_of_the_named_baseline(cli: Cli, store: Store) -> None:
    store(runs_of(OLD, 1, FIT))
    both = (*ACROSS, "--spec", "tape: method=gradient-tape", "--baseline", "keras=3.14")
    done = cli(*both, "--require", "identical")
    assert done.exit_code == ExitCode.NOT_MET
    assert "not compared: 'tape' " in done.stderr
    assert cli(*both).exit_code == ExitCode.SUCCESS


def test_a_failed_run_fails_the_command(cli: Cli, service: Any, store: Store, status: Any) -> None:
    service.failures["Train"].append(status(grpc.StatusCode.ABORTED, "no luck"))
    store(runs_of(OLD, 1))
    assert cli(*ACROSS).exit_code == ExitCode.RUN_FAILED


def test_json_has_environments_and_comparisons(cli: Cli, store: Store) -> None:
    store(runs_of(OLD, 1))
    document = json.loads(cli(*ACROSS, "--spec", "tape: method=gradient-tape", "--json").stdout)
    first, second = document["environments"]
    assert first == {
        "label": "#1",
        "here": False,
        "began": "2025-01-03T03:04:05+00:00",
        "hardware": {"device": "cpu", "processor": "one", "threads": "1"},
        "software": {"keras": "3.14.0", "tensorflow": "2.21.0"},
    }
    assert (second["label"], second["here"]) == ("#2", True)
    (comparison,) = document["comparisons"]
    assert comparison.pop("spec") == "fit"
    (pair,) = json_format.ParseDict(comparison, analysis_pb2.Comparison()).pairs
    assert (pair.first_label, pair.second_label) == ("#1", "#2")
    assert (document["notCompared"], document["failures"], document["reused"]) == (["tape"], [], 0)
    assert [*document["specs"]] == ["fit", "tape"]


@pytest.mark.parametrize(
    ("words", "complaints"),
    [
        ((*SPECS, "--baseline", "previous"), ["--baseline: has no effect without --across environment"]),
        ((*ACROSS, "--report", "x", "--diagnose"), ["--report: cannot be given together", "--diagnose: cannot be "]),
        (("compare", "--across", "environment"), ["--across: is for specs, and there are none"]),
        ((*ACROSS, "a=1"), ["LABEL=RUN_ID,RUN_ID...: cannot be given together with --across"]),
        ((*ACROSS, "--baseline", "keras=2"), ["--baseline: 'keras=2' matches no environment; name one of: "]),
    ],
)
def test_an_error_names_every_wrong_flag(words: tuple[str, ...], complaints: list[str], cli: Cli, service: Any) -> None:
    done = cli(*words)
    assert (done.exit_code, done.stdout) == (ExitCode.BAD_INPUT, "")
    assert [complaint for complaint in complaints if complaint not in done.stderr] == []
    assert len(done.stderr.splitlines()) == 1 + len(complaints)
    assert not service.requests["Train"]
