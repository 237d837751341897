"""Trains one index. Imports are local: the worker process imports this module and needs none of them."""

import sys

from loopbench.interrupts import end_on_interrupt
from loopbench.streams import open_missing


def main() -> None:
    """The command ``loopbench-sweep-index``."""
    open_missing()
    end_on_interrupt()
    from loopbench_server.config import load_settings  # noqa: PLC0415
    from loopbench_server.sweep.program import run  # noqa: PLC0415
    from loopbench_server.sweep.settings import SweepSettings  # noqa: PLC0415

    sys.exit(run(load_settings(SweepSettings)))


if __name__ == "__main__":
    main()
