"""A real server process, shared by the tests of this folder that do not start their own."""

from pathlib import Path

import pytest

from loopbench_server.security.tokens import Role, new_token
from tests.support.certificates import Authority
from tests.support.servers import client, deployment, server, start

__all__ = ["client", "deployment", "server", "start"]


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """A token of each role; their hashes are in the file "tokens"."""
    made = {role: new_token(role, Role[role.upper()]) for role in ("read", "write")}
    (tmp_path / "tokens").write_text("".join(f"{token.line}\n" for _, token in made.values()))
    return {role: secret for role, (secret, _) in made.items()}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA that server and clients trust."""
    return Authority(tmp_path_factory.mktemp("certificates") / "ours")
