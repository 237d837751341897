"""A diagnosis in words, for terminals, notebooks and error messages."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from loopbench.spec import Cause, Diagnosis, Effect, Evidence, Mlp, RunSpec, Variant

SIDES = ("the first side", "the second side")
NO_DIFFERENCE = "Both sides agree: no difference above rounding was found."
INCOMPLETE = "The comparison is incomplete: experiments failed, and the others found no difference above rounding."
# The title of the code of one program's stock training.
CONFIGURATION = "The program as stock training"


# Keras colours its errors, also where no terminal shows them.
ESCAPE_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|.)")


def one_line(text: str) -> str:
    """The words of an error in one line, without colours."""
    return " ".join(ESCAPE_SEQUENCE.sub("", text).split())


@dataclass(frozen=True)
class Context:
    """What is known of a diagnosis beside its causes.

    ``notes`` are observations that are no causes. ``configuration`` is Python for the stock training that a single
    program amounts to. ``agreed`` is the answer where there are no causes, and ``incomplete`` where in addition
    experiments failed. ``sides`` are the names of the two in pictures.
    """

    notes: tuple[str, ...] = ()
    configuration: str = ""
    agreed: str = NO_DIFFERENCE
    incomplete: str = INCOMPLETE
    sides: tuple[str, str] = SIDES


PLAIN = Context()

# Of a number of causes, in the order of the effects.
EFFECTS: dict[Effect, str] = {
    Effect.TRAINING: "changes the trained weights",
    Effect.STATE: "changes predictions but not the trained weights",
    Effect.REPORT: "changes only reported metrics",
    Effect.ROUNDING: "is within rounding",
}


def figure(value: float | None) -> str:
    """Any number, to six digits; nothing where there is none."""
    if value is None:
        return ""
    return f"{value:.6g}" if math.isfinite(value) else "NaN" if math.isnan(value) else f"{value:+}"


def counted(number: int, noun: str) -> str:
    """``1 run``, ``1,234 runs``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def kebab(value: object) -> str:
    """``GRADIENT_TAPE`` → ``gradient-tape``."""
    return str(value).lower().replace("_", "-")


def listed(value: object) -> str:
    """A value as flags and plan files have it: ``256,128`` for several."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def describe_options(variant: Variant, *, all_of_them: bool = False, without: Collection[str] = ()) -> list[str]:
    """The parameters of an optimizer or a network that are not the default, or all, such as ``widths=256,128``."""
    shown = variant.model_dump(exclude_defaults=not all_of_them, exclude={"kind", *without})
    return [f"{name}={listed(value)}" for name, value in shown.items()]


def describe_spec(spec: RunSpec) -> str:
    """The whole spec in a line: what is left out has its default."""
    optimizer = spec.optimizer
    parts = [kebab(spec.method), kebab(spec.loss), optimizer.kind, f"learning_rate={optimizer.learning_rate}"]
    parts += describe_options(optimizer, without=("learning_rate",))
    parts += [kebab(spec.dataset), counted(spec.epochs, "epoch"), f"batch {spec.batch_size}", f"seed {spec.seed}"]
    if spec.network != Mlp():
        parts += [spec.network.kind, *describe_options(spec.network)]
    shown = {"method", "loss", "optimizer", "network", "dataset", "epochs", "batch_size", "seed"}
    others = spec.model_dump(mode="json", exclude_defaults=True, exclude=shown)
    return " ".join(parts + [f"{kebab(name)}={kebab(value)}" for name, value in others.items()])


def specs_in_words(diagnosis: Diagnosis) -> dict[str, str]:
    """Which spec is the first side, and which is the second; empty for a user's loops."""
    sides = {"first": diagnosis.first, "second": diagnosis.second}
    return {name: describe_spec(spec) for name, spec in sides.items() if spec is not None}


def describe(diagnosis: Diagnosis, *, verbose: bool = False, context: Context = PLAIN) -> str:
    """The answer in one sentence, then all causes with their evidence.

    Args:
        diagnosis: of two specifications, or of two loops.
        verbose: also list the measurements that agree, and the evidence of differences within rounding.
        context: what is known beside the causes.
    """
    parts = (answer(diagnosis, context), details(diagnosis, verbose=verbose, context=context))
    return "\n\n".join(filter(None, parts))


