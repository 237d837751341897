"""Settings of access in the form that gRPC's server takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import structlog

from loopbench_server.config import Settings
from loopbench_server.errors import StartError
from loopbench_server.security.bind_policy import find_missing_protection
from loopbench_server.security.certificate_expiry import read_expiry
from loopbench_server.security.reloading_files import BrokenFileError, ReloadingFiles
from loopbench_server.security.tls import TlsFiles, server_credentials
from loopbench_server.security.tokens import Token, parse

log = structlog.get_logger()


@dataclass(frozen=True)
class Access:
    """Credentials if there is TLS, tokens if callers need them, and whether reflection is served.

    ``expiry`` returns when the certificate expires, in seconds since 1970.
    """

    credentials: grpc.ServerCredentials | None
    expiry: Callable[[], float] | None
    tokens: ReloadingFiles[tuple[Token, ...]] | None
    reflection: bool


def load_access(settings: Settings) -> Access:
    """Read the files of certificates and tokens that ``settings`` name.

    Raises:
        StartError: the settings leave the server open, or files cannot be used; one line for each fault.
    """
    faults = _check_exposure(settings)
    credentials, expires, tokens = None, None, None
    if settings.tls_certificate and settings.tls_key:
        with _collecting(faults, "TLS"):
            files = TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
            credentials = server_credentials(files)
            expires = ReloadingFiles(
                (files.certificate, files.key), lambda _: read_expiry(files.certificate, files.key)
            ).current
    if settings.tokens_file:
        with _collecting(faults, "--tokens-file"):
            tokens = ReloadingFiles((settings.tokens_file,), parse)
    if faults:
        raise StartError("\n".join(faults))
    log.info("access", tls=bool(credentials), mutual_tls=bool(settings.tls_client_ca), tokens=bool(tokens))
    return Access(credentials, expires, tokens, settings.reflection)


def _check_exposure(settings: Settings) -> list[str]:
    lacking = find_missing_protection(
        settings.address,
        tls=bool(settings.tls_certificate),
        tokens=bool(settings.tokens_file),
        insecure=settings.insecure,
    )
    if not lacking:
        return []
    needs = f"other machines can reach it, so it needs {' and '.join(lacking)}"
    return [f"--address {settings.address}: {needs}; or allow it with --insecure"]


@contextmanager
def _collecting(faults: list[str], where: str) -> Iterator[None]:
    try:
        yield
    except BrokenFileError as error:
        faults += [f"{where}: {fault}" for fault in error.faults]
