"""Sentences of the server, which speak of the contract, in the words of the command line."""

import re
from collections.abc import Mapping
from enum import StrEnum

from loopbench import spec
from loopbench.text import kebab

# CPU, GPU and XLA are also words of the language.
CHOICES: tuple[type[StrEnum], ...] = (
    *(spec.Method, spec.Loss, spec.Dataset, spec.Device, spec.Execution),
    *(spec.AccuracyMetric, spec.LossAggregation, spec.RunState),
)
VALUES = sorted({str(member) for kind in CHOICES for member in kind} - {"CPU", "GPU", "XLA"}, key=len, reverse=True)

# Part of a sentence → the same for somebody who calls no method.
REPLACEMENTS: Mapping[re.Pattern[str], str] = {
    re.compile(r" \([A-Z]\w+: [a-z_.]+\)"): "",
    re.compile(r", or (?:ListRuns|GetRun|GetServerInfo)\b"): "",
    # Without --request-id, every command has a new one.
    re.compile(r" with a new request_id\b"): "",
    re.compile(r"\brequest_id\b"): "--request-id",
}
VALUE = re.compile(rf"(?<![\w/.-])(?:{'|'.join(VALUES)})(?![\w/-])")


def in_flags(sentence: str) -> str:
    """Return ``sentence`` with flags and their values: ``GRADIENT_TAPE`` → ``gradient-tape``."""
    for pattern, words in REPLACEMENTS.items():
        sentence = pattern.sub(words, sentence)
    return VALUE.sub(lambda found: kebab(found[0]), sentence)
