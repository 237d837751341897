"""TLS of the server."""

import time
from dataclasses import dataclass
from pathlib import Path

import grpc

from loopbench.pem import holds_certificate, is_pair
from loopbench_server.security.certificate_expiry import read_expiry
from loopbench_server.security.reloading_files import BrokenFileError, ReloadingFiles, read_all


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: the server's chain and key and, for mutual TLS, the CA that signs the certificates of callers."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All configured files."""
        return (self.certificate, self.key, *([self.client_ca] if self.client_ca else []))

    def parse(self, contents: tuple[bytes, ...]) -> grpc.ServerCertificateConfiguration:
        """Return the configuration that ``contents``, in the order of :attr:`paths`, make.

        Raises:
            BrokenFileError: at least one file is broken; all of them are named.
        """
        certificate, key, *authority = contents
        certificates = zip(self.paths[:1] + self.paths[2:], (certificate, *authority), strict=True)
        faults = [
            f"{path} is not a certificate in PEM form"
            for path, content in certificates
            if not holds_certificate(content)
        ]
        if not faults and not is_pair(self.certificate, self.key):
            faults.append(f"{self.key} is not the unencrypted PEM key of {self.certificate}")
        if not faults and read_expiry(self.certificate, self.key) < time.time():
            faults.append(f"{self.certificate} has expired")
        # Python reads a key from a path only, so the pair may be newer than ``contents``.
        if not faults and read_all(self.paths) != contents:
            faults.append(f"{self.certificate} and {self.key} are being replaced")
        if faults:
            raise BrokenFileError(faults)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], *authority)


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Return credentials that read the files again for every handshake; existing connections stay as they are.

    Raises:
        BrokenFileError: a file cannot be used now.
    """
    watched = ReloadingFiles(files.paths, files.parse)
    handed_over = watched.current()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal handed_over
        before, handed_over = handed_over, watched.current()
        return None if handed_over is before else handed_over

    return grpc.dynamic_ssl_server_credentials(
        handed_over,
        fetch,  # type: ignore[arg-type]  # None means unchanged, which the stubs lack
        require_client_authentication=files.client_ca is not None,
    )
