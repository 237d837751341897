"""BENCHMARKS.md, from what was measured."""

from pathlib import Path

import jinja2

from benchmarks import contest, limits
from benchmarks.figures import Spread, spread
from benchmarks.parts import kept
from benchmarks.setting import ROOT
from benchmarks.targets import ratio, targets

DOCUMENT = ROOT / "BENCHMARKS.md"


def seconds(value: Spread) -> str:
    """Median and range."""
    return f"{value.median:.2f} ({value.low:.2f}–{value.high:.2f})"


def number(value: Spread) -> str:
    """Median and range."""
    return f"{value.median:.1f} ({value.low:.1f}–{value.high:.1f})"


def percent(value: float) -> str:
    """A fraction as percent."""
    return f"{100 * value:.2f}"


def megabytes(value: float) -> str:
    """Bytes as 10⁶ bytes."""
    return f"{value / 1e6:.0f}"


def milliseconds(value: float) -> str:
    """Seconds as milliseconds."""
    return f"{1e3 * value:.1f}"


FILTERS = (seconds, number, ratio, percent, megabytes, milliseconds)


def document() -> str:
    """``BENCHMARKS.md.jinja``, filled in with what is kept; a figure that is missing is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  Markdown, from figures of our own
    )
    environment.filters |= {function.__name__: function for function in FILTERS}
    measured, when = kept()
    ours: contest.Contest = measured["contest"]
    return environment.get_template("BENCHMARKS.md.jinja").render(
        **measured,
        when=when,
        updates=limits.UPDATES,
        eager=spread(ours.whole["EAGER, tape"].epoch_seconds).median,
        jobs=contest,
        targets=targets(measured),
        best_jax=ours.fastest(*contest.JAX),
        fastest=ours.fastest(*contest.OURS),
    )


def write() -> None:
    """Writes the document into the root of the project."""
    DOCUMENT.write_text(document())
