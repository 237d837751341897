"""A diagnosis in words, for terminals and notebooks."""

from collections.abc import Iterable, Iterator

from loopbench.spec import Cause, Diagnosis, Evidence


def describe(diagnosis: Diagnosis) -> str:
    """All causes with their evidence, the controls and, where the fix was verified, the verdicts."""
    return "\n".join(_lines(diagnosis))


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    if not diagnosis.causes:
        yield "No cause of a difference was found."
    for number, cause in enumerate(diagnosis.causes, start=1):
        yield from _cause(number, cause)
    yield ""
    yield "No difference in:"
    yield from _evidence(diagnosis.controls)
    if diagnosis.verification is not None:
        yield ""
        yield "With the fix:"
        for pair in diagnosis.verification.pairs:
            yield f"  {pair.first_label} and {pair.second_label}: {pair.verdict.lower()}. {pair.explanation}"


def _cause(number: int, cause: Cause) -> Iterator[str]:
    yield f"{number}. {cause.title}  [{cause.reason}]"
    yield f"   effect: {cause.consequence}"
    yield f"   fix: {cause.fix}"
    yield from _evidence(cause.evidence, indent=5)


def _evidence(items: Iterable[Evidence], indent: int = 2) -> Iterator[str]:
    for item in items:
        figures = [f"{name} {value:.6g}" for name, value in _figures(item)]
        yield " " * indent + item.description + (f"  ({', '.join(figures)})" if figures else "")


def _figures(item: Evidence) -> list[tuple[str, float]]:
    known = (("expected", item.expected), ("observed", item.observed))
    return [(name, value) for name, value in known if value is not None]
