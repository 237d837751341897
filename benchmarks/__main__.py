"""``python -m benchmarks``: measures, keeps the figures, and writes BENCHMARKS.md from them."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.parts import PARTS, NeverMeasuredError, measure
from benchmarks.setting import Setting
from benchmarks.writing import write
from loopbench_server.revision import source_revision


def _setting(peers: Path) -> Setting:
    data_dir = Path(os.environ.get("LOOPBENCH_DATA_DIR", "."))
    if not (data_dir / "mnist.npz").is_file():
        sys.exit("LOOPBENCH_DATA_DIR has to name a folder with mnist.npz: the benchmarks train on MNIST")
    return Setting(data_dir.absolute(), peers.absolute())


def main(
    peers: Annotated[Path, typer.Option(help="Python of the peers' environment")],
    only: Annotated[list[str] | None, typer.Option(help="a part to measure, by default all but gpu")] = None,
    *,
    rewrite: Annotated[bool, typer.Option("--rewrite", help="measure nothing; write from what is kept")] = False,
) -> None:
    """Measures all parts, or those that are named, and writes BENCHMARKS.md."""
    unknown = sorted(set(only or ()) - set(PARTS))
    if unknown:
        sys.exit(f"--only: there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if not rewrite:
        setting = _setting(peers)
        revision = source_revision()  # before the first part that is kept is a change
        for name in only or [name for name in PARTS if name != "gpu"]:
            print(f"measuring: {name}", flush=True)
            measure(name, setting, revision)
    try:
        write()
    except NeverMeasuredError as error:
        sys.exit(f"BENCHMARKS.md is not written: {error}")


if __name__ == "__main__":
    typer.run(main)
