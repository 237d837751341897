"""Suggestions for names that are not known."""

from collections.abc import Iterable
from difflib import get_close_matches

# Of 1: how similar two names have to be.
SIMILARITY = 0.7


def closest(name: str, known: Iterable[str]) -> str:
    """Return the known name that ``name`` probably stands for; empty where none is similar.

    Case, hyphens and underscores do not count. The first letters of all words stand for a name: ``lr`` for
    ``learning_rate``.
    """
    names = {_plain(other): other for other in known}
    initials = {"".join(word[:1] for word in plain.split("_")): plain for plain in names if "_" in plain}
    plain = _plain(name)
    found = initials.get(plain) or next(iter(get_close_matches(plain, names, 1, SIMILARITY)), "")
    return names.get(found, "")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return :func:`closest` as the end of a sentence; empty where there is none."""
    found = closest(name, known)
    return f"; did you mean {found}?" if found else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").strip("_")
