from pathlib import Path

import pytest

from tests.support.markdown import anchors, documents, links
from tests.support.paths import ROOT


@pytest.mark.parametrize("document", documents(), ids=str)
def test_every_link_leads_somewhere(document: Path) -> None:
    dead = []
    for link in links(document):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (ROOT / document.parent / path).resolve() if path else ROOT / document
        inside = target.is_relative_to(ROOT) and target.exists()
        if not inside or (anchor and anchor not in anchors(target.relative_to(ROOT))):
            dead.append(link)
    assert dead == []


def test_links_of_the_project_are_checked() -> None:
    assert {Path("README.md"), Path("docs/api.md"), Path("docs/troubleshooting.md")} <= set(documents())
    assert "troubleshooting.md#queue_full" in links(Path("docs/errors.md"))
    assert "the-server-does-not-start" in anchors(Path("docs/troubleshooting.md"))


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [Path("README.md")]
    while waiting:
        document = waiting.pop()
        if document in reached:
            continue
        reached.add(document)
        targets = (link.partition("#")[0] for link in links(document) if "://" not in link)
        paths = ((ROOT / document.parent / target).resolve() for target in targets if target.endswith(".md"))
        waiting += [path.relative_to(ROOT) for path in paths if path.is_relative_to(ROOT) and path.exists()]
    assert {document for document in documents() if document.parent == Path("docs")} <= reached
