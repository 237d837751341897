"""The diagnosis of two training loops of a user."""

from pathlib import Path

from pydantic import ConfigDict

from loopbench import page, spec, text
from loopbench_diagnose.pictures import pictures
from loopbench_diagnose.replay import Replay


class Diagnosis(spec.Diagnosis):
    """Causes, and the replay of both sides that they were found in. Notebooks display it as a page.

    ``replay`` is plain data for reports: weight distances, gradient ratios, layers in order and metrics side by side.
    Of one program alone, ``configuration`` is Python for the stock training that it amounts to, and ``notes`` are
    observations that are no causes.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    replay: Replay = Replay()
    configuration: str = ""
    notes: tuple[str, ...] = ()

    @property
    def scope(self) -> tuple[str, ...]:
        """Sentences on what was compared, then on what was not."""
        return (*self.replay.compared, *self.replay.not_compared)

    def describe(self, *, verbose: bool = False) -> str:
        """The answer in one sentence, then all causes with their evidence; ``verbose`` adds what agrees."""
        return text.describe(self, verbose=verbose, scope=self.scope)

    def save(self, path: str | Path) -> Path:
        """Writes the diagnosis with pictures to ``path``, one HTML file that loads nothing else; returns the path.

        Raises:
            OSError: the file cannot be written.
        """
        return page.save(path, page.document(self, pictures=pictures(self.replay), scope=self.scope))

    def _repr_html_(self) -> str:
        return page.fragment(self, pictures=pictures(self.replay), scope=self.scope)

    def __str__(self) -> str:
        return self.describe()


def describe(diagnosis: spec.Diagnosis, *, verbose: bool = False) -> str:
    """The answer in one sentence, then all causes with their evidence; ``verbose`` adds what agrees."""
    return text.describe(diagnosis, verbose=verbose, scope=getattr(diagnosis, "scope", ()))
