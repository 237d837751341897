"""Structured logs on standard error."""

import logging
import sys

import structlog

from loopbench_server.config import TrainingSettings

RENDERERS = {"json": structlog.processors.JSONRenderer, "console": structlog.dev.ConsoleRenderer}


def configure(settings: TrainingSettings) -> None:
    """Log one line per event, with UTC time and level; lines of libraries have the same format."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                RENDERERS[settings.log_format](),
            ],
        )
    )
    # At every start it logs which database it migrates, which the settings say already.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It logs unreadable headers completely, with any secret in them.
    logging.getLogger("opentelemetry.util.re").setLevel(logging.ERROR)
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
