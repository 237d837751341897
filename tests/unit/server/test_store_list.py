import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from loopbench import spec
from loopbench.spec import RunFilter
from loopbench_server.store import store as store_module
from loopbench_server.store.schema import CONDITIONS
from loopbench_server.store.store import Store

MakeRun = Callable[..., spec.Run]


def listed(store: Store, run_filter: RunFilter, size: int = 100) -> list[str]:
    """Ids on all pages."""
    ids: list[str] = []
    token = ""
    while True:
        runs, token = store.list(run_filter, size, token)
        assert len(runs) == size or not token
        assert not {run.id for run in runs} & set(ids)
        ids += [run.id for run in runs]
        if not token:
            return ids


def later(run: spec.Run, seconds: int) -> datetime:
    return run.create_time + timedelta(seconds=seconds)


def test_the_newest_come_first(store: Store, make_run: MakeRun) -> None:
    for number, seconds in ((1, 2), (2, 0), (3, 1)):
        store.add(make_run(number, create_time=later(make_run(), seconds)))
    assert listed(store, RunFilter()) == [make_run(number).id for number in (1, 3, 2)]


def test_an_empty_store_has_one_empty_page(store: Store) -> None:
    assert store.list(RunFilter(), 1, "") == ([], "")


@pytest.fixture
def three(store: Store, make_run: MakeRun) -> Store:
    """Runs 1 to 3, which differ in every field of a filter."""
    specs = [
        spec.RunSpec(),
        spec.RunSpec(
            method=spec.Method.FIT, loss=spec.Loss.MEAN_SQUARED_ERROR, optimizer=spec.Adam(), dataset="DIGITS", seed=7
        ),
        spec.RunSpec(
            method=spec.Method.CUSTOM_TRAIN_STEP,
            loss=spec.Loss.CATEGORICAL_CROSSENTROPY,
            optimizer=spec.RmsProp(),
            seed=2**32 - 1,
        ),
    ]
    states = [spec.RunState.QUEUED, spec.RunState.FAILED, spec.RunState.CANCELLED]
    for number, (one, state) in enumerate(zip(specs, states, strict=True), 1):
        naming = NAMINGS[number - 1]
        store.add(make_run(number, spec=one, state=state, create_time=later(make_run(), number), **naming))
    return store


# Labels that a search for parts of texts would confuse.
NAMINGS: list[dict[str, Any]] = [
    {},
    {"name": "base", "labels": {"study": "7", "owner": "me"}},
    {"name": "BASE", "labels": {"study": "77", "owner": '7","study":"7'}},
]


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [3, 2, 1]),
    ({"states": ("FAILED",)}, [2]),
    ({"states": ("QUEUED", "CANCELLED")}, [3, 1]),
    ({"methods": ("FIT", "CUSTOM_TRAIN_STEP")}, [3, 2]),
    ({"losses": ("SUM_OF_SQUARES",)}, [1]),
    ({"datasets": ("MNIST",)}, [3, 1]),
    ({"optimizers": ("sgd", "adam")}, [2, 1]),
    ({"optimizers": ("adamw",)}, []),
    ({"seeds": (0,)}, [1]),
    ({"seeds": (7, 2**32 - 1)}, [3, 2]),
    ({"names": ("base",)}, [2]),
    ({"names": ("base", "BASE", "other")}, [3, 2]),
    ({"labels": {"study": "7"}}, [2]),
    ({"labels": {"study": "7", "owner": "me"}}, [2]),
    ({"labels": {"study": "77", "owner": "me"}}, []),
    ({"labels": {"other": "7"}}, []),
    ({"id_prefix": "00000000-0000-4000-8000-000000000003"}, [3]),
    ({"id_prefix": "0000"}, [3, 2, 1]),
    ({"id_prefix": "0001"}, []),
    ({"datasets": ("MNIST",), "methods": ("FIT",)}, []),
    ({"datasets": ("MNIST",), "methods": ("FIT", "GRADIENT_TAPE")}, [1]),
]


@pytest.mark.parametrize(("given", "numbers"), FILTERS)
def test_filters(three: Store, make_run: MakeRun, given: dict[str, Any], numbers: list[int]) -> None:
    assert listed(three, RunFilter.model_validate(given)) == [make_run(number).id for number in numbers]


def test_runs_have_their_names_and_labels(three: Store) -> None:
    runs, _ = three.list(RunFilter(), 3, "")
    assert [{"name": run.name, "labels": run.labels} for run in reversed(runs)] == [
        {"name": "", "labels": {}},
        *NAMINGS[1:],
    ]


def test_a_run_of_an_older_server_has_neither_name_nor_labels(store: Store, make_run: MakeRun) -> None:
    store.add(make_run(1))
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE runs SET name = NULL, labels = NULL")
    assert (store.get(make_run(1).id).name, store.get(make_run(1).id).labels) == ("", {})


