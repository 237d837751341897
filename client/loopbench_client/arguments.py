"""Arguments that a call cannot use, in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from loopbench.spec import Violation, violations_of
from loopbench_client.errors import InvalidSpecError

NOT_TEXT = "has characters that UTF-8 cannot encode"


def expect(call: str, value: object, *kinds: type) -> None:
    """Refuses a value of another type, of which the conversion to a message would complain in other words.

    Raises:
        TypeError: naming the call and the types.
    """
    if isinstance(value, kinds):
        return
    *others, last = ["None" if kind is type(None) else kind.__name__ for kind in kinds]
    names = f"{', '.join(others)} or {last}" if others else last
    model = f"; make one by {kinds[0].__name__}(**values)" if isinstance(value, dict) else ""
    raise TypeError(f"{call}: expected {names}, got {type(value).__name__}{model}")


def check_timeout(timeout: float | None) -> None:
    """Refuses a time limit that is no number of seconds.

    Raises:
        TypeError: naming the type.
    """
    expect("timeout", timeout, float, int, type(None))


@contextmanager
def clear_refusals() -> Iterator[None]:
    """Raises an error that names every bad value, in place of those of pydantic and of the encoder of messages.

    Raises:
        InvalidSpecError: some values break the contract.
    """
    try:
        yield
    except ValidationError as error:
        raise InvalidSpecError.of(violations_of(error.errors())) from error
    except UnicodeEncodeError as error:
        violation = Violation(field=repr(error.object), description=NOT_TEXT)
        raise InvalidSpecError.of((violation,)) from error
