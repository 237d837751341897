"""Bearer tokens: a file with one token per line, ``NAME ROLE SHA256HEX``, and comments that begin with #.

A token has 256 random bits, and the file has its plain SHA-256. A slow, salted hash is for secrets that people choose:
NIST SP 800-63B (section 5.1.2.2) requires it below 112 bits of entropy, and above that any approved one-way function.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from loopbench_server.security.reloading_files import BrokenFileError

TOKEN_BYTES = 32
NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
DIGEST = re.compile(r"[0-9a-f]{64}")


class Role(IntEnum):
    """Permission of a caller; each role includes the lower ones."""

    OPEN = 0  # for methods that need no token
    READ = 1
    WRITE = 2


ROLES = {role.name.lower(): role for role in (Role.READ, Role.WRITE)}


@dataclass(frozen=True)
class Token:
    """A token as the server knows it; the name is the caller's, and several tokens may have the same name."""

    name: str
    role: Role
    digest: str

    @property
    def line(self) -> str:
        """Its line in the file."""
        return f"{self.name} {self.role.name.lower()} {self.digest}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def new_token(name: str, role: Role) -> tuple[str, Token]:
    """Return a secret of letters, digits, - and _, and the token that the server has to know."""
    secret = secrets.token_urlsafe(TOKEN_BYTES)
    return secret, Token(name, role, _digest(secret))


def find_token(secret: str, tokens: Sequence[Token]) -> Token | None:
    """Return the token of ``secret``. Each comparison takes constant time, so that the duration reveals nothing."""
    digest = _digest(secret)
    matches = [token for token in tokens if hmac.compare_digest(token.digest, digest)]
    return matches[0] if matches else None


def parse(contents: tuple[bytes, ...]) -> tuple[Token, ...]:
    """Return the tokens of a file; an empty file admits no caller.

    Raises:
        BrokenFileError: names every bad line and quotes none, since a line may contain a secret.
    """
    (content,) = contents
    faults: list[str] = []
    tokens: dict[str, Token] = {}
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        fault = _find_fault(words) or ("repeats a token" if words[2] in tokens else "")
        if fault:
            faults.append(f"line {number}: {fault}")
        else:
            tokens[words[2]] = Token(words[0], ROLES[words[1]], words[2])
    if faults:
        raise BrokenFileError(faults)
    return tuple(tokens.values())


def _find_fault(words: list[str]) -> str:
    """Return the fault of a line, or an empty string."""
    match words:
        case [name, role, digest]:
            problems = {
                "the name may have up to 64 letters, digits and . _ @ -": not NAME.fullmatch(name),
                f"the role must be one of {', '.join(ROLES)}": role not in ROLES,
                "the last word must be a SHA-256 in 64 hexadecimal digits, in lower case": not DIGEST.fullmatch(digest),
            }
            return "; ".join(problem for problem, found in problems.items() if found)
        case _:
            return "must be NAME ROLE SHA256HEX"
