"""Starts the server. Imports are local: every worker process imports this module and needs none of them."""

import sys

from loopbench.interrupts import end_on_interrupt
from loopbench.streams import open_missing

# Words that call for a copy of the store instead of a server.
COMMANDS = ("backup", "restore")


def main() -> None:
    """The command ``loopbench-server``."""
    open_missing()
    end_on_interrupt()
    words = sys.argv[1:]
    if words[:1] and words[0] in COMMANDS:
        from loopbench_server.backup import run as copy_store  # noqa: PLC0415

        copy_store(words)
    else:
        _serve()


def _serve() -> None:
    from loopbench_server.app import run  # noqa: PLC0415
    from loopbench_server.config import Settings, load_settings  # noqa: PLC0415
    from loopbench_server.errors import SettingError, StartError  # noqa: PLC0415

    settings = load_settings(Settings)
    try:
        run(settings)
    except StartError as error:
        print(f"loopbench-server: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2 if isinstance(error, SettingError) else 1)


if __name__ == "__main__":
    main()
