"""Functions of a user's own program, named on the command line, and their diagnosis in this process.

The diagnosis needs TensorFlow. The client does not, so everything that does is imported within functions.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from loopbench.spec import InvalidFieldsError, Violation
from loopbench.text import one_line
from loopbench_client.cli.options import bad_input
from loopbench_client.errors import ErrorDetails, InvalidSpecError, LoopbenchError

if TYPE_CHECKING:
    from loopbench_diagnose import Diagnosis

# What the names stand for, in their order; the last one may be left out.
PARTS = ("BUILD_MODEL", "DATA", "LOOP", "SECOND")
NEEDED = ("keras", "tensorflow")
GUARD = "run the program's own code under: if __name__ == '__main__'"
HINT = "install keras-loopbench with its extra 'diagnose'"


def diagnose_python(names: Sequence[str], *, samples: int | None, seed: int | None) -> "Diagnosis":
    """Diagnoses a loop, or two, by the names of the functions, ``module:name`` or ``file.py:name``.

    Args:
        names: the model factory, the data, and one or two loops.
        samples: most samples to use; None for the library's default.
        seed: of the experiments; None for the library's default.

    Raises:
        InvalidSpecError: a name cannot be found, or what it stands for cannot be diagnosed.
        LoopbenchError: TensorFlow is not installed, or one of the user's functions raised an error.
    """
    _check_installed()
    # TensorFlow logs what it finds on the machine before anything else.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import loopbench_diagnose as library  # noqa: PLC0415  see above

    parts = _load(names)
    given = {"samples": samples, "seed": seed}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        return library.diagnose(*parts, **options)
    except (library.DataError, library.NoUpdateError, library.ReusedObjectError, library.StructureError) as error:
        raise InvalidSpecError(ErrorDetails(str(error), "CANNOT_BE_DIAGNOSED")) from error
    except (Exception, SystemExit) as error:
        raise _raised("the diagnosis", error) from error


def _check_installed() -> None:
    if any(find_spec(name) is None for name in NEEDED):
        raise LoopbenchError(ErrorDetails("--python needs TensorFlow and Keras", "NOT_INSTALLED"), hint=HINT)


def _load(names: Sequence[str]) -> tuple[Any, ...]:
    """What the names stand for; a module is imported once.

    Raises:
        InvalidSpecError: naming every name that stands for nothing.
    """
    # As for `python -m`, modules of the current folder are found.
    sys.path.insert(0, "")
    faults: list[Violation] = []
    modules: dict[str, ModuleType] = {}
    values = [_value(part, name, modules, faults) for part, name in zip(PARTS, names, strict=False)]
    if faults:
        raise bad_input(InvalidFieldsError(tuple(faults)))
    return tuple(values)


def _value(part: str, name: str, modules: dict[str, ModuleType], faults: list[Violation]) -> Any:
    module_name, colon, path = name.rpartition(":")
    if not (module_name and colon and path):
        faults.append(Violation(field=part, description=f"{name!r} is not of the form MODULE:NAME or FILE.py:NAME"))
        return None
    try:
        if module_name not in modules:
            modules[module_name] = _module(module_name)
        value: Any = modules[module_name]
        for attribute in path.split("."):
            value = getattr(value, attribute)
    except (ImportError, OSError, AttributeError) as error:
        faults.append(Violation(field=part, description=f"{name!r} cannot be loaded: {error}"))
        return None
    if part != "DATA" and not callable(value) and not hasattr(value, "train"):
        faults.append(Violation(field=part, description=f"{name!r} is a {type(value).__name__}, not a function"))
    return value


def _module(name: str) -> ModuleType:
    try:
        return _module_of_file(Path(name)) if name.endswith(".py") else import_module(name)
    except (ImportError, OSError):
        raise
    except (Exception, SystemExit) as error:
        raise _raised(f"importing {name}", error) from error


def _module_of_file(path: Path) -> ModuleType:
    """The file as a module, beside which its imports are found, as where Python runs it."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    sys.path.insert(0, str(path.parent.resolve()))
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _raised(action: str, error: Exception | SystemExit) -> LoopbenchError:
    """The error and the innermost line of the user's program that it passed through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_the_users(frame.filename)]
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    message = f"{action} raised {type(error).__name__}{place}: {one_line(str(error))}"
    hint = GUARD if isinstance(error, SystemExit) else ""
    return LoopbenchError(ErrorDetails(message, "USER_CODE_FAILED"), hint=hint)


def _is_the_users(file: str) -> bool:
    parts = Path(file).parts
    ours = ("loopbench_cli", "loopbench_client", "loopbench_diagnose")
    return not file.startswith("<") and "site-packages" not in parts and not any(name in parts for name in ours)
