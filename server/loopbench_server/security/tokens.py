"""Bearer tokens: a file with a line a token, ``NAME ROLE SHA256HEX``, and comments that begin with #.

A token is 256 random bits, and what is kept of it is one plain SHA-256. A slow hash with a salt is for what people
choose: NIST SP 800-63B (section 5.1.2.2) asks for it below 112 bits of entropy, and from there on for any approved
one-way function.
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
    """What a caller may do; each role includes those below."""

    OPEN = 0  # whatever needs no token
    READ = 1
    WRITE = 2


ROLES = {role.name.lower(): role for role in (Role.READ, Role.WRITE)}


@dataclass(frozen=True)
class Token:
    """What is known of a token; the name is the caller's, and several tokens may bear it."""

    name: str
    role: Role
    digest: str

    @property
    def line(self) -> str:
        """As it stands in the file."""
        return f"{self.name} {self.role.name.lower()} {self.digest}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def new_token(name: str, role: Role) -> tuple[str, Token]:
    """A secret of letters, digits, - and _, and what the server has to know of it."""
    secret = secrets.token_urlsafe(TOKEN_BYTES)
    return secret, Token(name, role, _digest(secret))


def find_token(secret: str, tokens: Sequence[Token]) -> Token | None:
    """The token that ``secret`` is. All are compared, each in constant time: how long it takes says nothing."""
    digest = _digest(secret)
    matches = [token for token in tokens if hmac.compare_digest(token.digest, digest)]
    return matches[0] if matches else None


def parse(contents: tuple[bytes, ...]) -> tuple[Token, ...]:
    """The tokens of a file; of none, nobody may call.

    Raises:
        BrokenFileError: naming every bad line, and quoting none, since somebody may have put a secret there.
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
    """What is wrong with a line; empty if nothing is."""
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
