"""Sweeps: the run of each index, its request id, and the sweep file."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from loopbench.spec import Adam, Dataset, InvalidFieldsError, Method, RunSpec
from loopbench.sweep import FILE_BYTES, MOST_INDICES, LabelledSpec, Sweep
from loopbench.sweep_file import read_sweep

TAPE = RunSpec(dataset=Dataset.DIGITS, epochs=3)
# Zero is not the default here and has to survive.
ADAM = RunSpec(method=Method.FIT, optimizer=Adam(learning_rate=0.001), shuffle_buffer=0)


def make_sweep(*specs: tuple[str, RunSpec], seeds: tuple[int, ...] = (7, 3, 5), name: str = "losses") -> Sweep:
    return Sweep(name=name, seeds=seeds, specs=tuple(LabelledSpec(label=label, spec=spec) for label, spec in specs))


SWEEP = make_sweep(("tape", TAPE), ("adam", ADAM))


def find_faults(tmp_path: Path, content: str | bytes) -> dict[str, str]:
    file = tmp_path / "sweep.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidFieldsError) as caught:
        read_sweep(file)
    return {violation.field: violation.description for violation in caught.value.violations}


def test_runs_are_named_by_their_label_and_the_sweep() -> None:
    label = "line\nbreak, " + "x" * 100
    naming = make_sweep((label, TAPE)).naming(make_sweep((label, TAPE)).index(0))
    assert naming.name == "line break, " + "x" * 87 + "…"
    assert naming.labels == {"plan": "losses"}


def test_seeds_are_the_innermost() -> None:
    indices = [SWEEP.index(number) for number in range(SWEEP.size)]
    assert [(one.number, one.label, one.spec.seed) for one in indices] == [
        (0, "tape", 7),
        (1, "tape", 3),
        (2, "tape", 5),
        (3, "adam", 7),
        (4, "adam", 3),
        (5, "adam", 5),
    ]
    assert indices[1].spec == TAPE.model_copy(update={"seed": 3})
    assert indices[5].spec == ADAM.model_copy(update={"seed": 5})


def test_the_file_gives_the_sweep_back(tmp_path: Path) -> None:
    file = tmp_path / "sweep.json"
    file.write_text(SWEEP.text)
    assert read_sweep(file) == SWEEP
    document = json.loads(SWEEP.text)
    assert [one["label"] for one in document["specs"]] == ["tape", "adam"]
    assert document["specs"][1]["spec"]["shuffleBuffer"] == 0
    assert not any("seed" in one["spec"] for one in document["specs"])


def test_a_later_field_at_its_default_changes_no_sweep() -> None:
    # Name of this sweep before specs had the field `replicas`.
    assert SWEEP.full_name == "losses-a49c75c63b"
    shared = ADAM.model_copy(update={"replicas": 2})
    assert '"replicas": 2' in make_sweep(("tape", TAPE), ("adam", shared)).text


def test_an_id_is_of_the_sweep_and_the_index_however_the_file_is_written(tmp_path: Path) -> None:
    file = tmp_path / "sweep.json"
    terse = {
        "specs": [
            {"spec": {"dataset": "DATASET_DIGITS", "epochs": 3}, "label": "tape"},
            {
                "spec": {"method": "METHOD_FIT", "optimizer": {"adam": {"learning_rate": 1e-3}}, "shuffle_buffer": 0},
                "label": "adam",
            },
        ],
        "seeds": [7, 3, 5],
        "name": "losses",
    }
    file.write_text(json.dumps(terse))
    again = read_sweep(file)
    ids = [SWEEP.request_id(number) for number in range(SWEEP.size)]
    assert [again.request_id(number) for number in range(again.size)] == ids
    assert again.full_name == SWEEP.full_name
    assert len(set(ids)) == SWEEP.size
    assert {uuid.UUID(one).version for one in ids} == {5}


@pytest.mark.parametrize(
    "other",
    [
        make_sweep(("tape", TAPE), ("adam", ADAM), name="other"),
        make_sweep(("tape", TAPE), ("adam", ADAM), seeds=(7, 3, 6)),
        make_sweep(("tape", TAPE), ("adams", ADAM)),
        make_sweep(("tape", TAPE), ("adam", ADAM.model_copy(update={"epochs": 11}))),
        make_sweep(("adam", ADAM), ("tape", TAPE)),
    ],
)
def test_another_sweep_has_other_ids_and_another_name(other: Sweep) -> None:
    assert other.full_name != SWEEP.full_name
    assert not {other.request_id(n) for n in range(other.size)} & {SWEEP.request_id(n) for n in range(SWEEP.size)}


def test_one_error_names_everything_by_its_place(tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "name": "No_Name",
        "seeds": [1, 1],
        "colour": "red",
        "specs": [
            {
                "label": "tape",
                "spec": {
                    "epochs": "ten",
                    "method": "METHOD_MAGIC",
                    "colour": 1,
                    "seed": 4,
                    "optimizer": {"sgd": {"momentum": [], "learningRate": -1}, "adam": {}},
                    "batchSize": 0,
                    "batch_size": 3,
                },
            },
            {"label": "list", "spec": []},
            {"label": "far", "spec": {"epochs": 0, "optimizer": 3, "execution": 99}},
            7,
            {"epochs": 3},
        ],
    }
    assert set(find_faults(tmp_path, json.dumps(document))) == {
        "name",
        "seeds",
        "colour",
        "specs.tape.epochs",
        "specs.tape.method",
        "specs.tape.colour",
        "specs.tape.seed",
        "specs.tape.optimizer.sgd.momentum",
        "specs.tape.optimizer.sgd.learning_rate",
        "specs.tape.optimizer.adam",
        "specs.tape.batch_size",
        "specs.list",
        "specs.far.epochs",
        "specs.far.optimizer",
        "specs.far.execution",
        "specs.3",
        "specs.4.label",
        "specs.4.spec",
        "specs.4.epochs",
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "must be an object"),
        (b"\xff", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"name": "a", "name": "b"}', "a name is given twice"),
        (" " * (FILE_BYTES + 1), "at most 1,048,576 bytes"),
    ],
)
def test_an_invalid_file_is_named(tmp_path: Path, content: str | bytes, words: str) -> None:
    ((field, description),) = find_faults(tmp_path, content).items()
    assert field == str(tmp_path / "sweep.json")
    assert words in description


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFieldsError, match=r"absent\.json.*cannot be read"):
        read_sweep(tmp_path / "absent.json")


def test_nothing_is_missing(tmp_path: Path) -> None:
    assert set(find_faults(tmp_path, "{}")) == {"name", "seeds", "specs"}


def test_indices_are_bounded() -> None:
    labels = [f"l{number}" for number in range(MOST_INDICES // 10)]
    most = make_sweep(*((label, TAPE) for label in labels), seeds=tuple(range(10)))
    assert most.size == MOST_INDICES
    with pytest.raises(ValidationError, match="at most 10,000"):
        make_sweep(*((label, TAPE) for label in [*labels, "more"]), seeds=tuple(range(10)))


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a_b", "ä", "a" * 41, "a\n"])
def test_a_name_has_to_do_as_part_of_a_host_name(name: str) -> None:
    with pytest.raises(ValidationError, match="must be at most 40"):
        make_sweep(("tape", TAPE), name=name)


def test_the_longest_name_leaves_room_for_the_index() -> None:
    longest = make_sweep(("tape", TAPE), name="a" * 40)
    assert len(f"{longest.full_name}-{MOST_INDICES - 1}") <= 63
