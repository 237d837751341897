"""The name and the labels that a caller gives a run."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from loopbench.spec.base import Input

MOST_LABELS = 32
# As in Kubernetes, except that a key may begin and end with any of its characters.
KEY = re.compile(r"[A-Za-z0-9._/-]{1,63}")
# Characters of one line.
TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")
# Python allows halves of a character of UTF-16; UTF-8 does not.
SURROGATE = re.compile("[\ud800-\udfff]")
LONGEST_TEXT = 100
# Key of the label that names the plan of a run.
PLAN_LABEL = "plan"


def _one_line(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"must have at most {LONGEST_TEXT} characters")
    if not TEXT.fullmatch(text):
        raise ValueError("must be one line without control characters")
    if SURROGATE.search(text):
        raise ValueError("has characters that UTF-8 cannot encode")
    return text


def _bounded(labels: Mapping[str, str]) -> Mapping[str, str]:
    if len(labels) > MOST_LABELS:
        raise ValueError(f"must have at most {MOST_LABELS} labels")
    for key, value in labels.items():
        if not KEY.fullmatch(key):
            raise ValueError(f"a key must have 1 to 63 of the characters A-Z, a-z, 0-9, '.', '_', '/' and '-': {key!r}")
        try:
            _one_line(value)
        except ValueError as error:
            raise ValueError(f"the value of {key!r} {error}") from None
    return labels


def shortened(text: str) -> str:
    """Return ``text`` in the form of a name or of a label's value: one line, cut to 100 characters."""
    # Words from a command line need not be valid Unicode.
    valid = text.encode(errors="backslashreplace").decode()
    line = "".join(character if TEXT.fullmatch(character) else " " for character in valid)
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"


Name = Annotated[str, AfterValidator(_one_line)]
Labels = Annotated[dict[str, str], AfterValidator(_bounded)]


class Naming(Input):
    """A name and labels by which people find a run again; neither affects the training, and neither is unique.

    A name has at most 100 characters; an empty name is none. There are at most 32 labels. A key has 1 to 63 letters,
    digits and ``._/-``, a value at most 100 characters.
    """

    name: Name = ""
    labels: Labels = Field(default_factory=dict)
