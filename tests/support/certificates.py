"""Certificates of the tests' own, made by the command openssl."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Pair:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path

    @property
    def flags(self) -> tuple[str, ...]:
        """By which a server uses them."""
        return ("--tls-certificate", str(self.certificate), "--tls-key", str(self.key))


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """A CA in ``folder``, which it needs for itself; skips the test where there is no openssl."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("certificates are made by openssl, which is not installed")
        folder.mkdir()
        self._folder = folder
        self._key = folder / "ca.key"
        self.certificate = folder / "ca.pem"
        _openssl(
            "req", "-x509", *NEW_KEY, "-keyout", self._key, "-subj", "/CN=ca", "-days", "2", "-out", self.certificate
        )

    def issue(self, name: str, days: int = 2) -> Pair:
        """A certificate with the common name ``name``, good for a server on 127.0.0.1 for so many days."""
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
        _openssl("req", *NEW_KEY, "-keyout", pair.key, "-subj", f"/CN={name}", "-out", request)
        signed_by = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", str(days))
        _openssl("x509", "-req", "-in", request, *signed_by, "-extfile", extensions, "-out", pair.certificate)
        return pair
