"""Revision of the source code."""

import os
import subprocess
from functools import cache
from pathlib import Path


@cache
def source_revision() -> str:
    """Return ``LOOPBENCH_SOURCE_REVISION``, or the commit of the checkout that tracks this file, or an empty string.

    The suffix ``-dirty`` marks a checkout with changed tracked files. The first call in a process decides: a commit
    during its life changes files, and not the code that it has loaded.
    """
    given = os.environ.get("LOOPBENCH_SOURCE_REVISION")
    if given is not None:
        return given
    # A repository that only surrounds an installed package does not track this file.
    if not _git("ls-files", "--error-unmatch", Path(__file__).name):
        return ""
    return _git("rev-parse", "HEAD") + ("-dirty" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # nosec B603  # fixed
        return done.stdout.strip()
    except FileNotFoundError:
        return ""
