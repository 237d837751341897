"""How a client shows who it is, and makes sure of whom it talks to."""

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc

from loopbench.addresses import is_loopback
from loopbench.pem import holds_certificate, is_pair
from loopbench_client.arguments import expect
from loopbench_client.errors import AccessError, TlsError

TOKEN_VARIABLE = "LOOPBENCH_TOKEN"  # noqa: S105  # nosec B105  # the name of a variable
# Field of Given → variable. The server's certificate has other variables, as both may be set on one machine.
VARIABLES = {
    "token_file": "LOOPBENCH_TOKEN_FILE",  # nosec B105  # the name of a variable
    "tls": "LOOPBENCH_TLS",
    "tls_ca": "LOOPBENCH_TLS_CA",
    "tls_client_certificate": "LOOPBENCH_TLS_CLIENT_CERTIFICATE",
    "tls_client_key": "LOOPBENCH_TLS_CLIENT_KEY",
}
TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})

# What a header can carry.
TOKEN = re.compile(r"[!-~]+")

CLEAR_HINT = "use TLS: --tls or LOOPBENCH_TLS=1, in Python tls=Tls()"


@dataclass(frozen=True)
class Tls:
    """PEM files for TLS with a server, read when a client is made.

    ``ca`` is what has to have signed the server's certificate; None takes the system's roots. ``certificate`` and
    ``key`` are the client's own, for a server that asks for them.
    """

    ca: Path | str | None = None
    certificate: Path | str | None = None
    key: Path | str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """For a channel.

        Raises:
            TlsError: files that cannot be read, that hold no certificate or no key, all of them named; or a
                certificate without its key.
        """
        if (self.certificate is None) != (self.key is None):
            raise TlsError("a client's certificate and its key go together, and one of them is missing")
        faults: list[str] = []
        authority = _read(self.ca or ssl.get_default_verify_paths().cafile, faults)
        key, certificate = _read(self.key, faults), _read(self.certificate, faults)
        faults += [
            f"{path} holds no certificate in PEM form"
            for path, content in ((self.ca, authority), (self.certificate, certificate))
            if path and content is not None and not holds_certificate(content)
        ]
        if not faults and self.certificate and self.key and not is_pair(self.certificate, self.key):
            faults.append(f"{self.key} is not the unencrypted PEM key of {self.certificate}")
        if faults:
            raise TlsError("; ".join(faults))
        # Without roots gRPC takes those that it brings itself.
        return grpc.ssl_channel_credentials(authority, key, certificate)


def _read(path: Path | str | None, faults: list[str]) -> bytes | None:
    """The bytes of the file at ``path``; None without a path, and where the file is among the ``faults``."""
    try:
        return Path(path).read_bytes() if path else None
    except OSError as error:
        faults.append(f"{path} cannot be read: {error.strerror}")
        return None


@dataclass(frozen=True)
class Access:
    """What a client needs for access: a token, TLS, both or neither.

    Raises:
        AccessError: the token has characters that no token has.
        TypeError: one of them has another type.
    """

    token: str | None = field(default=None, repr=False)
    tls: Tls | None = None

    def __post_init__(self) -> None:
        expect("token", self.token, str, type(None))
        expect("tls", self.tls, Tls, type(None))
        if self.token is not None and not TOKEN.fullmatch(self.token):
            raise AccessError("the token is empty, or has characters that no token has")

    @classmethod
    def given(cls, values: Mapping[str, str | None]) -> Self:
        """Made of what the fields of :data:`VARIABLES` and ``token`` hold; a file with a token wins over a token.

        Raises:
            AccessError: the file of the token cannot be read.
            TlsError: as for :class:`Tls`.
        """
        token, file = values.get("token"), values.get("token_file")
        names = ("tls_ca", "tls_client_certificate", "tls_client_key")
        files = [values.get(name) or None for name in names]
        wanted = (values.get("tls") or "").lower() in TRUE or any(files)
        return cls(_token_in(file) if file else token or None, Tls(*files) if wanted else None)

    @classmethod
    def from_environment(cls) -> Self:
        """Made of ``LOOPBENCH_TOKEN`` and :data:`VARIABLES`, as the command line takes them.

        Raises:
            AccessError: as for :meth:`given`.
        """
        return cls.given({name: os.environ.get(variable) for name, variable in VARIABLES.items()} | token_variable())

    def metadata(self, address: str) -> tuple[tuple[str, str], ...]:
        """What every call to ``address`` carries.

        Raises:
            TlsError: the token would travel in the clear to another machine.
        """
        if self.token is None:
            return ()
        if self.tls is None and not is_loopback(address):
            raise TlsError(f"the token would travel in the clear to {address}", hint=CLEAR_HINT)
        return (("authorization", f"Bearer {self.token}"),)


def token_variable() -> dict[str, str | None]:
    """The field ``token``: a flag would show it to everybody who lists processes."""
    return {"token": os.environ.get(TOKEN_VARIABLE)}


def _token_in(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "not text"
        raise AccessError(f"the file of the token, {file}, cannot be read: {cause}") from error
