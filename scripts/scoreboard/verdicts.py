"""Verdicts on answers: a hit, a generic answer, a miss, a false cause or a crash."""

from enum import StrEnum

from scripts.scoreboard.cases import Answer, Label

# Causes that state a difference without an explanation.
GENERIC = ("UNEXPLAINED_", "UPDATE_RULE")


class Verdict(StrEnum):
    """The columns of the scoreboard."""

    HIT = "hit"
    GENERIC = "generic"
    MISS = "miss"
    FALSE = "false"
    CRASH = "crash"


MEANINGS: dict[Verdict, str] = {
    Verdict.HIT: "every cause of the case is reported, and no other; for a sound pair: no cause",
    Verdict.GENERIC: "a difference is reported, but not explained, or only some of several causes are reported",
    Verdict.MISS: "no cause is reported",
    Verdict.FALSE: "a cause is reported that the case does not have, with or without the correct one",
    Verdict.CRASH: "the diagnosis raises an error",
}


def verdict(label: Label, answer: Answer) -> Verdict:
    """The first that applies: crash, false, hit, generic, miss."""
    if answer.error:
        return Verdict.HIT if label.needed and _met(label, {answer.error}) else Verdict.CRASH
    unknown = others(label, answer)
    if any(not reason.startswith(GENERIC) for reason in unknown) or (unknown and not label.needed):
        return Verdict.FALSE
    if diagnosed(label, answer) and not unknown:
        return Verdict.HIT
    return Verdict.GENERIC if answer.reasons else Verdict.MISS


def diagnosed(label: Label, answer: Answer) -> bool:
    """Whether every cause that the case must report is reported."""
    return not answer.error and _met(label, set(answer.reasons))


def others(label: Label, answer: Answer) -> set[str]:
    """Reported causes that the label neither needs nor allows."""
    return set(answer.reasons) - {reason for entry in label.needed for reason in entry.split("|")} - {*label.allowed}


def _met(label: Label, reported: set[str]) -> bool:
    return all(reported.intersection(entry.split("|")) for entry in label.needed)
