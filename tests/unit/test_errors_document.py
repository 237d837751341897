from loopbench_server.errors import subclasses
from scripts.write_errors import DOCUMENT, document


def test_the_document_is_fresh() -> None:
    assert DOCUMENT.read_text() == document(), "run make errors"


def test_every_error_has_its_row_once() -> None:
    lines = document().splitlines()
    for error in subclasses():
        (row,) = (line for line in lines if line.startswith(f"| `{error.reason}` |"))
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert cells[1:3] == [error.status, "yes" if error.retryable else "no"]
        assert cells[4] == error.hint
