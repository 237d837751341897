"""Plans from users' input, and the errors in it."""

import pytest

from loopbench.spec import (
    VARIANTS,
    Adam,
    Cnn,
    Dataset,
    InvalidFieldsError,
    Loss,
    Method,
    Mlp,
    RunGroup,
    RunSpec,
    Sgd,
    Violation,
)
from loopbench.v1 import run_pb2
from loopbench_client.comparing.plan import Draft, Plan, make_plan
from loopbench_client.comparing.spec_text import read_spec
from loopbench_client.comparing.values import FIELDS, NAMES, PARAMETERS, Given, snake


def draft(*texts: str, settings: dict[str, str] | None = None, **common: str) -> Draft:
    faults: list[Violation] = []
    specs = tuple(read_spec(text, faults) for text in texts)
    given = {name: Given(f"--{name}", text) for name, text in (settings or {}).items()}
    return Draft(given, {name: Given(f"--{name}", text) for name, text in common.items()}, specs, tuple(faults))


def find_faults(base: Draft, over: Draft | None = None) -> dict[str, str]:
    with pytest.raises(InvalidFieldsError) as caught:
        make_plan(base, over)
    return {violation.field: violation.description for violation in caught.value.violations}


def test_a_name_is_of_a_field_or_of_a_parameter() -> None:
    assert FIELDS | {"seed"} == RunSpec.model_fields.keys()
    for field, kinds in VARIANTS.items():
        assert {name for kind in kinds.values() for name in kind.model_fields} == PARAMETERS[field] | {"kind"}
    # No name belongs to two of them.
    assert len(NAMES) == len(FIELDS) + sum(map(len, PARAMETERS.values()))


def test_every_name_of_the_wire_is_known_in_each_spelling() -> None:
    fields = [*run_pb2.RunSpec.DESCRIPTOR.fields]
    for kind in (*run_pb2.Optimizer.DESCRIPTOR.fields, *run_pb2.Network.DESCRIPTOR.fields):
        assert kind.message_type is not None
        fields += kind.message_type.fields
    for field in fields:
        assert {snake(field.name), snake(field.name.replace("_", "-")), snake(field.camelcase_name)} == {field.name}
        assert field.name in NAMES | {"seed"}


def test_specs_in_a_line_on_top_of_what_they_share() -> None:
    plan = make_plan(
        Draft(),
        draft(
            "tape: method=gradient-tape",
            "fit : method=METHOD_FIT batchSize=8 learning-rate=1e-1 momentum=0.5 nesterov=true",
            "adam: optimizer=Adam beta_1=0.5",
            dataset="digits",
            epochs="5",
        ),
    )
    shared = {"dataset": Dataset.DIGITS, "epochs": 5}
    assert plan.specs == {
        "tape": RunSpec(method=Method.GRADIENT_TAPE, **shared),
        "fit": RunSpec(
            method=Method.FIT, batch_size=8, optimizer=Sgd(learning_rate=0.1, momentum=0.5, nesterov=True), **shared
        ),
        "adam": RunSpec(optimizer=Adam(beta_1=0.5), **shared),
    }
    assert plan.seeds == (0, 1, 2, 3, 4)


def test_a_network_in_a_line() -> None:
    plan = make_plan(Draft(), draft("a: network=cnn filters=8,4", "b: widths=32", "c: network=CNN dropout=0.5"))
    assert [spec.network for spec in plan.specs.values()] == [Cnn(filters=(8, 4)), Mlp(widths=(32,)), Cnn(dropout=0.5)]


def test_a_bad_size_is_named_by_its_list() -> None:
    faults = find_faults(draft("a: network=cnn filters=8,0", "b: units=3"))
    assert faults["spec 'a', filters"] == "Input should be greater than or equal to 1"
    assert faults["spec 'b', units"] == "mlp has no such parameter; it has widths"


def test_a_specs_value_wins_over_both_sources() -> None:
    base = draft("a: epochs=3", "b:", loss="mean-squared-error", epochs="7")
    plan = make_plan(base, draft(epochs="9"))
    assert {label: (spec.epochs, spec.loss) for label, spec in plan.specs.items()} == {
        "a": (3, Loss.MEAN_SQUARED_ERROR),
        "b": (9, Loss.MEAN_SQUARED_ERROR),
    }


