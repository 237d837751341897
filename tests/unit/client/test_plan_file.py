"""Plans in YAML files."""

from pathlib import Path

import pytest

from loopbench.spec import Adam, Cnn, Dataset, InvalidFieldsError, Loss, Method, Mlp, RunSpec, Sgd
from loopbench_client.comparing import Draft, Plan, make_plan, read_draft
from loopbench_client.comparing.values import Given


def read_plan(tmp_path: Path, text: str, over: Draft | None = None) -> Plan:
    file = tmp_path / "plan.yaml"
    file.write_text(text, encoding="utf-8")
    return make_plan(read_draft(file), over)


def find_faults(tmp_path: Path, text: str) -> dict[str, str]:
    with pytest.raises(InvalidFieldsError) as caught:
        read_plan(tmp_path, text)
    return {violation.field: violation.description for violation in caught.value.violations}


FULL = """
seeds: 3            # a number, or a list of seeds
margin: 0.01
alpha: 1e-2
defaults: {dataset: digits, epochs: 5}
specs:
  tape: {method: gradient-tape}
  fit: {method: fit, optimizer: {sgd: {learning_rate: 0.1, nesterov: yes}}}
  json: {method: METHOD_FIT, batchSize: 16, optimizer: {adam: {learningRate: 0.5, beta1: 0.25}}}
  beside:
    optimizer: sgd
    learning-rate: 1e-1
  nothing:
"""


def test_a_plan(tmp_path: Path) -> None:
    shared = {"dataset": Dataset.DIGITS, "epochs": 5}
    assert read_plan(tmp_path, FULL) == Plan(
        specs={
            "tape": RunSpec(method=Method.GRADIENT_TAPE, **shared),
            "fit": RunSpec(method=Method.FIT, optimizer=Sgd(learning_rate=0.1, nesterov=True), **shared),
            "json": RunSpec(method=Method.FIT, batch_size=16, optimizer=Adam(learning_rate=0.5, beta_1=0.25), **shared),
            "beside": RunSpec(optimizer=Sgd(learning_rate=0.1), **shared),
            "nothing": RunSpec(**shared),
        },
        seeds=(0, 1, 2),
        margin=0.01,
        alpha=0.01,
    )


@pytest.mark.parametrize(
    ("seeds", "expected"), [("[4, 2]", (4, 2)), ("[7]", (7,)), ("2", (0, 1)), ("\n  - 3\n  - 5", (3, 5))]
)
def test_seeds_are_a_number_or_a_list(tmp_path: Path, seeds: str, expected: tuple[int, ...]) -> None:
    assert read_plan(tmp_path, f"seeds: {seeds}\nspecs: {{a: , b: }}").seeds == expected


def test_an_anchor_is_resolved(tmp_path: Path) -> None:
    plan = read_plan(tmp_path, "specs:\n  a: &a {loss: mean-squared-error}\n  b: *a")
    assert {spec.loss for spec in plan.specs.values()} == {Loss.MEAN_SQUARED_ERROR}


def test_a_network_has_its_sizes_as_a_list(tmp_path: Path) -> None:
    plan = read_plan(tmp_path, "specs:\n  a: {network: {cnn: {filters: [8, 4]}}}\n  b: {widths: [32]}")
    assert [spec.network for spec in plan.specs.values()] == [Cnn(filters=(8, 4)), Mlp(widths=(32,))]


def test_one_error_names_everything_by_its_path(tmp_path: Path) -> None:
    text = """
sedes: 3
alpha: [1]
margin: 2
defaults: {epochs: 0, colour: red}
specs:
  a: {method: magic, epochs: 1, epochs: 2, batch_size: true}
  b: {optimizer: {sgd: {learning_rate: -1, epochs: 3}}, learning_rate: 1}
  c: {optimizer: {sgd: {}, adam: {}}}
  d: [fit]
  e: {optimizer: {lion: {}}, seed: 3}
  f: {loss: {x: 1}}
  g: {? [a] : b}
  a: {}
"""
    faults = find_faults(tmp_path, text)
    places = {place.removeprefix("'plan.yaml', "): words for place, words in faults.items()}
    assert places.keys() == {
        "sedes",
        "alpha",
        "margin",
        "defaults.epochs",
        "defaults.colour",
        "specs.a.method",
        "specs.a.epochs",
        "specs.a.batch_size",
        "specs.b.optimizer.sgd.epochs",
        "specs.b.learning_rate",
        "specs.b.optimizer.sgd.learning_rate",
        "specs.c.optimizer",
        "specs.d",
        "specs.e.optimizer",
        "specs.e.seed",
        "specs.f.loss",
        "specs.g",
        "specs.a",
    }
    known = "seeds, margin, alpha, defaults, specs"
    assert places["sedes"] == f"there is no such key; there are {known}; did you mean seeds?"
    assert places["specs.a"] == places["specs.a.epochs"] == places["specs.b.learning_rate"] == "is given twice"
    assert places["specs.e.optimizer"] == "'lion' is not one of sgd, adam, adamw, rmsprop"
    assert places["specs.g"] == "line 13: a key must be text"


def test_a_boolean_is_no_number(tmp_path: Path) -> None:
    assert find_faults(tmp_path, "specs: {a: {epochs: true}, b: }").keys() == {"'plan.yaml', specs.a.epochs"}
    assert find_faults(tmp_path, "seeds: true\nspecs: {a: , b: }").keys() == {"'plan.yaml', seeds"}


@pytest.mark.parametrize(
    "text",
    [
        "specs: {a: [",
        "specs: a: b",
        "\tspecs: 1",
        "a: 1\n---\nb: 2",
        "a: *nobody",
        "\x00",
        "[" * 5_000,
        "specs: &x {a: *x",
    ],
)
def test_invalid_yaml_is_one_error(tmp_path: Path, text: str) -> None:
    faults = find_faults(tmp_path, text)
    assert faults["'plan.yaml'"].startswith("cannot be read: ")


@pytest.mark.parametrize("text", ["", "# nothing", "[1, 2]", "word", "specs: &x {a: *x, b: *x}", "specs: 3"])
def test_an_invalid_plan_is_an_error(tmp_path: Path, text: str) -> None:
    assert find_faults(tmp_path, text)


def test_a_tag_makes_no_object(tmp_path: Path) -> None:
    made = tmp_path / "made"
    text = f"specs: {{a: {{method: !!python/object/apply:os.mkdir ['{made}']}}, b: }}"
    assert find_faults(tmp_path, text).keys() == {"'plan.yaml', specs.a.method"}
    assert not made.exists()


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xfa")
    for name in ("absent.yaml", ".", "bytes.yaml"):
        (fault,) = read_draft(tmp_path / name).faults
        assert fault.description.startswith("cannot be read: ")


def test_flags_override_the_file(tmp_path: Path) -> None:
    settings = {"seeds": Given("--seeds", "1"), "margin": Given("--margin", "0.2")}
    plan = read_plan(tmp_path, FULL, Draft(settings))
    assert (plan.seeds, plan.margin, plan.alpha) == ((0,), 0.2, 0.01)
