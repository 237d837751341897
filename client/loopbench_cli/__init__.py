"""The program ``loopbench``. Its imports are local: Ctrl-C may come before they have ended."""

import signal

from loopbench.interrupts import end_on_interrupt


def main() -> None:
    """The command ``loopbench``."""
    handler = signal.getsignal(signal.SIGINT)
    end_on_interrupt()
    from loopbench_client.cli import main as run  # noqa: PLC0415

    signal.signal(signal.SIGINT, handler)
    try:
        run()
    finally:
        end_on_interrupt()
