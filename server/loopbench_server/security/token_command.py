"""The command ``loopbench-token``: prints a new token once and stores only its hash."""

import argparse
import errno
import os
import sys
from pathlib import Path
from typing import NoReturn

from loopbench.streams import checked_output
from loopbench_server.security.tokens import NAME, ROLES, Token, new_token

OWNER_ONLY = 0o600


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("must be up to 64 letters, digits and . _ @ -")
    return text


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Parse ``words``, or the command line; exit if they are invalid."""
    parser = argparse.ArgumentParser(prog="loopbench-token", description="Print a new token on standard output, once.")
    parser.add_argument("name", metavar="NAME", type=_name, help="owner of the token; a name may have several tokens")
    parser.add_argument("--role", required=True, choices=tuple(ROLES), help="write includes read")
    parser.add_argument(
        "--file",
        type=Path,
        help="the server's --tokens-file, to which the hash is appended; by default the hash is printed",
    )
    return parser.parse_args(words)


def _append(file: Path, token: Token) -> None:
    """Append in one write, so that a server that reads meanwhile finds the whole line or none."""
    with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, OWNER_ONLY), "r+b", buffering=0) as lines:
        before = lines.read()
        gap = b"" if not before or before.endswith(b"\n") else b"\n"
        lines.write(gap + f"{token.line}\n".encode())


def _fault_of(file: Path) -> str:
    """Return why the file cannot be appended to, or an empty string. The file stays as it is."""
    if file.is_dir():
        return os.strerror(errno.EISDIR)
    if not file.parent.is_dir():
        return os.strerror(errno.ENOENT)
    return "" if os.access(file if file.exists() else file.parent, os.W_OK) else os.strerror(errno.EACCES)


def _refuse(file: Path, fault: str | None) -> NoReturn:
    sys.exit(f"loopbench-token: --file: {file} cannot be written: {fault}")


def main() -> None:
    """Make a token; only its hash goes into the file, after the secret has been printed."""
    with checked_output("loopbench-token"):
        given = arguments()
    secret, token = new_token(given.name, ROLES[given.role])
    if given.file is None:
        print(f"for the server's --tokens-file:\n{token.line}", file=sys.stderr)  # noqa: T201  the command's answer
    elif fault := _fault_of(given.file):
        _refuse(given.file, fault)
    with checked_output("loopbench-token", "; the token is not stored"):
        print(secret)  # noqa: T201  the command's answer
    if given.file is not None:
        try:
            _append(given.file, token)
        except OSError as error:
            _refuse(given.file, error.strerror)
