"""Replaces a function for a while."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# An owner, the name of its function, and what makes the replacement of the original.
Wrapper = tuple[Any, str, Callable[[Any], Any]]


@contextmanager
def replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """``owner.name`` is ``make(original)`` within the block; a method is replaced in the class that defines it."""
    if inspect.isclass(owner):
        owner = next(base for base in owner.__mro__ if name in vars(base))
    original = vars(owner)[name]
    setattr(owner, name, make(original))
    try:
        yield
    finally:
        setattr(owner, name, original)
