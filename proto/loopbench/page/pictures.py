"""Pictures of a replay: distances of the weights, gradient ratios, layers in order, and metrics side by side."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from loopbench.page.axes import Scale, linear, logarithmic, whole
from loopbench.page.bars import ROUNDING, bar, is_off
from loopbench.page.html import Html, element, joined
from loopbench.page.tables import cell, table
from loopbench.spec import (
    FirstDifference,
    LayerRecord,
    MetricRecord,
    Replay,
    SideValues,
    UpdateRecord,
    VariableRecord,
)
from loopbench.text import SIDES, counted, figure

# A drawing, and where in it lines are drawn: figures of the axes are left of it and below.
WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 84, 628, 26, 232
# What the sides are called.
Names = tuple[str, str]
# Rows that a table shows; more would hide what comes after it.
MOST_ROWS = 60
# Names of the sides in a table; any other name is a label of the user's.
SHORT = {"the first side": "first", "the second side": "second", "stock training": "stock training", "the loop": "loop"}


@dataclass(frozen=True)
class Picture:
    """A picture under its title; ``folded`` if a page shows it on request only."""

    title: str
    content: Html
    folded: bool = False


def pictures(replay: Replay, sides: Names = SIDES) -> tuple[Picture, ...]:
    """All pictures that ``replay`` has values for; ``sides`` are the names of the sides in them."""
    drawn = (
        _distances(replay.updates, replay.first_difference, sides),
        _gradients(replay.variables, sides),
        _layers(replay.layers, replay.first_differing_layer),
        _metrics(replay.metrics, sides),
        _updates(replay.updates, sides),
    )
    return tuple(picture for picture in drawn if picture is not None)


def _finite(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _distances(updates: tuple[UpdateRecord, ...], parting: FirstDifference | None, names: Names) -> Picture | None:
    known = _finite(update.weight_distance for update in updates)
    if not known:
        return None
    positive = [value for value in known if value > 0]
    title = "Weight distance over updates"
    if not positive:
        text = f"The weights of {names[0]} and {names[1]} agree after every one of {counted(len(updates), 'update')}."
        return Picture(title, element("p", text))
    y_scale = logarithmic(positive)
    x_scale = whole(updates[0].number, updates[-1].number)
    chart = element(
        "svg",
        *_axes(x_scale, y_scale),
        *(_parting(x_scale.at(parting.update), parting) if parting else ()),
        *_line(updates, x_scale, y_scale),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        class_="chart",
        role="img",
        aria_label="Distance of the weights by update; the values are in the table of updates",
    )
    text = (
        f"Distance between the weights of {names[0]} and {names[1]} after each update, relative to how far {names[0]} "
        "moved. "
        "The axis is logarithmic; 0 is drawn at its lower end."
    )
    words = element("p", parting.text) if parting else None
    return Picture(title, joined((element("p", text, class_="quiet"), words, element("figure", chart))))


def _x(place: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * place, 1)


def _y(place: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * place, 1)


def _axes(x_scale: Scale, y_scale: Scale) -> Iterator[Html]:
    for tick in y_scale.ticks:
        at = _y(y_scale.at(tick))
        yield element("line", class_="grid", x1=LEFT, x2=RIGHT, y1=at, y2=at)
        yield element("text", figure(tick), class_="y", x=LEFT - 6, y=at)
    for tick in x_scale.ticks:
        yield element("text", figure(tick), class_="x", x=_x(x_scale.at(tick)), y=BOTTOM + 20)
    yield element("text", "update", class_="x", x=(LEFT + RIGHT) / 2, y=HEIGHT - 4)


def _parting(place: float, parting: FirstDifference) -> Iterator[Html]:
    at = _x(place)
    yield element("line", class_="parting", x1=at, x2=at, y1=TOP, y2=BOTTOM)
    # The text is above the plot, where no line crosses it, and on the side that has room.
    x, anchor = (at - 6, "end") if at > (LEFT + RIGHT) / 2 else (at + 6, "start")
    words = f"first difference: {parting.place}"
    yield element("text", words, class_="parting-text", x=x, y=TOP - 10, text_anchor=anchor)


def _line(updates: tuple[UpdateRecord, ...], x_scale: Scale, y_scale: Scale) -> Iterator[Html]:
    places = [
        (update, _x(x_scale.at(update.number)), _y(y_scale.at(update.weight_distance)))
        if update.weight_distance is not None and math.isfinite(update.weight_distance)
        else None
        for update in updates
    ]
    for is_gap, piece in groupby(places, key=lambda place: place is None):
        if not is_gap:
            path = " L".join(f"{x:g} {y:g}" for _, x, y in filter(None, piece))
            yield element("path", class_="line", d=f"M{path}")
    for update, x, y in filter(None, places):
        title = element("title", f"update {update.number}: {figure(update.weight_distance)}")
        yield element("circle", title, class_="marker", cx=x, cy=y, r=3)


def _gradients(variables: tuple[VariableRecord, ...], names: Names) -> Picture | None:
    known = _finite(variable.gradient_ratio for variable in variables)
    if not known:
        return None
    # Around 1, so that a bar shows in which direction a ratio differs.
    scale = logarithmic([*known, 1.0]) if min(known) > 0 else linear([*known, 1.0])
    head = _head("Variable", "", _over(names))
    rows = [
        _bar_row(
            variable.name,
            bar(variable.gradient_ratio, scale, base=1.0, is_off=is_off(variable.gradient_ratio)),
            figure(variable.gradient_ratio) or _untaken(variable, names),
        )
        for variable in variables[:MOST_ROWS]
    ]
    text = "Ratio of the first gradients. Equal ratios other than 1 are a scale of the loss; the line is at 1."
    content = (element("p", text, class_="quiet"), *_shown("variables", variables, head, rows))
    return Picture("Gradient ratios", joined(content))


def _untaken(variable: VariableRecord, names: Names) -> str:
    first, second = map(_short, names)
    only = {(True, False): f"{first} only", (False, True): f"{second} only"}
    return only.get((variable.first_trains, variable.second_trains), "no gradient")


def _short(name: str) -> str:
    return SHORT.get(name, name)


def _over(names: Names) -> str:
    return f"{_heading(names[1])} over {_short(names[0])}"


def _heading(name: str) -> str:
    return SHORT[name].capitalize() if name in SHORT else name


def _layers(layers: tuple[LayerRecord, ...], first: str | None) -> Picture | None:
    if not layers:
        return None
    positive = [value for value in _finite(layer.difference for layer in layers) if value > 0]
    scale = logarithmic(positive)
    head = _head("Layer", "", "Difference of the outputs")
    rows = [
        _bar_row(
            f"{number}. {layer.name}",
            bar(layer.difference or None, scale, base=scale.low, is_off=layer.name == first),
            "one side only" if layer.difference is None else figure(layer.difference),
            kind="first-differing" if layer.name == first else None,
            note="first that differs" if layer.name == first else None,
        )
        for number, layer in enumerate(layers[:MOST_ROWS], start=1)
    ]
    found = f"The first layer whose outputs differ is {first}." if first else "The outputs of all layers agree."
    text = f"{found} Bars are logarithmic."
    content = (element("p", text, class_="quiet"), *_shown("layers", layers, head, rows))
    return Picture("Layers in order", joined(content))


def _metrics(metrics: tuple[MetricRecord, ...], names: Names) -> Picture | None:
    if not metrics:
        return None
    columns = [_heading(name) for name in names]
    head = _head("Metric", *columns, "")
    rows = [
        element(
            "tr",
            element("th", metric.name, scope="row"),
            *(cell(name, figure(value) or "–") for name, value in zip(columns, _both(metric.values), strict=True)),
            cell("", _verdict(metric)),
        )
        for metric in metrics
    ]
    title = "Metrics side by side"
    return Picture(title, table(title, head, rows, "stacked"))


def _both(values: SideValues) -> tuple[float | None, float | None]:
    return values.first, values.second


def _verdict(metric: MetricRecord) -> Html:
    first, second = _both(metric.values)
    if first is None or second is None:
        return element("span", "one side only", class_="quiet")
    if metric.agrees and not math.isclose(first, second, rel_tol=ROUNDING):
        # Both report it correctly, of weights that differ.
        return element("span", "differs with the weights", class_="quiet")
    kind = "agrees" if metric.agrees else "differs"
    return element("span", kind, class_=f"tag {kind}")


# Columns of the table of updates.
COLUMNS: tuple[tuple[str, Callable[[UpdateRecord], SideValues]], ...] = (
    ("Samples", lambda update: update.samples),
    ("Gradients combined", lambda update: update.gradients),
    ("Learning rate", lambda update: update.rates),
    ("Gradient norm", lambda update: update.gradient_norms),
)


def _updates(updates: tuple[UpdateRecord, ...], names: Names) -> Picture | None:
    if not updates:
        return None
    head = _head("Update", "Weight distance", *(name for name, _ in COLUMNS))
    rows = [
        element(
            "tr",
            element("th", str(update.number), scope="row"),
            element("td", figure(update.weight_distance) or "–", class_="number"),
            *(element("td", _pair(value(update)), class_="number") for _, value in COLUMNS),
        )
        for update in updates[:MOST_ROWS]
    ]
    title = f"Values of every update, {names[0]} and {names[1]}"
    return Picture(title, joined(_shown("updates", updates, head, rows, kind=None)), folded=True)


def _pair(values: SideValues) -> str:
    first, second = (figure(value) or "–" for value in _both(values))
    return first if first == second else f"{first} | {second}"


def _head(first: str, *others: str) -> Html:
    numbers = (element("th", text, scope="col", class_="number") for text in others)
    return element("tr", element("th", first, scope="col"), *numbers)


def _bar_row(name: str, bar: Html, value: str, kind: str | None = None, note: str | None = None) -> Html:
    tag = element("span", note, class_="tag differs") if note else None
    return element(
        "tr",
        element("th", name, " " if tag else None, tag, scope="row"),
        element("td", bar, class_="bar-cell"),
        element("td", value, class_="number"),
        class_=kind,
    )


def _shown(
    what: str, items: Sequence[object], head: Html, rows: list[Html], kind: str | None = "bars"
) -> Iterator[Html]:
    yield table(what.capitalize(), head, rows, kind)
    if len(items) > MOST_ROWS:
        yield element("p", f"{len(items) - MOST_ROWS} more {what} are not shown.", class_="quiet")
