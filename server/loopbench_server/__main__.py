"""Starts the server. Imports are inside: every worker process imports this module anew and needs none of them."""

import sys


def main() -> None:
    """The command ``loopbench-server``."""
    from pydantic import ValidationError  # noqa: PLC0415
    from pydantic_settings import CliApp  # noqa: PLC0415

    from loopbench.spec import violations_of  # noqa: PLC0415
    from loopbench_server.app import run  # noqa: PLC0415
    from loopbench_server.serving import StartError  # noqa: PLC0415
    from loopbench_server.settings import Settings  # noqa: PLC0415

    try:
        settings = CliApp.run(Settings)
    except ValidationError as error:
        for violation in violations_of(error.errors()):
            flag = violation.field.replace("_", "-")
            print(f"loopbench-server: --{flag}: {violation.description}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    try:
        run(settings)
    except StartError as error:
        print(f"loopbench-server: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
