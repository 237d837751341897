"""The diagnosis of a program, or of two training loops, of a user."""

from pathlib import Path

from loopbench import page, spec, text
from loopbench_diagnose.program.wording import LOOP, STOCK

NO_FAULT = "No fault was found in the program."


class Diagnosis(spec.Diagnosis):
    """Causes, and the replay of both sides that they were found in. Notebooks display it as a page.

    ``alone`` says that one program was examined by itself: ``configuration`` is Python for the stock training that it
    amounts to, and ``notes`` are observations that are no causes.
    """

    alone: bool = False
    configuration: str = ""
    notes: tuple[str, ...] = ()

    @property
    def context(self) -> text.Context:
        """What reports show beside the causes."""
        if not self.alone:
            return text.PLAIN
        return text.Context(self.notes, self.configuration, NO_FAULT, NO_FAULT, (STOCK, LOOP))

    def describe(self, *, verbose: bool = False) -> str:
        """The answer in one sentence, then all causes with their evidence; ``verbose`` adds what agrees."""
        return text.describe(self, verbose=verbose, context=self.context)

    def save(self, path: str | Path) -> Path:
        """Writes the diagnosis with pictures to ``path``, one HTML file that loads nothing else; returns the path.

        Raises:
            OSError: the file cannot be written.
        """
        return page.save(path, page.document(self, self.context))

    def _repr_html_(self) -> str:
        return page.fragment(self, self.context)

    def __str__(self) -> str:
        return self.describe()


def describe(diagnosis: spec.Diagnosis, *, verbose: bool = False) -> str:
    """The answer in one sentence, then all causes with their evidence; ``verbose`` adds what agrees."""
    return text.describe(diagnosis, verbose=verbose, context=getattr(diagnosis, "context", text.PLAIN))
