"""The search for fixes, on tables of levels in place of trainings."""

from collections.abc import Mapping
from typing import Any

import pytest

from loopbench.spec import Reason
from loopbench_diagnose.program import search as module
from loopbench_diagnose.program.remedies import Remedy
from loopbench_diagnose.program.search import search

# Remedies by a letter, in the order of the table; `proven` ones need no trial.
REASONS = {
    "loss": Reason.LOSS_FUNCTION,
    "inputs": Reason.INPUT_SCALE,
    "rate": Reason.LEARNING_RATE_TOO_LOW,
    "epochs": Reason.TOO_FEW_UPDATES,
    "optimizer": Reason.OPTIMIZER,
}


def remedy(name: str, value: Any = 1, proven: str = "") -> Remedy:
    return Remedy(REASONS[name], name, name, {name: value}, proven)


class Table:
    """Levels by the names of the changes that are made; what is not listed is like the largest listed part of it.

    Several levels are those of seeds 0, 1 and 2.
    """

    def __init__(
        self,
        levels: Mapping[tuple[str, ...], float | tuple[float, ...]],
        own: float = 0.0,
        rates: Mapping[Any, float] | None = None,
    ) -> None:
        self._levels, self.own_level, self._rates, self.trials = levels, own, rates or {}, 0

    def level(self, changes: Mapping[str, Any], seed: int = 0) -> float:
        self.trials += 1
        if set(changes) == {"rate"} and changes["rate"] in self._rates:
            return self._rates[changes["rate"]]
        parts = [known for known in self._levels if set(known) <= set(changes)]
        known = self._levels[max(parts, key=len)]
        return known[seed] if isinstance(known, tuple) else known + 0.01 * seed


def found(monkeypatch: pytest.MonkeyPatch, table: Table, *remedies: Remedy) -> list[str]:
    class Kind:
        @staticmethod
        def remedies(_: Any) -> list[Remedy]:
            return list(remedies)

    monkeypatch.setattr(module, "REMEDIES", (Kind,))
    return [one.title for one in search(table).needed]  # type: ignore[arg-type]


LOSS, INPUTS, RATE, EPOCHS, _ = map(remedy, REASONS)


def test_the_fix_that_helps_is_needed_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table({(): 0.2, ("loss",): 0.25, ("inputs",): 0.95, ("epochs",): 0.5})
    assert found(monkeypatch, table, LOSS, INPUTS, EPOCHS) == ["inputs"]


def test_of_fixes_that_help_alike_the_first_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table({(): 0.2, ("loss",): 0.9, ("inputs",): 0.97})
    assert found(monkeypatch, table, LOSS, INPUTS) == ["loss"]


@pytest.mark.parametrize(("name", "needed"), [("rate", "rate"), ("inputs", "optimizer")])
def test_a_rate_that_brings_half_of_what_another_optimizer_brings_is_the_fault(
    monkeypatch: pytest.MonkeyPatch, name: str, needed: str
) -> None:
    table = Table({(): 0.0, (name,): 0.5 if name == "rate" else 0.3, ("optimizer",): 0.7})
    assert found(monkeypatch, table, remedy(name), remedy("optimizer")) == [needed]


def test_fixes_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table({(): 0.1, ("loss",): 0.4, ("inputs",): 0.2, ("loss", "inputs"): 0.95})
    assert sorted(found(monkeypatch, table, LOSS, INPUTS)) == ["inputs", "loss"]


def test_faults_that_mask_each_other_are_found_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table({(): 0.0, ("inputs", "rate"): 0.9})
    assert sorted(found(monkeypatch, table, LOSS, INPUTS, RATE, EPOCHS)) == ["inputs", "rate"]


def test_a_fix_that_another_makes_superfluous_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    # The loss helps nearly as much as the inputs and comes first. With the inputs at unit scale it adds nothing.
    table = Table({(): 0.0, ("loss",): 0.68, ("inputs",): 0.87, ("loss", "inputs"): 0.89})
    assert found(monkeypatch, table, LOSS, INPUTS) == ["inputs"]


def test_nothing_is_needed_where_nothing_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, Table({(): 0.3, ("loss",): 0.4}), LOSS, INPUTS, RATE, EPOCHS) == []


def test_a_program_that_does_well_is_not_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table({(): 0.2, ("loss",): 0.9}, own=0.95)
    assert found(monkeypatch, table, LOSS) == []
    assert table.trials == 0


def test_what_is_proven_is_needed_whatever_it_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, Table({(): 0.95}, own=0.95), remedy("loss", proven="It is."), INPUTS) == ["loss"]


@pytest.mark.parametrize(("higher", "needed"), [(0.0, "epochs"), (0.8, "rate")])
def test_a_rate_is_too_low_where_it_is_far_from_those_that_do_harm(
    monkeypatch: pytest.MonkeyPatch, higher: float, needed: str
) -> None:
    table = Table({(): 0.1, ("epochs",): 0.9}, rates={10: 0.9, 100: higher})
    assert found(monkeypatch, table, remedy("rate", 10), remedy("rate", 100), EPOCHS) == [needed]


def test_a_higher_rate_and_more_updates_are_not_both_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table({(): 0.0, ("rate", "epochs"): 0.9})
    assert found(monkeypatch, table, RATE, EPOCHS) == []


@pytest.mark.parametrize(("reached", "needed"), [(0.4, ["loss", "rate"]), (0.6, ["loss"])])
def test_settings_are_needed_on_top_of_a_fix_only_where_it_leaves_the_program_bad(
    monkeypatch: pytest.MonkeyPatch, reached: float, needed: list[str]
) -> None:
    table = Table({(): 0.0, ("loss",): reached, ("loss", "rate"): 0.95})
    assert sorted(found(monkeypatch, table, LOSS, RATE)) == needed


@pytest.mark.parametrize(("name", "needed"), [("inputs", ["inputs"]), ("rate", [])])
def test_a_gain_that_halves_what_is_missing_is_enough_for_a_fault_by_itself(
    monkeypatch: pytest.MonkeyPatch, name: str, needed: list[str]
) -> None:
    table = Table({(): 0.77, (name,): 0.9})
    assert found(monkeypatch, table, remedy(name)) == needed


@pytest.mark.parametrize(
    ("before", "after", "needed"),
    [
        ((0.2, 0.3, 0.0), (0.5, 0.5, 0.0), ["loss"]),  # every seed gains
        ((0.2, 0.3, 0.0), (0.9, 0.35, 0.9), []),  # one does not
        ((0.2, 0.4, 0.3), (0.8, 0.52, 0.7), ["loss"]),  # one is close, and a third gains
        ((0.2, 0.4, 0.3), (0.8, 0.52, 0.4), []),  # one is close, and the third does not gain
        ((0.2, 0.4, 0.3), (0.5, 0.52, 0.7), []),  # one is close, and the mean gain is small
    ],
)
def test_the_gain_is_clear_under_every_seed_or_two_of_three(
    monkeypatch: pytest.MonkeyPatch, before: tuple[float, ...], after: tuple[float, ...], needed: list[str]
) -> None:
    assert found(monkeypatch, Table({(): before, ("loss",): after}), LOSS) == needed
