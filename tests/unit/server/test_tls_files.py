"""Certificates and keys that are replaced while they are read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loopbench import pem
from loopbench_server.security import tls
from loopbench_server.security.reloading_files import BrokenFileError, read_all
from loopbench_server.security.tls import TlsFiles
from tests.support.certificates import Authority, Pair


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def tls_files(pair: Pair) -> TlsFiles:
    return TlsFiles(pair.certificate, pair.key)


def test_a_pair_that_is_replaced_between_two_reads_is_not_used(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, other = authority.issue("used"), authority.issue("other")
    # The new certificate is there, and its key is not.
    used.certificate.write_bytes(other.certificate.read_bytes())
    files = tls_files(used)
    contents = read_all(files.paths)
    is_pair = pem.is_pair

    def late(certificate: Path, key: Path) -> bool:
        used.key.write_bytes(other.key.read_bytes())
        return is_pair(certificate, key)

    monkeypatch.setattr(tls, "is_pair", late)
    with pytest.raises(BrokenFileError, match="being replaced"):
        files.parse(contents)
    assert files.parse(read_all(files.paths))


def test_a_certificate_that_has_expired_is_refused(authority: Authority) -> None:
    expired = tls_files(authority.issue("expired", datetime.now(UTC) - timedelta(minutes=1)))
    with pytest.raises(BrokenFileError, match="has expired"):
        expired.parse(read_all(expired.paths))
