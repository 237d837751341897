"""The sections of the page of a diagnosis: the answer, the causes, and everything else that the experiments found."""

from collections.abc import Iterable, Iterator, Sequence

from loopbench.page.bars import ratio_bars
from loopbench.page.html import Html, element, joined
from loopbench.page.pictures import Picture, pictures
from loopbench.page.tables import cell, table
from loopbench.spec import Cause, Diagnosis, Effect, Evidence
from loopbench.text import CONFIGURATION, Context, answer, count, figure, scope, specs_in_words

# What a tag says of a cause.
EFFECTS: dict[Effect, str] = {
    Effect.TRAINING: "trained weights",
    Effect.STATE: "predictions",
    Effect.REPORT: "reported metrics",
    Effect.ROUNDING: "rounding",
}


def sections(diagnosis: Diagnosis, context: Context) -> Iterator[Html]:
    """All sections that have something to show, the answer first."""
    sentence = answer(diagnosis, context)
    yield element("h1", sentence, class_=f"answer {'agrees' if sentence == context.agreed else 'differs'}")
    if specs := specs_in_words(diagnosis):
        yield element("dl", *_terms(specs.items()))
    if diagnosis.causes:
        causes = [_cause(number, cause) for number, cause in enumerate(diagnosis.causes, start=1)]
        total = count(diagnosis.causes)
        yield section("Causes", element("p", total, class_="quiet") if total else None, *causes)
    yield from _listed("Notes, which are no causes", context.notes)
    if context.configuration:
        code = element("pre", element("code", context.configuration), tabindex="0", class_="wide")
        yield section(CONFIGURATION, code)
    if drawn := pictures(diagnosis.replay, context.sides):
        yield element("div", *map(_picture, drawn), class_="pictures")
    if diagnosis.rounding:
        yield section("Differences within rounding, which are no causes", *map(_rounding, diagnosis.rounding))
    if diagnosis.verification is not None:
        pairs = diagnosis.verification.pairs
        words = [f"{p.first_label} and {p.second_label}: {p.verdict.lower()}. {p.explanation}" for p in pairs]
        yield from _listed("With the fix", words)
    yield from _listed("Not tested", diagnosis.not_tested)
    yield from _listed("Scope", scope(diagnosis))
    if diagnosis.controls:
        title = f"No difference in {len(diagnosis.controls)} measurements"
        yield element("details", element("summary", title), _evidence(diagnosis.controls, title))


def section(title: str, *content: Html | None) -> Html:
    """A section under a heading."""
    return element("section", element("h2", title), *content)


def _picture(picture: Picture) -> Html:
    if picture.folded:
        return element("details", element("summary", picture.title), picture.content)
    return section(picture.title, picture.content)


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
        element("dl", *_terms(terms)),
        _evidence(cause.evidence, f"Evidence of {cause.title}"),
        class_="cause",
    )


def _terms(terms: Iterable[tuple[str, str | None]]) -> Iterator[Html]:
    return (joined((element("dt", term), element("dd", text))) for term, text in terms if text)


def _rounding(cause: Cause) -> Html:
    title = element("summary", f"{cause.title} ", element("code", cause.reason))
    return element("details", title, _evidence(cause.evidence, f"Evidence of {cause.title}"))


def _listed(title: str, sentences: Sequence[str]) -> Iterator[Html]:
    """A section of ``sentences``, if there are any."""
    if sentences:
        yield section(title, element("ul", *(element("li", sentence) for sentence in sentences)))


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
    return table(caption, head, (_evidence_row(item, bars.get(item.name)) for item in items), "stacked")


def _evidence_row(item: Evidence, bar: Html | None) -> Html:
    return element(
        "tr",
        element("th", item.description, element("br"), element("code", item.name), bar, scope="row"),
        cell("Expected", figure(item.expected)),
        cell("Observed", figure(item.observed)),
    )