@pytest.mark.parametrize(
    ("settings", "seeds"),
    [
        ({"seeds": "2"}, (0, 1)),
        ({"seeds": "2", "seed": "7"}, (7, 8)),
        ({"seed": "7"}, (7, 8, 9, 10, 11)),
        ({"seeds": "9,4"}, (9, 4)),
        ({"seeds": "9,"}, (9,)),
        ({"seeds": "1", "seed": str(2**32 - 1)}, (2**32 - 1,)),
    ],
)
def test_seeds(settings: dict[str, str], seeds: tuple[int, ...]) -> None:
    assert make_plan(draft("a:", "b:", settings=settings)).seeds == seeds


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"seeds": "0"}, "--seeds"),
        ({"seeds": "1001"}, "--seeds"),
        ({"seeds": "some"}, "--seeds"),
        ({"seeds": ","}, "--seeds"),
        ({"seeds": "1,1"}, "--seeds"),
        ({"seeds": "1,-1"}, "--seeds"),
        ({"seeds": "1,2", "seed": "3"}, "--seed"),
        ({"seed": "-1"}, "--seed"),
        ({"seeds": "2", "seed": str(2**32 - 1)}, "--seeds"),
        ({"seed": str(2**32 - 1)}, "--seed"),
        ({"margin": "0"}, "--margin"),
        ({"margin": "wide"}, "--margin"),
        ({"alpha": "0.6"}, "--alpha"),
    ],
)
def test_an_invalid_setting_is_named(settings: dict[str, str], place: str) -> None:
    assert find_faults(draft("a:", "b:", settings=settings)).keys() == {place}


def test_limits_are_the_servers_unless_they_are_given() -> None:
    plan = make_plan(draft("a:", "b:", settings={"margin": "0.01"}))
    assert (plan.margin, plan.alpha) == (0.01, None)


def test_one_error_names_everything_that_is_wrong() -> None:
    faults = find_faults(
        draft(
            "a: method=magic epochs=1 epochs=2 lerning-rate=1 seed=3 colour=red nonsense",
            "b: epochs=0 learning-rate=-1",
            "c: optimizer=adam momentum=0.9",
            "c:",
            "d",
            settings={"seeds": "no"},
            batch_size="0",
        )
    )
    assert faults["spec 'a', method"] == "'magic' is not one of gradient-tape, fit, custom-train-step"
    assert faults["spec 'a', epochs"] == "is given twice"
    assert faults["spec 'a', lerning-rate"] == "there is no such name; did you mean learning_rate?"
    assert faults["spec 'a', colour"].startswith("there is no such name; there are accuracy_metric, amsgrad, ")
    assert faults["spec 'a', seed"] == "the seeds are given for all specs together"
    assert faults["spec 'a', nonsense"] == "is not of the form NAME=VALUE"
    assert faults["spec 'b', epochs"] == "Input should be greater than or equal to 1"
    assert faults["spec 'b', learning-rate"] == "Input should be greater than 0"
    assert faults["spec 'c', momentum"].startswith("adam has no such parameter; it has amsgrad, ")
    assert faults["spec 'c'"] == "the label is given twice"
    assert faults["spec 'd'"] == "is not of the form 'LABEL: name=value name=value'"
    assert faults["--batch_size"] == "Input should be greater than or equal to 1"
    assert faults["--seeds"].startswith("Input should be a valid integer")
    assert len(faults) == 13


def test_a_bad_choice_hides_no_other_fault_and_causes_none() -> None:
    # The rule on replicas needs the method, and a parameter its optimizer.
    text = "a: method=magic replicas=3 batch-size=16 optimizer=lion rho=2 network=cnn widths=3 filters=0 epochs=0"
    faults = find_faults(draft(text, "b:"))
    assert {place.removeprefix("spec 'a', ") for place in faults} == {
        "method",
        "optimizer",
        "widths",
        "filters",
        "epochs",
    }


def test_a_shared_value_that_no_spec_takes_is_refused() -> None:
    specs = draft("a: epochs=1", "b: epochs=2", epochs="3")
    assert find_faults(Draft(), specs) == {"--epochs": "has no effect: every spec has its own"}


@pytest.mark.parametrize("label", ["", "x" * 201])
def test_a_label_that_the_contract_refuses(label: str) -> None:
    assert find_faults(draft(f"{label}:", "b:")).keys() == {f"spec {label!r}"}


@pytest.mark.parametrize("texts", [(), ("a:",)])
def test_fewer_than_two_groups_are_no_comparison(texts: tuple[str, ...]) -> None:
    assert find_faults(draft(*texts)) == {"groups": "a comparison needs at least two"}


def test_more_groups_than_a_comparison_takes() -> None:
    assert find_faults(draft(*(f"{number}: epochs={number + 1}" for number in range(101)))).keys() == {"groups"}


def test_groups_of_runs_count_and_their_labels_too() -> None:
    old = RunGroup(label="old", run_ids=("1",))
    assert make_plan(draft("new:"), groups=[old]).groups == (old,)
    with pytest.raises(InvalidFieldsError, match="spec 'old': the label is given twice"):
        make_plan(draft("old:"), groups=[old])


def test_jobs_are_each_spec_once_under_every_seed() -> None:
    fit, tape = RunSpec(method=Method.FIT), RunSpec()
    jobs = Plan({"fit": fit, "tape": tape, "again": fit}, (3, 4)).jobs()
    assert [(spec.method, spec.seed, labels) for spec, labels in jobs.items()] == [
        (Method.FIT, 3, ("fit", "again")),
        (Method.GRADIENT_TAPE, 3, ("tape",)),
        (Method.FIT, 4, ("fit", "again")),
        (Method.GRADIENT_TAPE, 4, ("tape",)),
    ]