def test_deleting_a_run_deletes_its_labels(three: Store, make_run: MakeRun) -> None:
    assert three.delete(make_run(2).id)
    assert listed(three, RunFilter(labels={"study": "7"})) == []
    with three.transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM labels").scalar() == 2


def test_the_first_moment_counts_and_the_last_does_not(three: Store, make_run: MakeRun) -> None:
    between = RunFilter(created_after=later(make_run(), 1), created_before=later(make_run(), 3))
    assert listed(three, between) == [make_run(2).id, make_run(1).id]


def test_every_field_of_a_filter_has_its_condition() -> None:
    assert set(CONDITIONS) == set(RunFilter.model_fields)
    tested = {field for given, _ in FILTERS for field in given}
    assert tested == set(RunFilter.model_fields) - {"created_after", "created_before"}


@pytest.mark.parametrize("size", [1, 3, 7, 12, 13])
def test_pages_lose_and_repeat_nothing(store: Store, make_run: MakeRun, size: int) -> None:
    # Twelve runs in random order; each time is shared by four.
    for number in (5, 0, 11, 6, 1, 8, 3, 10, 2, 7, 9, 4):
        store.add(make_run(number, create_time=later(make_run(), number // 4)))
    assert listed(store, RunFilter(), size) == [make_run(number).id for number in reversed(range(12))]


def test_a_full_last_page_has_no_token(store: Store, make_run: MakeRun) -> None:
    for number in (1, 2):
        store.add(make_run(number))
    assert store.list(RunFilter(), 2, "")[1] == ""


def test_a_page_of_long_histories_is_shorter(
    store: Store, make_run: MakeRun, make_result: Any, make_epoch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = make_result(history=tuple(make_epoch(number) for number in range(1, 1_001)))
    for number in range(5):
        ended = {"state": spec.RunState.SUCCEEDED, "result": result, "create_time": later(make_run(), number)}
        store.add(make_run(number, **ended))
    monkeypatch.setattr(store_module, "PAGE_BYTES", int(1.5 * len(result.model_dump_json())))
    first, token = store.list(RunFilter(), 5, "")
    assert [run.id for run in first] == [make_run(number).id for number in (4, 3)]
    # A run fits on a page even with a long history.
    monkeypatch.setattr(store_module, "PAGE_BYTES", 0)
    assert [run.id for run in store.list(RunFilter(), 5, token)[0]] == [make_run(2).id]


def test_new_runs_do_not_shift_the_pages(store: Store, make_run: MakeRun) -> None:
    for number in range(4):
        store.add(make_run(number, create_time=later(make_run(), number)))
    first, token = store.list(RunFilter(), 2, "")
    store.add(make_run(9, create_time=later(make_run(), 9)))
    second, last = store.list(RunFilter(), 2, token)
    assert [run.id for run in (*first, *second)] == [make_run(number).id for number in (3, 2, 1, 0)]
    assert last == ""


def test_a_deleted_run_does_not_shift_the_pages(store: Store, make_run: MakeRun) -> None:
    for number in range(3):
        store.add(make_run(number, create_time=later(make_run(), number)))
    first, token = store.list(RunFilter(), 1, "")
    store.delete(first[0].id)
    assert [run.id for run in store.list(RunFilter(), 2, token)[0]] == [make_run(1).id, make_run(0).id]


def packed(parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    "token",
    ["x", "not a token", "ä", "////", packed({}), packed([1, 2, 3]), packed(["2026-01-02", "id"]), packed(None)],
)
def test_an_invalid_page_token_is_refused(store: Store, token: str) -> None:
    with pytest.raises(spec.InvalidFieldsError) as caught:
        store.list(RunFilter(), 1, token)
    assert [violation.field for violation in caught.value.violations] == ["page_token"]


@pytest.mark.parametrize("run_id", ["", "\x00", "\ud800", "1", 1, None])
def test_a_page_token_with_an_unknown_run_is_refused(three: Store, run_id: Any) -> None:
    # The rest of the token is valid; databases handle such text differently.
    _, token = three.list(RunFilter(), 1, "")
    time, _, digest = json.loads(base64.urlsafe_b64decode(token))
    with pytest.raises(spec.InvalidFieldsError) as caught:
        three.list(RunFilter(), 1, packed([time, run_id, digest]))
    assert [violation.field for violation in caught.value.violations] == ["page_token"]


def test_a_page_token_is_bound_to_its_filter(three: Store) -> None:
    _, token = three.list(RunFilter(), 1, "")
    with pytest.raises(spec.InvalidFieldsError) as caught:
        three.list(RunFilter(seeds=(7,)), 1, token)
    assert [violation.field for violation in caught.value.violations] == ["page_token"]
