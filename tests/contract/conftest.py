"""One suite for every deployment of the server: what a caller sees has to be the same wherever it runs."""

import os
from pathlib import Path

import pytest

from tests.containers import Image, image
from tests.servers import Deployment, as_process, client, server, start

__all__ = ["client", "image", "server", "start"]


def as_container(image: Image) -> Deployment:
    """The server of ``image``. Folders have the same paths inside as outside, so that the same flags will do."""
    data = os.environ.get("LOOPBENCH_DATA_DIR")

    def command(folder: Path) -> list[str]:
        folder.chmod(0o777)  # the image's user is nobody on this machine
        mounts = {str(folder): folder} | ({data: Path(data)} if data else {})
        return image.command("loopbench-server", mounts=mounts, environment={"NO_COLOR": "1"})

    return command


@pytest.fixture(scope="session", params=["process", "container"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    if request.param == "process":
        return as_process
    return as_container(request.getfixturevalue("image"))