def answer(diagnosis: Diagnosis, context: Context = PLAIN) -> str:
    """One sentence: the strongest cause and its fix, or that there is none, or that experiments failed."""
    if not diagnosis.causes:
        return context.incomplete if diagnosis.not_tested else context.agreed
    cause = diagnosis.causes[0]
    title = cause.title.rstrip(".")
    first = re.split(r"(?<=\.)\s", cause.fix, maxsplit=1)[0].rstrip(".")
    # One colon per sentence.
    joint = "; " if ": " in title + first else ": "
    return f"{title}{joint}{lowered(first)}." if first else f"{title}."


def lowered(text: str) -> str:
    """The beginning of a sentence inside of another; an abbreviation keeps its capitals."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def count(causes: tuple[Cause, ...]) -> str:
    """How many causes there are, by effect; nothing for one or none."""
    if len(causes) <= 1:
        return ""
    counts = Counter(cause.effect for cause in causes)
    parts = [
        f"{counts[effect]} {_agreeing(text, counts[effect])}" for effect, text in EFFECTS.items() if counts[effect]
    ]
    return f"This is the strongest of {len(causes)} causes: {', '.join(parts)}."


def _agreeing(text: str, count: int) -> str:
    return text if count == 1 else text.replace("changes ", "change ", 1).replace("is ", "are ", 1)


def details(diagnosis: Diagnosis, *, verbose: bool = False, context: Context = PLAIN) -> str:
    """Everything but the answer; see :func:`describe`."""
    return "\n\n".join("\n".join(lines) for lines in _sections(diagnosis, context, verbose=verbose) if lines)


def _sections(diagnosis: Diagnosis, context: Context, *, verbose: bool) -> Iterator[list[str]]:
    yield [*filter(None, (count(diagnosis.causes),))]
    for number, cause in enumerate(diagnosis.causes, start=1):
        yield [*_cause(number, cause)]
    yield _titled("Notes, which are no causes:", (f"  {sentence}" for sentence in context.notes))
    yield _titled(f"{CONFIGURATION}:", (f"  {line}" for line in context.configuration.splitlines()))
    yield _titled("Differences within rounding, which are no causes:", _rounding(diagnosis.rounding, verbose=verbose))
    yield _titled("Not tested:", (f"  {sentence}" for sentence in diagnosis.not_tested))
    if not diagnosis.causes or verbose:
        yield _titled("Scope:", (f"  {sentence}" for sentence in scope(diagnosis)))
    if verbose:
        yield _titled("No difference in:", _evidence(diagnosis.controls))
    if diagnosis.verification is not None:
        pairs = diagnosis.verification.pairs
        yield _titled(
            "With the fix:",
            (f"  {p.first_label} and {p.second_label}: {p.verdict.lower()}. {p.explanation}" for p in pairs),
        )


def scope(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Sentences on what was compared, then on what was not."""
    return (*diagnosis.replay.compared, *diagnosis.replay.not_compared)


def _titled(title: str, lines: Iterable[str]) -> list[str]:
    found = [*lines]
    return [title, *found] if found else []


def _cause(number: int, cause: Cause) -> Iterator[str]:
    yield f"{number}. {cause.title}  [{cause.reason}]"
    yield f"   effect ({cause.effect.lower()}): {cause.consequence}"
    yield f"   fix: {cause.fix}"
    yield from _evidence(cause.evidence, indent=5)


def _rounding(causes: Iterable[Cause], *, verbose: bool) -> Iterator[str]:
    for cause in causes:
        yield f"  {cause.title}  [{cause.reason}]"
        if verbose:
            yield from _evidence(cause.evidence, indent=4)


def _evidence(items: Iterable[Evidence], indent: int = 2) -> Iterator[str]:
    for item in items:
        figures = [f"{name} {figure(value)}" for name, value in _figures(item)]
        yield " " * indent + item.description + (f"  ({', '.join(figures)})" if figures else "")


def _figures(item: Evidence) -> list[tuple[str, float]]:
    known = (("expected", item.expected), ("observed", item.observed))
    return [(name, value) for name, value in known if value is not None]
