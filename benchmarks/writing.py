"""BENCHMARKS.md, from what was measured."""

from collections import ChainMap
from collections.abc import Sequence
from pathlib import Path

import jinja2

from benchmarks import contest, convolutions, gpu, limits
from benchmarks.figures import Spread, spread
from benchmarks.parts import OneMachine, kept
from benchmarks.setting import ROOT
from benchmarks.targets import Target, ratio, targets

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


def by_target(machines: Sequence[OneMachine]) -> dict[str, list[Target | None]]:
    """What each machine made of each target, where it was measured there."""
    found = [{target.target: target for target in targets(machine.measured)} for machine in machines]
    return {name: [each.get(name) for each in found] for name in dict.fromkeys(name for each in found for name in each)}


def document() -> str:
    """``BENCHMARKS.md.jinja``, filled in with what is kept; a figure that is missing is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  Markdown, from figures of this project
    )
    environment.filters |= {function.__name__: function for function in FILTERS}
    machines = kept()
    return environment.get_template("BENCHMARKS.md.jinja").render(
        ChainMap(*(machine.measured for machine in machines)),
        machines=machines,
        updates=limits.UPDATES,
        jobs=contest,
        cnn=convolutions,
        on_gpu=gpu,
        targets=by_target(machines),
        spread=spread,
    )


def write() -> None:
    """Writes the document into the root of the project."""
    DOCUMENT.write_text(document())
