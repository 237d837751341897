"""Log events of a database outage."""

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from loopbench_server.errors import StoreFailedError
from loopbench_server.store.store import Store


def test_an_outage_has_one_traceback(store: Store) -> None:
    def refused(times: int) -> list[bool]:
        with capture_logs() as logged:
            for _ in range(times):
                with pytest.raises(StoreFailedError), store.transaction() as connection:
                    connection.execute(sa.text("SELECT no_such_column FROM runs"))
        assert {line["event"] for line in logged} == {"database error"}
        assert all("no_such_column" in line["error"] for line in logged)
        return [line["exc_info"] for line in logged]

    assert refused(3) == [True, False, False]
    store.list_cancel_requests()
    assert refused(2) == [True, False]
