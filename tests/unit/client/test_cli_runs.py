"""Lists of runs on the command line, and commands for several runs."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from typer.testing import CliRunner, Result

from loopbench import spec, wire
from loopbench.v1 import benchmark_service_pb2
from loopbench_client.cli import app
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.run_columns import COLUMNS
from tests.support.fake_service import make_result

Cli = Callable[..., Result]
IDS = [f"{number:x}{number:07x}-0000-4000-8000-{number:012x}" for number in range(1, 15)]


@pytest.fixture
def cli(address: str) -> Cli:
    """Runs ``loopbench`` in a terminal of 80 columns."""
    return lambda *words: CliRunner().invoke(app, words, env={"LOOPBENCH_SERVER": address, "COLUMNS": "80"})


def lines_of_runs(printed: str) -> list[str]:
    """The lines below the titles of the columns."""
    lines = printed.splitlines()
    titles = next(place for place, line in enumerate(lines) if line.startswith("id "))
    return lines[titles + 1 :]


@pytest.fixture
def runs(service: Any, make_served_run: Any) -> list[spec.Run]:
    """Runs that differ in as many fields as one can, with the longest words."""
    now = datetime.now(UTC)
    ways = product(spec.Method, spec.Loss)
    service.runs = [
        make_served_run(
            spec.RunSpec(
                method=method, loss=loss, seed=2**32 - 1 - number, epochs=1_000, optimizer=spec.Adam(beta_1=0.1)
            ),
            id=run_id,
            name="a name of several words" if number else "",
            labels={"study": str(number)},
            create_time=now - timedelta(hours=number),
        )
        for number, (run_id, (method, loss)) in enumerate(zip(IDS, ways, strict=False))
    ]
    return list(service.runs)


@pytest.mark.usefixtures("runs")
def test_a_list_fits_into_80_columns_and_breaks_no_word(cli: Cli) -> None:
    lines = cli("runs").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    words = {word for line in lines for word in line.split()}
    for value in (*spec.Method, *spec.Loss):
        assert value.lower().replace("_", "-") in words
    assert {run_id[:8] for run_id in IDS} <= words
    assert "seed=4294967295" in words


def test_what_is_equal_stands_in_the_heading(cli: Cli, runs: list[spec.Run]) -> None:
    printed = cli("runs").stdout
    heading, _, columns = printed.partition("\nid ")
    assert (
        " ".join(heading.split())
        == f"{len(runs)} runs: succeeded, adam, rate 0.001, beta_1=0.1, mnist, epochs 1000, batch 32"
    )
    assert columns.splitlines()[0].split() == ["spec", "validation", "age", "took"]


def test_labels_and_a_name_that_all_runs_have_stand_in_the_heading(
    cli: Cli, service: Any, make_served_run: Any
) -> None:
    labels = [{"owner": "me", "study": "7"}, {"owner": "me", "study": "8"}, {"owner": "me", "extra": "yes"}]
    service.runs = [
        make_served_run(spec.RunSpec(seed=seed), id=run_id, name="night", labels=own)
        for seed, (run_id, own) in enumerate(zip(IDS, labels, strict=False))
    ]
    printed = cli("runs").stdout
    assert " ".join(printed.split()).startswith("3 runs: succeeded, night, owner=me, gradient-tape, ")
    specs = [line.split()[1:3] for line in lines_of_runs(printed)[:3]]
    assert specs == [["study=7", "seed=0"], ["study=8", "seed=1"], ["extra=yes", "seed=2"]]


def test_a_name_that_is_a_word_of_the_spec_is_shown_once(cli: Cli, service: Any, make_served_run: Any) -> None:
    specs = {"fit": spec.RunSpec(method=spec.Method.FIT), "tape": spec.RunSpec()}
    service.runs = [
        make_served_run(one, id=id_, name=name) for id_, (name, one) in zip(IDS, specs.items(), strict=False)
    ]
    rows = [line.split()[1:3] for line in lines_of_runs(cli("runs").stdout)[:2]]
    assert [row[0] for row in rows] == ["fit", "tape"]
    assert rows[1] == ["tape", "gradient-tape"]
    assert "fit" not in rows[0][1:]
    service.runs = service.runs[:1]
    assert cli("runs").stdout.split("\n")[0].count("fit") == 1


def test_ids_are_as_long_as_they_need_to_be_to_differ(cli: Cli, service: Any, make_served_run: Any) -> None:
    ids = ("aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0001-4000-8000-000000000002")
    service.runs = [make_served_run(id=run_id) for run_id in ids]
    assert [line.split()[0] for line in lines_of_runs(cli("runs").stdout)[:2]] == ["aaaaaaaa-0000", "aaaaaaaa-0001"]


def test_runs_whose_reports_are_wrong_are_marked(cli: Cli, service: Any, make_served_run: Any) -> None:
    result = make_result(spec.RunSpec())
    right = spec.ReportedMetrics(loss=result.validation.loss, accuracy=result.validation.accuracy)
    wrong = right.model_copy(update={"accuracy": 0.5})
    made = [result.model_copy(update={"reported_validation": reported}) for reported in (right, wrong)]
    service.runs = [make_served_run(id=run_id, result=one) for run_id, one in zip(IDS, made, strict=False)]
    lines = lines_of_runs(cli("runs").stdout)
    assert ["!" in line for line in lines[:3]] == [False, True, True]
    service.runs = service.runs[:1]
    assert "!" not in cli("runs").stdout
    service.runs = [make_served_run(spec.RunSpec(accuracy_metric="CATEGORICAL_ON_LABELS"), result=made[1])]
    assert "accuracy -46.61 points, because of accuracy-metric categorical-on-labels" in cli("show", IDS[0]).stdout


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (99.94, "99.9 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_199, "120 min"),
        (7_200, "2 h"),
        (172_800, "2 d"),
    ],
)
def test_times_have_a_unit(cli: Cli, service: Any, make_served_run: Any, seconds: float, text: str) -> None:
    run = make_served_run()
    service.runs = [run.model_copy(update={"end_time": run.start_time + timedelta(seconds=seconds)})]
    assert lines_of_runs(cli("runs").stdout)[0].rstrip().endswith(f" {text}")


def test_wide_shows_whole_ids_and_wraps_nothing(cli: Cli, runs: list[spec.Run]) -> None:
    _, columns, *rows = cli("runs", "--wide").stdout.splitlines()
    assert {"id", "method", "loss", "seed", "create_time"} <= set(columns.split())
    assert [row.split()[0] for row in rows] == [run.id for run in runs]


def test_csv_has_every_column_of_every_run(cli: Cli, runs: list[spec.Run]) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("runs", "--csv").stdout)))
    assert list(rows[0]) == [column.name for column in COLUMNS]
    assert {name.removeprefix("spec.") for name in spec.RunSpec.model_fields} <= set(rows[0])
    assert [row["id"] for row in rows] == [run.id for run in runs]
    assert rows[1]["create_time"] == runs[1].create_time.isoformat()
    assert (rows[1]["validation_accuracy"], rows[1]["misreported"]) == ("0.9661", "True")


def test_networks_are_written_as_flags_have_them(cli: Cli, service: Any, make_served_run: Any) -> None:
    networks = {"mlp widths=512,256": spec.Mlp(widths=(512, 256)), "cnn filters=16,32,64 dropout=0.25": spec.Cnn()}
    service.runs = [
        make_served_run(spec.RunSpec(network=network), id=run_id)
        for run_id, network in zip(IDS, networks.values(), strict=False)
    ]
    rows = csv.DictReader(io.StringIO(cli("runs", "--csv").stdout))
    assert [row["network"] for row in rows] == [*networks]
    for words in ((), ("--wide",)):
        printed = " ".join(cli("runs", *words).stdout.split())
        assert [text for text in networks if text not in printed] == []
    assert "mlp widths=512,256" in cli("show", IDS[0]).stdout
    service.runs = [make_served_run()]
    assert "network mlp widths=256,128" in cli("runs", "--wide").stdout


def test_sorting_comes_before_the_limit(cli: Cli, service: Any, runs: list[spec.Run]) -> None:
    found = cli("runs", "--sort", "seed", "--limit", "2", "--csv").stdout
    assert [row["id"] for row in csv.DictReader(io.StringIO(found))] == [runs[-1].id, runs[-2].id]
    found = cli("runs", "--sort", "seed", "--reverse", "--limit", "1", "--csv").stdout
    assert [row["id"] for row in csv.DictReader(io.StringIO(found))] == [runs[0].id]
    assert {request.page_size for request in service.requests["ListRuns"]} == {1_000}


def test_runs_without_a_value_come_last(cli: Cli, service: Any, make_served_run: Any) -> None:
    queued = make_served_run(id=IDS[0], state=spec.RunState.QUEUED, result=None, start_time=None, end_time=None)
    service.runs = [queued, make_served_run(id=IDS[1])]
    for words in ((), ("--reverse",)):
        rows = csv.DictReader(io.StringIO(cli("runs", "--sort", "seconds", *words, "--csv").stdout))
        assert [row["id"] for row in rows] == [IDS[1], IDS[0]]


def test_a_loss_that_is_no_number_comes_last(cli: Cli, service: Any, make_served_run: Any) -> None:
    def run(run_id: str, loss: float) -> spec.Run:
        made: spec.Run = make_served_run(id=run_id)
        assert made.result is not None
        validation = made.result.validation.model_copy(update={"loss": loss})
        return made.model_copy(update={"result": made.result.model_copy(update={"validation": validation})})

    losses = (0.4, float("nan"), 0.8, 0.2)
    service.runs = [run(run_id, loss) for run_id, loss in zip(IDS, losses, strict=False)]
    for words, order in (((), (3, 0, 2, 1)), (("--reverse",), (2, 0, 3, 1))):
        rows = csv.DictReader(io.StringIO(cli("runs", "--sort", "validation-loss", *words, "--csv").stdout))
        assert [row["id"] for row in rows] == [IDS[number] for number in order]


@pytest.mark.parametrize("column", [column.name for column in COLUMNS])
def test_every_column_sorts(cli: Cli, service: Any, make_served_run: Any, column: str) -> None:
    networks = (spec.Mlp(), spec.Mlp(widths=(8,)), spec.Lstm(), spec.Mlp())
    service.runs = [
        make_served_run(spec.RunSpec(network=network, seed=number), id=IDS[number])
        for number, network in enumerate(networks)
    ]
    done = cli("runs", "--sort", column.replace("_", "-"), "--csv")
    assert done.exit_code == ExitCode.SUCCESS, done.stderr
    assert len(done.stdout.splitlines()) == 1 + len(networks)


def test_runs_are_chosen_by_name_label_and_age(cli: Cli, service: Any) -> None:
    now = datetime.now(UTC)
    words = ("--name", "a", "--label", "study=7", "--label", "x=", "--created-after", "2h")
    done = cli("runs", *words, "--created-before", "2026-01-02T03:04:05+00:00")
    assert done.exit_code == 0, done.stderr
    wanted = wire.filter_from_wire(service.requests["ListRuns"][0].filter)
    assert (wanted.names, wanted.labels) == (("a",), {"study": "7", "x": ""})
    assert wanted.created_before == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert wanted.created_after is not None
    assert timedelta(0) <= wanted.created_after - (now - timedelta(hours=2)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "words",
    [
        *(
            "--label study",
            "--label =7",
            "--label a=1 --label a=2",
            "--created-after soon",
            "--wide --csv",
            "--reverse",
        ),
        *("--created-after 99999999d", "--limit 99999999999999999999"),
    ],
)
def test_a_bad_choice_is_refused(cli: Cli, service: Any, words: str) -> None:
    assert cli("runs", *words.split()).exit_code == ExitCode.BAD_INPUT
    assert not service.requests


def test_an_empty_list_says_so(cli: Cli, service: Any) -> None:
    service.runs = []
    assert (cli("runs").stdout, cli("runs").stderr) == ("", "no runs\n")


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    "command",
    [
        "show {}",
        "watch {}",
        "cancel {}",
        "evaluate {}",
        "delete {}",
        "weights {} w.npz",
        "diagnose {} {}",
        "compare a={} b={}",
    ],
)
def test_the_beginning_of_an_id_is_enough_everywhere(
    cli: Cli, service: Any, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli(*command.format(IDS[1][:6], IDS[2][:6]).split())
    assert done.exit_code == ExitCode.SUCCESS, done.stderr
    sent = str({method: requests for method, requests in service.requests.items() if method != "ListRuns"})
    whole = IDS[1:3] if command.count("{}") == 2 else IDS[1:2]
    assert [run_id for run_id in IDS if run_id in sent] == whole


def test_deleting_what_matches(cli: Cli, service: Any, runs: list[spec.Run], make_served_run: Any) -> None:
    running = make_served_run(id=IDS[-1], state=spec.RunState.RUNNING, result=None, name="a name of several words")
    service.runs.append(running)
    words = ("delete", "--name", "a name of several words")
    assert cli(*words).exit_code == ExitCode.BAD_INPUT
    assert not service.requests["DeleteRun"]
    done = cli(*words, "--yes")
    assert [request.run_id for request in service.requests["DeleteRun"]] == [run.id for run in runs[1:]]
    assert done.stderr.splitlines()[-1] == f"{len(runs) - 1} runs deleted"


@pytest.mark.usefixtures("runs")
def test_runs_that_match_and_have_not_ended_are_named(cli: Cli, service: Any, make_served_run: Any) -> None:
    going_on = [
        make_served_run(id=run_id, state=state, result=None, name="night")
        for run_id, state in zip(IDS[-2:], (spec.RunState.RUNNING, spec.RunState.QUEUED), strict=True)
    ]
    service.runs += going_on[:1]
    assert cli("delete", "--name", "night", "--yes").stderr.splitlines() == [
        f"left 1 run that has not ended ({IDS[-2][:8]} running); loopbench cancel RUN_ID ends a run",
        "0 runs deleted",
    ]
    service.runs += going_on[1:]
    begin = f"left 2 runs that have not ended ({IDS[-2][:8]} running, {IDS[-1][:8]} queued); "
    assert cli("delete", "--name", "night", "--yes", "--json").stderr.startswith(begin)
    assert "left" not in cli("delete", "--all", "--yes").stderr


@pytest.mark.usefixtures("runs")
def test_deleting_by_ids_deletes_nothing_if_one_is_wrong(cli: Cli, service: Any) -> None:
    assert cli("delete", IDS[0], "ffff").exit_code == ExitCode.NOT_FOUND
    assert not service.requests["DeleteRun"]
    assert json.loads(cli("delete", IDS[0], IDS[1][:6], "--json").stdout) == {"deleted": IDS[:2]}


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_what_was_deleted_before_an_error_is_printed(
    cli: Cli, service: Any, status: Any, flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = service._enter

    def fails_at_the_second(method: str, request: Any, context: Any) -> None:
        if method == "DeleteRun" and request.run_id == IDS[1]:
            service.failures[method].append(status(grpc.StatusCode.FAILED_PRECONDITION, "it is RUNNING"))
        enter(method, request, context)

    monkeypatch.setattr(service, "_enter", fails_at_the_second)
    done = cli("delete", *IDS[:3], *flags)
    assert done.exit_code == ExitCode.REFUSED
    assert "it is RUNNING" in done.stderr
    assert done.stdout == (json.dumps({"deleted": IDS[:1]}) if flags else f"run {IDS[0]}  deleted") + "\n"


@pytest.mark.parametrize("words", ["", "--all {}", "--seed 1 {}"])
def test_an_unclear_deletion_is_refused(cli: Cli, service: Any, words: str) -> None:
    assert cli("delete", *words.format(IDS[0]).split()).exit_code == ExitCode.BAD_INPUT
    assert not service.requests


def test_weights_are_written_to_a_file(cli: Cli, service: Any, tmp_path: Path) -> None:
    service.weights = bytes(range(256))
    assert cli("weights", IDS[0], str(tmp_path / "w.npz")).exit_code == ExitCode.SUCCESS
    assert (tmp_path / "w.npz").read_bytes() == service.weights
    assert cli("weights", IDS[0], "/dev/full").exit_code == ExitCode.OUTPUT_LOST
    service.requests.clear()
    assert cli("weights", IDS[0], str(tmp_path / ("n" * 300))).exit_code == ExitCode.BAD_INPUT
    (tmp_path / "link").symlink_to(tmp_path / "absent" / "w.npz")
    assert cli("weights", IDS[0], str(tmp_path / "link")).exit_code == ExitCode.BAD_INPUT
    refused = cli("weights", IDS[0], str(tmp_path))
    assert refused.exit_code == ExitCode.BAD_INPUT
    assert refused.stderr.splitlines()[1] == f"  FILE.npz: {tmp_path} is a folder, not a file"
    assert not service.requests


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("weights", IDS[0], "-"), "FILE.npz"),
        (("diagnose", IDS[0], IDS[1], "--report", "-"), "--report"),
        (("compare", f"a={IDS[0]}", f"b={IDS[1]}", "--report", "-"), "--report"),
    ],
    ids=["weights", "diagnose", "compare"],
)
def test_a_dash_is_not_the_name_of_a_file(
    cli: Cli, words: tuple[str, ...], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli(*words)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert f"  {place}: - is not the name of a file: " in done.stderr
    assert not [*tmp_path.iterdir()]


def test_weights_create_their_folder(cli: Cli, service: Any, tmp_path: Path) -> None:
    service.weights = b"weights"
    assert "its folder is created" in " ".join(cli("weights", "--help").stdout.split())
    cli("weights", IDS[0], str(tmp_path / "new" / "w.npz"))
    assert (tmp_path / "new" / "w.npz").read_bytes() == b"weights"


def test_train_names_its_run(cli: Cli, service: Any) -> None:
    done = cli("train", "--name", "base", "--label", "study=7", "--label", "owner=me")
    request = service.requests["Train"][0]
    assert (request.name, dict(request.labels)) == ("base", {"study": "7", "owner": "me"})
    assert re.search(r"^name base\nlabels owner=me study=7$", done.stdout, re.MULTILINE)


def test_json_is_a_page(cli: Cli, runs: list[spec.Run]) -> None:
    page = json_format.Parse(cli("runs", "--json").stdout, benchmark_service_pb2.ListRunsResponse())
    assert [wire.run_from_wire(run) for run in page.runs] == runs
