"""Fixtures with factories of results and runs, and logs that are cheap to render."""

import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from structlog.contextvars import merge_contextvars
from structlog.processors import JSONRenderer, add_log_level, format_exc_info

from loopbench import spec
from tests.support import factories


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> Iterator[None]:
    """Render logs as JSON: structlog's default renders a traceback with all local variables, which takes seconds."""
    structlog.configure(processors=[merge_contextvars, add_log_level, format_exc_info, JSONRenderer()])
    yield
    structlog.reset_defaults()


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """Restore the logging that a program's main function configures in this process."""
    configured, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers, root.level
    # logging.basicConfig(force=True) closes the existing handlers, which are pytest's.
    root.handlers = []
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**configured)


@pytest.fixture
def make_epoch() -> Callable[..., spec.EpochRecord]:
    return factories.make_epoch


@pytest.fixture
def make_result() -> Callable[..., spec.Result]:
    return factories.make_result


@pytest.fixture
def make_run() -> Callable[..., spec.Run]:
    """Factory of numbered runs; the number determines both ids."""
    return factories.make_run
