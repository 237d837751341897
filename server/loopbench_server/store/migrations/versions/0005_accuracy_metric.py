"""Specifications with ``accuracy_metric`` and ``loss_aggregation``, which were ``meter`` and ``loss_report``.

Rows are converted as text: a number keeps its digits, so that a digest of the same specification stays comparable.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

RENAMED = {"meter": "accuracy_metric", "loss_report": "loss_aggregation"}
KEY = re.compile(rf'"({"|".join(RENAMED)})"(?=\s*:)')
# Revision 0003 added this field. A digest contains it only where it is set.
LATER_FIELD = re.compile(r',"replicas":\d+')
ROWS = 1_000

runs = sa.table("runs", sa.column("id"), sa.column("spec"), sa.column("spec_digest"))


def upgrade() -> None:
    """Rename the fields in every stored specification, and compute its digest again."""
    connection = op.get_bind()
    update = (
        sa.update(runs)
        .where(runs.c.id == sa.bindparam("run_id"))
        .values(spec=sa.bindparam("text"), spec_digest=sa.bindparam("digest"))
    )
    for rows in _pages(connection):
        connection.execute(update, [_converted(row.id, row.spec, row.spec_digest) for row in rows])


def _pages(connection: sa.Connection) -> Iterator[Sequence[sa.Row[Any]]]:
    last = ""
    page = sa.select(runs).where(runs.c.id > sa.bindparam("last")).order_by(runs.c.id).limit(ROWS)
    while rows := connection.execute(page, {"last": last}).all():
        yield rows
        last = rows[-1].id


def _converted(run_id: str, text: str, digest: str) -> dict[str, str]:
    renamed = _renamed(text)
    forms = (text, LATER_FIELD.sub("", text))
    counted = next((form for form in forms if _digest(form) == digest), None)
    # A digest of another form of the specification stays: nothing shows what it was computed from.
    return {"run_id": run_id, "text": renamed, "digest": digest if counted is None else _digest(_renamed(counted))}


def _renamed(text: str) -> str:
    return KEY.sub(lambda key: f'"{RENAMED[key[1]]}"', text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
