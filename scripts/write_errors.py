"""Writes ``docs/errors.md`` from the table of errors."""

from inspect import getdoc
from pathlib import Path

from loopbench_server.errors import LoopbenchServerError, subclasses

DOCUMENT = Path(__file__).parents[1] / "docs" / "errors.md"
HEAD = """\
# Errors

Written by `make errors` from `server/loopbench_server/errors.py`.

A call that fails ends with a gRPC status. Its details hold a `google.rpc.ErrorInfo` with the reason, which is stable,
the domain `loopbench`, and as metadata the `hint`, whether it is `retryable`, and what the error is about, such as the
`run_id`. Bad input has a `google.rpc.BadRequest` as well, which names every bad field, and what is retryable a
`google.rpc.RetryInfo`. A run that FAILED or was CANCELLED keeps reason and hint in `Run.error`.

In Python they are `reason` and `hint` of every `LoopbenchError`; the command line prints the hint below the error.
Retryable is what the same request, with the same `request_id`, can succeed with later.

| Reason | Status | Retryable | What it means | What to do |
| --- | --- | --- | --- | --- |
"""


def _row(error: type[LoopbenchServerError]) -> str:
    meaning = (getdoc(error) or "").splitlines()[0]
    cells = (f"`{error.reason}`", error.status, "yes" if error.retryable else "no", meaning, error.hint)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def document() -> str:
    """The whole file, in the order of the reasons."""
    return HEAD + "".join(map(_row, sorted(subclasses(), key=lambda error: error.reason)))


if __name__ == "__main__":
    DOCUMENT.write_text(document())
