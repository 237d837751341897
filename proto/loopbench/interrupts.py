"""Ctrl-C while a program does not handle it."""

import signal


def end_on_interrupt() -> None:
    """Let Ctrl-C end the process at once, as SIGTERM does, and not by a KeyboardInterrupt with its traceback.

    Programs call it before they import their modules. A SIGINT that the process ignores stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
