"""Texts on two sides, said of stock training and the loop."""

import re
from functools import partial

from loopbench.spec import Cause, Replay

STOCK, LOOP = "stock training", "the loop"

# The more specific ones first; a capital at the beginning is kept.
WORDS: tuple[tuple[str, str], ...] = (
    (r"first and second", f"{STOCK} and {LOOP}"),
    (r"(?<=: )first (.+), second(?= )", rf"{STOCK} \1, {LOOP}"),
    (r"second over first", f"{LOOP} over {STOCK}"),
    (r"(?:the )?first (?:side|loop)", STOCK),
    (r"(?:the )?second (?:side|loop)", LOOP),
    (r"(?<=times )the first(?!')", f"that of {STOCK}"),
    (r"the first(?= optimizer| inputs)", f"{STOCK}'s"),
    (r"the first(?='s| is | are | diverges| at )", STOCK),
    (r"the second(?= loss)", f"{LOOP}'s"),
    (r"the second(?='s| is | are | diverges| at |[.,;:]|$)", LOOP),
    (r"the other side", "the other"),
    (r"on both sides", f"in {LOOP} as in {STOCK}"),
    (r"both sides|the sides|two sides", f"{STOCK} and {LOOP}"),
    (r"(?:one|a) side", "one of them"),
    (r"(either|each) side", r"\1"),
)
PATTERNS = tuple((re.compile(rf"\b(?:{pattern})(?!\w)", re.IGNORECASE), words) for pattern, words in WORDS)


def said(text: str) -> str:
    """A text in which the first side is stock training, and the second one the loop."""
    for pattern, words in PATTERNS:
        text = pattern.sub(partial(_like, words), text)
    return text


def _like(words: str, found: re.Match[str]) -> str:
    made = found.expand(words)
    return made[:1].upper() + made[1:] if found.group()[:1].isupper() else made


def reworded(cause: Cause) -> Cause:
    """A cause of one program: no side is at fault."""
    measured = tuple(one.model_copy(update={"description": said(one.description)}) for one in cause.evidence)
    texts = {name: said(getattr(cause, name)) for name in ("title", "consequence", "fix")}
    return cause.model_copy(update={**texts, "evidence": measured, "side": None})


def reworded_replay(replay: Replay) -> Replay:
    """A replay of stock training and the loop."""
    first = replay.first_difference
    # Stock training reports every loss; that a loop does not is no difference.
    not_compared = tuple(text for text in map(said, replay.not_compared) if f"by {STOCK} only" not in text)
    texts = {
        "first_difference": None if first is None else first.model_copy(update={"text": said(first.text)}),
        "compared": tuple(map(said, replay.compared)),
        "not_compared": not_compared,
    }
    return replay.model_copy(update=texts)
