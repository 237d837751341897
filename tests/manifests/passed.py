"""What was checked of every build, as a table for people."""

from collections import defaultdict
from collections.abc import Iterable

from tests.manifests.builds import built

HEAD = "| Build | Objects | Schemas of Kubernetes | Checks |\n| --- | --- | --- | --- |\n"


class Passed:
    """Names of the checks, and versions of the schemas, that each build has passed."""

    def __init__(self) -> None:
        self._checks: dict[str, set[str]] = defaultdict(set)
        self._schemas: dict[str, list[str]] = defaultdict(list)

    def checks(self, build: str, names: Iterable[str]) -> None:
        """The build has passed the checks of these names."""
        self._checks[build].update(names)

    def schemas(self, build: str, versions: Iterable[str]) -> None:
        """All objects of the build have the schemas of these versions."""
        self._schemas[build].extend(versions)

    def table(self) -> str:
        """A row a build, in Markdown."""
        return HEAD + "".join(self._row(build) for build in sorted({*self._checks, *self._schemas}))

    def _row(self, build: str) -> str:
        cells = (build, len(built(build)), ", ".join(self._schemas[build]), len(self._checks[build]))
        return "".join(f"| {cell} " for cell in cells) + "|\n"
