"""Files that a command writes."""

import os
from pathlib import Path

from loopbench.spec import InvalidFieldsError, Violation
from loopbench_client.cli.options import bad_input

NOT_A_FILE = "- is not the name of a file: this command does not write to standard output"


def check_file(path: Path, place: str) -> None:
    """Makes the folder of the file at ``path``, and checks before any work that the file can be written.

    Raises:
        InvalidSpecError: it cannot; ``place`` names the argument of the command line.
    """
    fault = NOT_A_FILE if path.parts[:1] == ("-",) else _fault_of_folder(path.parent) or _fault_of_file(path)
    if fault:
        raise bad_input(InvalidFieldsError((Violation(field=place, description=fault),)))


def _fault_of_folder(folder: Path) -> str:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return f"{next(part for part in (folder, *folder.parents) if part.exists())} is a file, not a folder"
    except OSError as error:
        return f"{folder} cannot be created: {error.strerror}"
    return ""


def _fault_of_file(path: Path) -> str:
    try:
        target = path.resolve()
        if target.is_dir():
            return f"{path} is a folder, not a file"
        written = target if target.exists() else target.parent
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}"
    except RuntimeError:  # until Python 3.13
        return f"{path} cannot be written: it is a link to itself"
    return "" if os.access(written, os.W_OK) else f"{written} is not writable"
