"""The result of a comparison in one sentence."""

from collections.abc import Iterable, Sequence

from loopbench.spec import Diagnosis, PairComparison, Verdict
from loopbench.text import figure, lowered
from loopbench_client.report.model import Report

# More labels are counted.
LABELS_SHOWN = 4


def conclusion(report: Report) -> str:
    """Return which groups agree, and the largest difference with its strongest cause; empty without a pair."""
    clauses = [*_same(report), *_diverged(report), *_equivalent(report), *_different(report), *_undecided(report)]
    sentence = ", and ".join(clauses)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def _with(report: Report, verdict: Verdict) -> list[PairComparison]:
    return [pair for pair in report.comparison.pairs if pair.verdict is verdict]


def _named(labels: Iterable[str]) -> str:
    """Labels in quotation marks, as a list in words."""
    shown = [f"“{label}”" for label in labels]
    if len(shown) > LABELS_SHOWN:
        shown = [*shown[: LABELS_SHOWN - 1], f"{len(shown) - LABELS_SHOWN + 1} others"]
    *most, last = shown
    return f"{', '.join(most)} and {last}" if most else last


def _same(report: Report) -> Iterable[str]:
    for labels in _clusters(_with(report, Verdict.IDENTICAL)):
        everything = len(labels) == len(report.comparison.groups)
        yield f"{f'all {len(labels)} groups' if everything else _named(labels)} end in the same weights, bit for bit"


def _clusters(pairs: Sequence[PairComparison]) -> list[list[str]]:
    """Labels that are connected by ``pairs``, in their order."""
    clusters: list[list[str]] = []
    for pair in pairs:
        labels = (pair.first_label, pair.second_label)
        touched = [cluster for cluster in clusters if {*labels} & {*cluster}]
        joined = [*dict.fromkeys([label for cluster in touched for label in cluster] + [*labels])]
        clusters = [cluster for cluster in clusters if cluster not in touched] + [joined]
    return clusters


def _diverged(report: Report) -> Iterable[str]:
    labels = [group.label for group in report.comparison.groups if group.diverged_seeds]
    if labels:
        yield f"{_named(labels)} diverged, which is no evidence"


def _equivalent(report: Report) -> Iterable[str]:
    found, others = _with(report, Verdict.EQUIVALENT), {Verdict.IDENTICAL, Verdict.EQUIVALENT}
    margin = figure(100 * report.comparison.margin)
    if found and all(pair.verdict in others for pair in report.comparison.pairs):
        yield f"all validation accuracies are within {margin} points of each other"
    elif found:
        yield f"{_pairs(len(found), report)} {'is' if len(found) == 1 else 'are'} equivalent within {margin} points"


def _different(report: Report) -> Iterable[str]:
    pairs = _with(report, Verdict.DIFFERENT)
    if not pairs:
        return
    # A diagnosis says more than a larger difference without one.
    largest = max(pairs, key=lambda pair: (bool(cause_of(report, pair)), abs(pair.difference)))
    # In the order of the pair, because a cause names its first and its second side.
    points = f"{100 * abs(largest.difference):.2f} points {'worse' if largest.difference < 0 else 'better'}"
    text = f"“{largest.first_label}” is {points} than “{largest.second_label}” on validation"
    if len(pairs) > 1:
        text += f" ({len(pairs)} pairs differ)"
    cause = cause_of(report, largest)
    yield f"{text}: {lowered(cause)}" if cause else text


def _undecided(report: Report) -> Iterable[str]:
    found = _with(report, Verdict.INCONCLUSIVE)
    if found and not _with(report, Verdict.DIFFERENT):
        yield f"the runs do not decide {_pairs(len(found), report)}"


def _pairs(number: int, report: Report) -> str:
    return f"{number} of {len(report.comparison.pairs)} pairs"


def cause_of(report: Report, pair: PairComparison) -> str:
    """Return the title of the strongest cause of a difference; empty if it is not known."""
    labels = {pair.first_label, pair.second_label}
    found = next((found for sides, found in report.diagnoses.items() if {*sides} == labels), None)
    return found.causes[0].title.rstrip(".") if isinstance(found, Diagnosis) and found.causes else ""
