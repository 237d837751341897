"""A real server process, for all tests of this folder that leave it as it is or start their own."""

from pathlib import Path

import pytest

from loopbench_server.security.tokens import Role, new_token
from tests.support.certificates import Authority
from tests.support.servers import client, deployment, server, start

__all__ = ["client", "deployment", "server", "start"]


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """The secret of a token of each role, whose hashes are in the file "tokens"."""
    made = {role: new_token(role, Role[role.upper()]) for role in ("read", "write")}
    (tmp_path / "tokens").write_text("".join(f"{token.line}\n" for _, token in made.values()))
    return {role: secret for role, (secret, _) in made.items()}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA of those who belong together."""
    return Authority(tmp_path_factory.mktemp("certificates") / "ours")
