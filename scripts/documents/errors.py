"""``docs/errors.md`` and ``docs/troubleshooting.md``, from the table of errors."""

from dataclasses import dataclass
from inspect import getdoc

from loopbench_server.errors import LoopbenchServerError, subclasses
from loopbench_server.rpc.error_mapping import STATUSES
from scripts.documents.rendering import render


@dataclass(frozen=True)
class Entry:
    """The row of a reason."""

    reason: str
    status: str
    retryable: str
    meaning: str
    hint: str


def _entry(error: type[LoopbenchServerError]) -> Entry:
    meaning = (getdoc(error) or "").splitlines()[0]
    return Entry(error.reason, STATUSES[error].name, "yes" if error.retryable else "no", meaning, error.hint)


def entries() -> dict[str, Entry]:
    """All entries in the order of their reasons."""
    return {error.reason: _entry(error) for error in sorted(subclasses(), key=lambda error: error.reason)}


def errors() -> str:
    """The table."""
    return render("errors.md.jinja", entries=entries().values())


def troubleshooting() -> str:
    """The page of troubleshooting: text from the template, and errors from the table."""
    return render("troubleshooting.md.jinja", errors=entries())
