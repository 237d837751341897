"""Page tokens of lists of runs."""

import base64
import hashlib
import json
from datetime import UTC, datetime

from loopbench.spec import InvalidFieldsError, RunFilter, Violation
from loopbench_server.ids import normalize_uuid

# Creation time and id of the last run of a page.
PagePosition = tuple[datetime, str]


class PageToken:
    """Position of the end of a page, bound to the filter of the list."""

    def __init__(self, run_filter: RunFilter) -> None:
        self._filter = hashlib.sha256(run_filter.model_dump_json(exclude_defaults=True).encode()).hexdigest()[:16]

    def encode(self, time: datetime, run_id: str) -> str:
        """Return the token of the position after a run with this creation time and id."""
        parts = [time.isoformat(), run_id, self._filter]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()

    def decode(self, token: str) -> tuple[datetime, str]:
        """Return creation time and id of the last run of the previous page.

        Raises:
            InvalidFieldsError: the token is invalid, or belongs to another filter.
        """
        try:
            time, run_id, digest = json.loads(base64.urlsafe_b64decode(token.encode()))
            position = datetime.fromisoformat(time).astimezone(UTC), normalize_uuid(run_id)
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise _bad_token("not a page token") from error
        if not position[1]:
            raise _bad_token("not a page token")
        if digest != self._filter:
            raise _bad_token("belongs to another filter")
        return position


def _bad_token(fault: str) -> InvalidFieldsError:
    return InvalidFieldsError((Violation(field="page_token", description=fault),))
