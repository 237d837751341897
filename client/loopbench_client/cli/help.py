"""Help texts in which nothing that must be typed is cut or broken, whatever the width of the terminal."""

import shutil
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from typer.core import TyperCommand

from loopbench.spelling import closest

INDENT = "  "
TEXT_INDENT = " " * 6
# In an even narrower terminal, lines wrap.
LEAST_WIDTH = 20
# Between the name of a command and its summary.
GAP = 2
ARGUMENTS, OPTIONS, COMMANDS = "Arguments", "Options", "Commands"


def _wrapped(text: str, width: int, first: str, rest: str) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _paragraphs(text: str, width: int) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        if paragraph.strip():
            yield _wrapped(paragraph, width, "", "")


def _sections(command: Any, ctx: Any, width: int) -> Iterator[str]:
    """The parameters by panel, the flags on one line and the text below it."""
    panels: dict[str, list[str]] = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            usual = ARGUMENTS if parameter.param_type_name == "argument" else OPTIONS
            names, text = record
            # What an argument is, its name and its text say.
            names = names.partition(" <")[0] if usual == ARGUMENTS else names
            entry = [
                _wrapped(names, width, INDENT, INDENT * 2),
                *([_wrapped(text, width, TEXT_INDENT, TEXT_INDENT)] if text else []),
            ]
            panels.setdefault(getattr(parameter, "rich_help_panel", None) or usual, []).extend(entry)
    for title, lines in panels.items():
        yield "\n".join([f"{title}:", *lines])


def _commands(group: Any, ctx: Any, width: int) -> Iterator[str]:
    names = group.list_commands(ctx) if hasattr(group, "list_commands") else []
    if not names:
        return
    column = max(map(len, names)) + GAP
    rows = (
        _wrapped(
            group.get_command(ctx, name).get_short_help_str(limit=1_000),
            width,
            f"{INDENT}{name:<{column}}",
            INDENT + " " * column,
        )
        for name in names
    )
    yield "\n".join([f"{COMMANDS}:", *rows])


def write_help(command: Any, ctx: Any, formatter: Any) -> None:
    """Writes usage, description, arguments, options, commands and epilog."""
    # Click formats for 50 columns at least, and leaves two of the terminal's free.
    width = min(formatter.width, max(shutil.get_terminal_size().columns - 2, LEAST_WIDTH))
    usage = _wrapped(" ".join(command.collect_usage_pieces(ctx)), width, f"Usage: {ctx.command_path} ", TEXT_INDENT)
    parts: Iterable[str] = (
        usage,
        *_paragraphs(command.help or "", width),
        *_sections(command, ctx, width),
        *_commands(command, ctx, width),
        *_paragraphs(command.epilog or "", width),
    )
    formatter.write("\n\n".join(parts) + "\n")


class Command(TyperCommand):
    """A command with such a help text."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes it."""
        write_help(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parses the arguments; the error about an unknown flag suggests the one that was probably meant."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # Typer does not export the class of this error.
            if hasattr(error, "possibilities"):
                flags = (flag for parameter in self.get_params(ctx) for flag in parameter.opts)
                found = closest(str(getattr(error, "option_name", "")), flags)
                error.possibilities = [found] if found else []
            raise
