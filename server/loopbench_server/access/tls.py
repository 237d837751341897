"""The server's side of TLS."""

import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import grpc

from loopbench_server.access.expiry import expiry
from loopbench_server.access.files import BrokenFileError, Watched, read_all


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: the server's chain and key and, for mutual TLS, the CA that signs the certificates of callers."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All that are given."""
        return (self.certificate, self.key, *([self.client_ca] if self.client_ca else []))

    def parse(self, contents: tuple[bytes, ...]) -> grpc.ServerCertificateConfiguration:
        """The configuration that ``contents``, in the order of :attr:`paths`, make.

        They are tried here, because gRPC takes anything and then fails every handshake.

        Raises:
            BrokenFileError: naming every file that is broken.
        """
        certificate, key, *authority = contents
        certificates = zip(self.paths[:1] + self.paths[2:], (certificate, *authority), strict=True)
        faults = [f"{path} is no certificate in PEM form" for path, content in certificates if not _is_pem(content)]
        if not faults and not _is_pair(self.certificate, self.key):
            faults.append(f"{self.key} is not the key of {self.certificate}, or not an unencrypted one in PEM form")
        if not faults and expiry(self.certificate, self.key) < time.time():
            faults.append(f"{self.certificate} has expired")
        # Python takes a key from a path only: the pair may be a later one than ``contents``.
        if not faults and read_all(self.paths) != contents:
            faults.append(f"{self.certificate} and {self.key} are being replaced")
        if faults:
            raise BrokenFileError(faults)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], *authority)


def _is_pem(content: bytes) -> bool:
    try:
        ssl.create_default_context(cadata=content.decode("ascii"))
    except (ValueError, ssl.SSLError):
        return False
    return bool(content)


def _is_pair(certificate: Path, key: Path) -> bool:
    try:
        # Without a password OpenSSL would ask for that of an encrypted key, on the terminal.
        ssl.create_default_context().load_cert_chain(certificate, key, password="")  # nosec B106  # none
    except (ssl.SSLError, OSError):
        return False
    return True


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials for which the files are read anew with every handshake; connections that there are stay as they are.

    Raises:
        BrokenFileError: files that cannot be used now.
    """
    watched = Watched(files.paths, files.parse)
    handed_over = watched.current()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal handed_over
        before, handed_over = handed_over, watched.current()
        return None if handed_over is before else handed_over

    return grpc.dynamic_ssl_server_credentials(
        handed_over,
        fetch,  # type: ignore[arg-type]  # None is for what has not changed; the stubs do not know
        require_client_authentication=files.client_ca is not None,
    )
