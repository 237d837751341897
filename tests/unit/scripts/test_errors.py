import re

from loopbench_server.errors import subclasses
from loopbench_server.rpc.error_mapping import STATUSES
from scripts.documents.errors import errors, troubleshooting

SECTION = re.compile(r"^### `(\w+)`\n\n(.+)\n\n(.+)", re.MULTILINE)


def test_every_error_has_its_row_once() -> None:
    lines = errors().splitlines()
    for error in subclasses():
        (row,) = (line for line in lines if line.startswith(f"| [`{error.reason}`]"))
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert cells[1:3] == [STATUSES[error].name, "yes" if error.retryable else "no"]
        assert cells[4] == error.hint


def test_every_reason_has_a_section_and_no_section_is_without_a_reason() -> None:
    assert sorted(name for name, *_ in SECTION.findall(troubleshooting())) == sorted(
        error.reason for error in subclasses()
    )


def test_a_section_says_what_the_table_says_and_more() -> None:
    for reason, text, more in SECTION.findall(troubleshooting()):
        (error,) = (error for error in subclasses() if error.reason == reason)
        assert error.hint in text
        assert STATUSES[error].name in text
        assert ("not retryable" in text) is not error.retryable
        assert len(more) > 50
        assert not more.startswith("#")
