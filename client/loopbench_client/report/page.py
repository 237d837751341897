"""Puts the page together."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loopbench.files import replace_file
from loopbench.text import figure, kebab
from loopbench_client.errors import ErrorDetails, LoopbenchError
from loopbench_client.output_files import writing
from loopbench_client.report import curves, intervals, words
from loopbench_client.report.causes import Diagnosed, diagnosed
from loopbench_client.report.conclusion import conclusion
from loopbench_client.report.confusions import confusions
from loopbench_client.report.data import files
from loopbench_client.report.distances import distances
from loopbench_client.report.environments import facts
from loopbench_client.report.groups import SPLITS, claim_rows, group_table, results
from loopbench_client.report.marks import marks
from loopbench_client.report.model import Report
from loopbench_client.report.repeating import plan_file, requirements
from loopbench_client.report.verdicts import MEANINGS, SYMBOLS, Pair, blocks, counts, matrix, numbered

NAME = "index.html"
HINT = "install keras-loopbench with its extra 'report'"


def check_report(folder: Path) -> None:
    """Finds out before anything is trained whether a report can be written to ``folder``, which it makes.

    Raises:
        LoopbenchError: the extra is not installed.
        OutputError: the folder cannot be made.
    """
    if find_spec("jinja2") is None:
        raise LoopbenchError(ErrorDetails("a report needs jinja2, which is not installed", "NOT_INSTALLED"), hint=HINT)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def write_report(folder: Path, report: Report) -> Path:
    """Writes the page into ``folder`` and returns its path. One that is there is replaced.

    Raises:
        LoopbenchError: the extra is not installed.
        OutputError: the page cannot be written.
    """
    check_report(folder)
    path = folder / NAME
    page = _render(report)
    with writing(path):
        # Words from a command line need not be valid Unicode.
        replace_file(path, page.encode(errors="backslashreplace"))
    return path


def _render(report: Report) -> str:
    # Only those who write a report have it.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("loopbench_client.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (kebab, figure, words.percent, words.points, words.moment)
    environment.filters |= {filter_.__name__: filter_ for filter_ in filters}
    return environment.get_template("page.html").render(_content(report))


def _content(report: Report) -> dict[str, Any]:
    """What the templates name."""
    comparison = report.comparison
    look = marks(group.label for group in comparison.groups)
    pairs = numbered(comparison)
    diagnoses = tuple(
        diagnosed(number, labels, found) for number, (labels, found) in enumerate(report.diagnoses.items(), start=1)
    )
    histories = {mark: results(report, label) for label, mark in look.items()}
    distant = distances(report, look)
    drawn = curves.curves(histories, distant)
    return {
        "report": report,
        "comparison": comparison,
        "marks": tuple(look.values()),
        "counts": counts(comparison),
        "symbols": SYMBOLS,
        "meanings": MEANINGS,
        "matrix": matrix(pairs, look),
        "blocks": blocks(pairs),
        "splits": SPLITS,
        "groups": group_table(report, look),
        "claims": claim_rows(report),
        "views": curves.views(histories, drawn),
        "frame": curves,
        "distances": bool(distant),
        "epochs": curves.epoch_rows(histories, drawn),
        "differences": intervals.differences(comparison, pairs),
        "seeds": intervals.seeds(comparison, look),
        "diagnoses": diagnoses,
        "causes": _numbers_of_causes(pairs, diagnoses),
        "conclusion": conclusion(report),
        "confusions": confusions(histories),
        "files": files(report),
        "plan": plan_file(report),
        "requirements": requirements(report),
        "facts": facts(report),
    }


def _numbers_of_causes(pairs: tuple[Pair, ...], diagnoses: tuple[Diagnosed, ...]) -> dict[int, int]:
    """Number of a pair → number of its diagnosis, if that found causes."""
    known = {frozenset((found.first, found.second)): found.number for found in diagnoses if found.causes}
    labels = {pair.number: frozenset((pair.found.first_label, pair.found.second_label)) for pair in pairs}
    return {number: known[both] for number, both in labels.items() if both in known}
