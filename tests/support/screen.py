"""A terminal that keeps all its lines, for the control codes that Rich writes."""

import re

TOKENS = re.compile(r"\x1b\[(?P<arguments>[?\d;]*)(?P<code>[A-Za-z])|(?P<character>.)", re.DOTALL)


class Screen:
    """The lines that a terminal of ``width`` columns shows after ``text``; a longer line continues in the next row."""

    def __init__(self, width: int, text: str = "") -> None:
        self._width = width
        self._rows: list[list[str]] = [[]]
        self._row = self._column = 0
        for found in TOKENS.finditer(text):
            if found["code"]:
                self._control(found["code"], found["arguments"])
            else:
                self._write(found["character"])

    @property
    def lines(self) -> list[str]:
        """The rows from the top, without blanks at their ends."""
        return ["".join(row).rstrip() for row in self._rows]

    def _control(self, code: str, arguments: str) -> None:
        if code == "A":
            self._row = max(0, self._row - int(arguments or 1))
        elif code == "K":
            assert arguments == "2", "only whole rows are erased"
            self._rows[self._row] = []
        else:
            assert code in "mhl", f"unknown control code {code}"

    def _write(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._down()
        else:
            if self._column == self._width:
                self._down()
            row = self._rows[self._row]
            row += " " * (self._column + 1 - len(row))
            row[self._column] = character
            self._column += 1

    def _down(self) -> None:
        self._row, self._column = self._row + 1, 0
        if self._row == len(self._rows):
            self._rows.append([])
