"""The sections of the page of a diagnosis: the answer, the causes, and everything else that the experiments found."""

from collections.abc import Iterable, Iterator

from loopbench.page.bars import ratio_bars
from loopbench.page.html import Html, element, joined
from loopbench.spec import Cause, Diagnosis, Effect, Evidence
from loopbench.text import CONFIGURATION, Context, answer, count, figure

# What a tag says of a cause.
EFFECTS: dict[Effect, str] = {
    Effect.TRAINING: "trained weights",
    Effect.STATE: "predictions",
    Effect.REPORT: "reported metrics",
    Effect.ROUNDING: "rounding",
}


def sections(diagnosis: Diagnosis, pictures: tuple[Html, ...], context: Context) -> Iterator[Html]:
    """All sections that have something to show, the answer first."""
    kind = "differs" if diagnosis.causes else "agrees"
    yield element("h1", answer(diagnosis, context), class_=f"answer {kind}")
    if diagnosis.causes:
        causes = [_cause(number, cause) for number, cause in enumerate(diagnosis.causes, start=1)]
        total = count(diagnosis.causes)
        yield section("Causes", element("p", total, class_="quiet") if total else None, *causes)
    if context.notes:
        yield section("Notes, which are no causes", _list(context.notes))
    if context.configuration:
        code = element("pre", element("code", context.configuration), tabindex="0", class_="wide")
        yield section(CONFIGURATION, code)
    if pictures:
        yield element("div", *pictures, class_="pictures")
    if diagnosis.rounding:
        yield section("Differences within rounding, which are no causes", *map(_rounding, diagnosis.rounding))
    if diagnosis.verification is not None:
        pairs = diagnosis.verification.pairs
        words = (f"{p.first_label} and {p.second_label}: {p.verdict.lower()}. {p.explanation}" for p in pairs)
        yield section("With the fix", _list(words))
    if diagnosis.not_tested:
        yield section("Not tested", _list(diagnosis.not_tested))
    if context.scope:
        yield section("Scope", _list(context.scope))
    if diagnosis.controls:
        title = f"No difference in {len(diagnosis.controls)} measurements"
        yield element("details", element("summary", title), _evidence(diagnosis.controls, title))


def section(title: str, *content: Html | None) -> Html:
    """A section under a heading."""
    return element("section", element("h2", title), *content)


def table(caption: str, head: Html, rows: Iterable[Html], kind: str | None = None) -> Html:
    """A table that scrolls by itself where the page is too narrow; ``caption`` is for screen readers."""
    whole = element("table", element("thead", head), element("tbody", *rows), class_=kind)
    return element("div", whole, class_="wide", tabindex="0", role="group", aria_label=caption)


def _cause(number: int, cause: Cause) -> Html:
    terms = (
        ("Effect", cause.consequence),
        ("Fix", cause.fix),
        ("At fault", f"the {cause.side.lower()} side" if cause.side else None),
    )
    return element(
        "article",
        element("h3", f"{number}. {cause.title}"),
        element("p", element("code", cause.reason), " ", element("span", EFFECTS[cause.effect], class_="tag differs")),
        element("dl", *(joined((element("dt", term), element("dd", text))) for term, text in terms if text)),
        _evidence(cause.evidence, f"Evidence of {cause.title}"),
        class_="cause",
    )


def _rounding(cause: Cause) -> Html:
    title = element("summary", f"{cause.title} ", element("code", cause.reason))
    return element("details", title, _evidence(cause.evidence, f"Evidence of {cause.title}"))


def _list(sentences: Iterable[str]) -> Html:
    return element("ul", *(element("li", sentence) for sentence in sentences))


def _evidence(items: tuple[Evidence, ...], caption: str) -> Html | None:
    if not items:
        return None
    head = element(
        "tr",
        element("th", "Measurement", scope="col"),
        element("th", "Expected", scope="col", class_="number"),
        element("th", "Observed", scope="col", class_="number"),
    )
    bars = ratio_bars(items)
    return table(caption, head, (_evidence_row(item, bars.get(item.name)) for item in items))


def _evidence_row(item: Evidence, bar: Html | None) -> Html:
    return element(
        "tr",
        element("th", item.description, element("br"), element("code", item.name), bar, scope="row"),
        element("td", figure(item.expected), class_="number"),
        element("td", figure(item.observed), class_="number"),
    )
