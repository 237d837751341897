"""Certificates for tests, from private CAs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Pair:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path

    @property
    def flags(self) -> tuple[str, ...]:
        """Server flags that use the pair."""
        return ("--tls-certificate", str(self.certificate), "--tls-key", str(self.key))


class Authority:
    """A CA that writes its certificates to ``folder``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._ca = trustme.CA()
        self.certificate = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.certificate)

    def issue(self, name: str, not_after: datetime | None = None) -> Pair:
        """Issue a certificate with the common name ``name`` for a server on 127.0.0.1; it lasts two days by default."""
        not_after = not_after or datetime.now(UTC) + timedelta(days=2)
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        issued = self._ca.issue_cert("localhost", "127.0.0.1", common_name=name, not_after=not_after)
        issued.private_key_pem.write_to_path(pair.key)
        issued.cert_chain_pems[0].write_to_path(pair.certificate)
        return pair
