"""Confusion matrices of the groups: counts of all seeds by label and predicted class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loopbench.spec import ClassMetrics, Result
from loopbench_client.report.marks import Mark
from loopbench_client.report.words import percent

SPLITS = ("validation", "train")


@dataclass(frozen=True)
class Cell:
    """Samples of a label that have this predicted class; ``share`` is their part of the label's samples, 0 to 1."""

    count: int
    share: float
    right: bool


@dataclass(frozen=True)
class LabelRow:
    """The samples of one label, and the accuracy on them."""

    label: int
    cells: tuple[Cell, ...]
    accuracy: str


@dataclass(frozen=True)
class Matrix:
    """The matrix of a set, and how many of its samples are misclassified."""

    split: str
    rows: tuple[LabelRow, ...]
    wrong: int
    samples: int


@dataclass(frozen=True)
class Confusion:
    """Groups with the same counts, and their matrices."""

    marks: tuple[Mark, ...]
    matrices: tuple[Matrix, ...]


def confusions(found: Mapping[Mark, tuple[Result, ...]]) -> tuple[Confusion, ...]:
    """Return the matrices of each group, once for groups with the same counts.

    Results of older servers have no counts. A group without any is left out.
    """
    by_counts: dict[tuple[Matrix, ...], list[Mark]] = {}
    for mark, results in found.items():
        counted = [result for result in results if result.validation.classes]
        if counted:
            by_counts.setdefault(tuple(_matrix(counted, split) for split in SPLITS), []).append(mark)
    return tuple(Confusion(tuple(marks), matrices) for matrices, marks in by_counts.items())


def _matrix(results: Sequence[Result], split: str) -> Matrix:
    runs: list[tuple[ClassMetrics, ...]] = [getattr(result, split).classes for result in results]
    counts = [
        [sum(column) for column in zip(*(row.predicted for row in label), strict=True)]
        for label in zip(*runs, strict=True)
    ]
    rows = tuple(_row(label, row) for label, row in enumerate(counts))
    samples = sum(map(sum, counts))
    return Matrix(split, rows, samples - sum(row[label] for label, row in enumerate(counts)), samples)


def _row(label: int, counts: Sequence[int]) -> LabelRow:
    samples = sum(counts)
    cells = tuple(
        Cell(count, count / samples if samples else 0.0, predicted == label) for predicted, count in enumerate(counts)
    )
    return LabelRow(label, cells, percent(cells[label].share) if samples else "no samples")
