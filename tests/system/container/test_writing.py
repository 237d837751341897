"""Files that the server writes: none outside the mounts."""

from pathlib import Path

from loopbench.spec import Dataset, Execution, Method, RunSpec
from tests.support.containers import Image
from tests.support.servers import SECONDS_TO_READY

from .conftest import Start

SPECS = (
    RunSpec(dataset=Dataset.DIGITS, epochs=1, tensorboard=True),
    RunSpec(dataset=Dataset.DIGITS, epochs=1, method=Method.FIT, execution=Execution.XLA),
)
MOUNTED = ("/tmp", "/var/lib/loopbench", "/home/loopbench")  # noqa: S108  paths of the image
# Files that engines add to every container.
ENGINES = ("/dev", "/proc", "/sys", "/run", "/etc/hosts", "/etc/hostname", "/etc/mtab", "/etc/resolv.conf", "/var/tmp")  # noqa: S108  as above


def test_state_is_kept_in_the_mounted_folder_and_nothing_elsewhere_even_where_it_could_be(
    start: Start, image: Image, folders: dict[str, Path]
) -> None:
    # Other tests of the image have a root that is read-only.
    server = start(flags=["--read-only=false"])
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
        for spec in SPECS:
            client.train(spec)
        client.evaluate(SPECS[0])
        client.diagnose(*SPECS)
    kept = folders["/var/lib/loopbench"]
    assert (kept / "runs.db").is_file()
    assert len([*(kept / "tensorboard").iterdir()]) == 1
    changed = [line.split(maxsplit=1) for line in image.ask("diff", server.name).splitlines()]
    added = [path for kind, path in changed if kind == "A" and not path.startswith((*MOUNTED, *ENGINES))]
    assert added == []


def test_a_missing_state_folder_is_one_clear_line(image: Image) -> None:
    done = image.run()
    assert done.returncode == 1
    assert "loopbench-server: --store-url: cannot open the database" in done.stderr
    assert "Traceback" not in done.stderr
