"""Starts the server. Imports are local: every worker process imports this module and needs none of them."""

import sys


def main() -> None:
    """The command ``loopbench-server``."""
    from loopbench_server.app import run  # noqa: PLC0415
    from loopbench_server.config import Settings, load_settings  # noqa: PLC0415
    from loopbench_server.errors import StartError  # noqa: PLC0415

    settings = load_settings(Settings)
    try:
        run(settings)
    except StartError as error:
        print(f"loopbench-server: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
