"""The report contains its figures, its confusion matrices, and the plan that repeats it."""

import base64
import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import json_format

from loopbench import wire
from loopbench.spec import Dataset, Loss, Method, Run, RunSpec
from loopbench.v1 import analysis_pb2, run_pb2
from loopbench_client.comparing import Plan, make_plan, read_draft
from loopbench_client.comparing.plan_file import format_plan
from loopbench_client.report import Report
from loopbench_client.report.repeating import requirements
from tests.support.factories import make_environment
from tests.support.pages import Page
from tests.support.reports import make_group, make_report, two_groups, whole_report

Written = Callable[[Report], Page]


def file_in(page: Page, name: str) -> str:
    """The text of a file that the page contains."""
    (address,) = (link["href"] or "" for link in page.all("a") if link.get("download") == name)
    return base64.b64decode(address.partition(";base64,")[2]).decode()


def table_in(page: Page, name: str) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(file_in(page, name)))]


def test_runs_and_epochs_are_tables(written: Written) -> None:
    page = written(make_report(two_groups()))
    runs = table_in(page, "runs.csv")
    assert [(row["group"], row["seed"], row["validation_accuracy"]) for row in runs] == [
        *(("tape", str(seed), text) for seed, text in enumerate(("0.89", "0.9", "0.91"))),
        *(("fit", str(seed), text) for seed, text in enumerate(("0.94", "0.95", "0.96"))),
    ]
    assert {row["method"] for row in runs if row["group"] == "fit"} == {"fit"}
    assert (runs[0]["validation_correct"], runs[0]["reported_validation_loss"]) == ("890", "0.4")
    epochs = table_in(page, "epochs.csv")
    assert [row["epoch"] for row in epochs] == ["1", "2"] * 6
    # The first loss of the second seed is a tenth above that of the first, 0.4.
    assert float(epochs[2]["train_loss"]) == pytest.approx(0.44)


def test_the_messages_are_json(written: Written) -> None:
    report = whole_report()
    content = json.loads(file_in(written(report), "report.json"))
    comparison = json_format.ParseDict(content["comparison"], analysis_pb2.Comparison())
    assert wire.comparison_from_wire(comparison) == report.comparison
    run = json_format.ParseDict(content["runs"]["fit"][2], run_pb2.Run())
    assert wire.run_from_wire(run) == report.runs["fit"][2]
    assert [(found["first"], found["second"]) for found in content["diagnoses"]] == [("tape", "fit")]


def test_the_plan_repeats_the_comparison(written: Written, tmp_path: Path) -> None:
    page = written(make_report(two_groups()))
    file = tmp_path / "plan.yaml"
    file.write_text(file_in(page, "plan.yaml"))
    plan = make_plan(read_draft(file))
    assert {label: (spec.method, spec.dataset, spec.epochs) for label, spec in plan.specs.items()} == {
        "tape": (Method.GRADIENT_TAPE, Dataset.DIGITS, 2),
        "fit": (Method.FIT, Dataset.DIGITS, 2),
    }
    assert (plan.seeds, plan.margin, plan.alpha) == ((0, 1, 2), 0.005, 0.05)
    assert "loopbench compare --file plan.yaml" in page.text
    assert "keras==3.15.1 tensorflow==2.21.0" in page.text


def test_packages_have_the_names_of_the_index() -> None:
    report = make_report(two_groups())
    run = report.runs["tape"][0]
    environment = make_environment(versions={"loopbench": "0.1.0", "keras": "3.15.1"})
    result = run.result.model_copy(update={"environment": environment}) if run.result else None
    runs = {"tape": (run.model_copy(update={"result": result}),)}
    assert requirements(replace(report, runs=runs)) == ("keras-loopbench==0.1.0", "keras==3.15.1")


@pytest.mark.parametrize(
    "specs",
    [
        {"one": RunSpec(), "two": RunSpec(loss=Loss.MEAN_SQUARED_ERROR)},
        {
            "yes": RunSpec.model_validate({"optimizer": {"kind": "adam", "learning_rate": 1e-6, "amsgrad": True}}),
            "1: [a]": RunSpec.model_validate({"optimizer": {"kind": "sgd", "nesterov": True, "momentum": 0.5}}),
        },
        {"a": RunSpec(epochs=3, tensorboard=True), "b": RunSpec(epochs=3, tensorboard=True, batch_size=7)},
    ],
    ids=["defaults", "optimizers", "shared"],
)
def test_a_plan_is_read_as_it_was_written(specs: dict[str, RunSpec], tmp_path: Path) -> None:
    plan = Plan(specs, (3, 5), margin=0.25, alpha=1e-3)
    file = tmp_path / "plan.yaml"
    file.write_text(format_plan(plan), encoding="utf-8")
    assert make_plan(read_draft(file)) == plan


def test_confusion_matrices_are_sums_over_seeds(written: Written) -> None:
    page = written(make_report(two_groups()))
    # 890, 900 and 910 of 1,000: 89, 90 and 91 of each label, and the others are taken for the next one.
    assert "tape 300 of 3,000 validation samples misclassified" in page.text
    assert page.row("0 270 30 0") == "0 270 30 0 0 0 0 0 0 0 0 90.00 %"
    assert page.row("9 30 0 0") == "9 30 0 0 0 0 0 0 0 0 270 90.00 %"
    assert page.row("0 285 15 0") == "0 285 15 0 0 0 0 0 0 0 0 95.00 %"


def test_groups_with_the_same_counts_share_a_matrix(written: Written) -> None:
    groups = {name: make_group(Method.FIT, (0.9, 0.8)) for name in ("a", "b")}
    page = written(make_report(groups))
    assert "a, b 300 of 2,000 validation samples misclassified" in page.text


def without_classes(run: Run) -> Run:
    """A run of an older server."""
    assert run.result is not None
    train, validation = (
        final.model_copy(update={"classes": ()}) for final in (run.result.train, run.result.validation)
    )
    return run.model_copy(update={"result": run.result.model_copy(update={"train": train, "validation": validation})})


def test_results_of_older_servers_have_no_matrix(written: Written) -> None:
    groups = two_groups()
    page = written(make_report(groups | {"tape": tuple(map(without_classes, groups["tape"]))}))
    assert "fit 150 of 3,000 validation samples misclassified" in page.text
    assert "tape 300 of 3,000" not in page.text


def test_a_verdict_leads_to_its_causes(written: Written) -> None:
    page = written(whole_report())
    assert "Of tape and fit. Causes" in page.text
    # The other pairs were not diagnosed.
    links = [link["href"] for link in page.all("a") if (link["href"] or "").startswith("#causes-")]
    assert links == ["#causes-1"]
