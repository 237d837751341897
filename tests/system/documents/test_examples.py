"""The examples of the documents run as they are written: the blocks of a page, in order, in one shell."""

from pathlib import Path

import pytest

from tests.support.examples import runnable
from tests.support.markdown import NEEDS, blocks, documents

from .conftest import SECONDS, RunExamples

USERS = [path for path in documents() if path == Path("README.md") or path.parent == Path("docs")]
# Pages with a test of their examples in another module.
ELSEWHERE = {Path("docs/clients.md")}
PRINTED = {Path("README.md"): ("LOSS_REDUCTION",)}


@pytest.mark.slow
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("document", [path for path in USERS if runnable(path) and path not in ELSEWHERE], ids=str)
def test_the_examples_of_a_page_run(document: Path, run_examples: RunExamples) -> None:
    printed = run_examples(runnable(document))
    assert [words for words in PRINTED.get(document, ()) if words not in printed] == []


def test_blocks_of_shell_run_unless_they_name_what_they_need() -> None:
    assert {path.name for path in USERS if runnable(path)} >= {"README.md", "comparing.md", "operating.md", "sweeps.md"}
    needs = {block.needs for path in USERS for block in blocks(path)} - {""}
    assert needs == NEEDS
