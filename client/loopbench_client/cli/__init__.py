"""The command line ``loopbench``."""

from loopbench_client.cli.app import app, main

__all__ = ["app", "main"]
