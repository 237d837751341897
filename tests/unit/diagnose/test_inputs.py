"""Samples in every container: what the experiments read, and what the loops receive."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench_diagnose.containers import as_data
from loopbench_diagnose.data import Data, DataError, sample_keys, sample_weights
from loopbench_diagnose.inputs import Inputs
from loopbench_diagnose.side import Side

X = np.arange(40, dtype=np.float32).reshape(10, 4)
Y = np.arange(10, dtype=np.int64)
W = np.linspace(1, 2, 10, dtype=np.float32)
TEXTS = np.array([f"text {n}" for n in range(10)])


class Sequence(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        rows = slice(3 * index, 3 * index + 3)
        return X[rows], Y[rows]


def slices(*parts: Any) -> Any:
    return tf.data.Dataset.from_tensor_slices(parts[0] if len(parts) == 1 else parts)


def no_model() -> keras.Model:
    raise AssertionError("shapes decide alone")


def autoencoder() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])


def classifier() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(10)])


def model_of_two_inputs() -> keras.Model:
    inputs = [keras.Input((4,)), keras.Input((4,))]
    return keras.Model(inputs, inputs)


class Subclassed(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A model that does not show its inputs."""


def read(given: Any, most: int = 100, build_model: Callable[[], keras.Model] = no_model) -> Inputs:
    return Inputs(given, build_model, most)


def parts(data: Data) -> tuple[Any, Any, Any]:
    return data.x, data.y, data.sample_weight


def same(found: Any, expected: Any) -> None:
    """Equal structures of equal arrays."""
    keras.tree.assert_same_structure(found, expected)
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        if other is None:
            assert one is None
        else:
            np.testing.assert_array_equal(np.asarray(one), other)


GIVEN: dict[str, tuple[Any, tuple[Any, Any, Any]]] = {
    "array": (X, (X, None, None)),
    "tensor": (tf.constant(X), (X, None, None)),
    "(x,)": ((X,), (X, None, None)),
    "(x, y)": ((X, Y), (X, Y, None)),
    "[x, y]": ([X, Y], (X, Y, None)),
    "(x, y, weights)": ((X, Y, W), (X, Y, W)),
    "(inputs, outputs)": (((X, X), (Y, Y)), ((X, X), (Y, Y), None)),
    "mapping of parts": ({"x": X, "y": Y}, (X, Y, None)),
    "mapping of inputs": ({"a": X, "b": Y}, ({"a": X, "b": Y}, None, None)),
    "Data": (Data(X, Y), (X, Y, None)),
    "Data without labels": (Data(X), (X, None, None)),
    "Data of mappings": (Data({"a": X}, {"out": Y}), ({"a": X}, {"out": Y}, None)),
    "strings": ((TEXTS, Y), (TEXTS, Y, None)),
    "function": (lambda: (X, Y), (X, Y, None)),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_arrays_are_read_and_handed_to_loops_as_they_were_given(kind: str) -> None:
    given, expected = GIVEN[kind]
    inputs = read(given)
    same(parts(inputs.data), expected)
    back, original = inputs.give(inputs.data), given() if callable(given) else given
    assert type(back) is (np.ndarray if kind == "tensor" and isinstance(back, np.ndarray) else type(original))
    if not isinstance(back, Data):
        same(back, keras.tree.map_structure(np.asarray, original))


def test_a_pair_is_training_and_validation() -> None:
    given = ((X, Y), (X[:4], Y[:4]))
    inputs = read(given)
    same(parts(inputs.data), (X, Y, None))
    validation = inputs.data.validation
    assert validation is not None
    same(parts(validation), (X[:4], Y[:4], None))
    same(inputs.give(inputs.data.rows(slice(2))), ((X[:2], Y[:2]), (X[:4], Y[:4])))


SETS_OF_ONE_SIZE: dict[str, tuple[Any, Callable[[], keras.Model]]] = {
    "labels": (((X, Y), (X + 1, Y)), classifier),
    "labels of other types": (((X, Y), (X + 1, Y.astype(np.int32))), classifier),
    "weights in one set": (((X, Y, W), (X + 1, Y)), classifier),
    "an autoencoder": (((X, X), (X + 1, X + 1)), autoencoder),
    "several inputs": ((((X, X), Y), ((X + 1, X), Y)), model_of_two_inputs),
    "a model that does not show its inputs": (((X, Y), (X + 1, Y)), Subclassed),
}


@pytest.mark.parametrize("kind", SETS_OF_ONE_SIZE)
def test_two_sets_of_one_size_are_training_and_validation(kind: str) -> None:
    given, build_model = SETS_OF_ONE_SIZE[kind]
    validation = read(given, build_model=build_model).data.validation
    assert validation is not None
    same(validation.x, given[1][0])


@pytest.mark.parametrize("build_model", [model_of_two_inputs, Subclassed])
def test_two_inputs_and_two_outputs_are_no_pair(build_model: Callable[[], keras.Model]) -> None:
    given = ((X, Y), (Y, X)) if build_model is Subclassed else ((X, X), (X, X))
    inputs = read(given, build_model=build_model)
    same(parts(inputs.data), (*given, None))
    assert inputs.data.validation is None


PAIRS: dict[str, Any] = {
    "pair": ((X, Y), (X[:4], Y[:4])),
    "list": [(X, Y), (X[:4], Y[:4])],
    "autoencoder": ((X, X), (X[:4], X[:4])),
    "other types": ((X, Y), (X[:4].astype(np.float64), Y[:4, None])),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_a_pair_that_is_cut_to_one_size_stays_a_pair(kind: str) -> None:
    seen: list[Data] = []
    given = PAIRS[kind]
    inputs = read(given)

    def loop(_: Any, data: Any, __: int) -> None:
        assert type(data) is type(given)
        seen.append(as_data(data, no_model))

    inputs.side(Side(loop)).train(None, inputs.data.first(3), 1)
    (data,) = seen
    same(data.x, X[:3])
    validation = data.validation
    assert validation is not None
    same(validation.y, given[1][1][:3])


def test_what_a_loop_makes_of_its_data_is_read_as_it_is() -> None:
    inputs = read(((X, Y), (X[:4], Y[:4])))

    def loop(_: Any, data: Any, __: int) -> None:
        assert as_data(data[0], no_model).validation is None
        assert as_data((X, Y), no_model).validation is None

    inputs.side(Side(loop)).train(None, inputs.data, 1)


def batches(dataset: Any) -> list[Any]:
    return list(dataset.as_numpy_iterator())


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("batch_size", [None, 3])
def test_a_tensorflow_data_set_keeps_its_batches(batch_size: int | None, *, weights: bool) -> None:
    given = slices(X, Y, W) if weights else slices(X, Y)
    if batch_size:
        given = given.batch(batch_size)
    inputs = read(given)
    same(parts(inputs.data), (X, Y, W if weights else None))
    back = inputs.give(inputs.data)
    assert back.element_spec == given.element_spec
    for one, other in zip(batches(back), batches(given), strict=True):
        same(one, other)
    assert len(batches(inputs.give(inputs.data.rows(slice(7))))) == (3 if batch_size else 7)


def test_inputs_alone_mappings_and_strings_in_a_data_set() -> None:
    same(read(slices(X).batch(4)).data.x, X)
    named = read(slices({"a": X, "b": TEXTS}, {"out": Y}).batch(4))
    same(named.data.y, {"out": Y})
    assert sample_keys(named.data.x) == sample_keys({"a": X, "b": TEXTS})
    (x, y), *_ = named.give(named.data)
    assert (set(x), x["b"].dtype, set(y)) == ({"a", "b"}, tf.string, {"out"})


def test_a_static_batch_size_stays_static() -> None:
    given = slices(X, Y).batch(4, drop_remainder=True)
    inputs = read(given, build_model=autoencoder)
    back = inputs.give(Data(X, Y))
    assert (back.element_spec, len(back)) == (given.element_spec, 2)
    # Fewer samples than one batch make a smaller batch, and not none.
    assert len(inputs.give(Data(X[:3], Y[:3]))) == 1


def test_the_model_decides_what_shapes_leave_open() -> None:
    # (4,) and (4,) are a sample, or a batch of four numbers.
    inputs = read(slices(X, X), build_model=autoencoder)
    same(inputs.data.x, X)
    batch = read(slices(X, X).batch(4, drop_remainder=True), build_model=autoencoder)
    same(batch.data.x, X[:8])


def test_an_endless_data_set_is_read_in_part_and_stays_endless() -> None:
    inputs = read(slices(X, Y).batch(3).repeat(), most=25)
    assert 25 <= len(inputs.data) < 28
    assert inputs.give(inputs.data).cardinality() == tf.data.INFINITE_CARDINALITY


def test_no_more_is_read_than_is_used() -> None:
    def endless() -> Any:
        while True:
            yield np.zeros(4, np.float32), 0

    signature = (tf.TensorSpec((4,), tf.float32), tf.TensorSpec((), tf.int32))
    given = tf.data.Dataset.from_generator(endless, output_signature=signature)
    assert len(read(given, most=300).data) == 512


def test_a_sequence_keeps_its_batches() -> None:
    given = Sequence()
    inputs = read(given)
    same(parts(inputs.data), (X, Y, None))
    back = inputs.give(inputs.data)
    assert isinstance(back, keras.utils.PyDataset)
    assert len(back) == 4
    for index in range(4):
        same(back[index], given[index])


def test_data_sets_in_data_and_pairs_of_them() -> None:
    train, validation = slices(X, Y).batch(3), slices(X[:4], Y[:4]).batch(2)
    for given in ((train, validation), Data(train, validation=Data(validation))):
        inputs = read(given)
        validation_data = inputs.data.validation
        assert validation_data is not None
        assert (len(inputs.data), len(validation_data)) == (10, 4)
        back: Any = inputs.give(inputs.data.rows(slice(5)))
        made = (back.x, back.validation.x) if isinstance(given, Data) else back
        assert [len(dataset) for dataset in made] == [2, 2]


def ragged() -> Any:
    return tf.data.Dataset.from_tensor_slices(tf.ragged.constant([[1], [2, 3]]))


def lengths() -> Any:
    return tf.data.Dataset.from_generator(
        lambda: ((np.zeros((2, n)), np.zeros(2)) for n in (3, 5)),
        output_signature=(tf.TensorSpec((None, None)), tf.TensorSpec((None,))),
    )


class Empty(Sequence):
    def __len__(self) -> int:
        return 0


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "generator": (lambda: iter([X]), "can be read only once; pass arrays, "),
    "unknown type": (lambda: 3, "data of type int is not supported; pass arrays, "),
    "none": (lambda: (None, Y), "at least one; here: y 10"),
    "lengths": (lambda: (X, Y[:3]), "here: x 10, y 3"),
    "numbers": (lambda: ([1, 2], Y), "a list stands for several arrays"),
    "four parts": (lambda: slices(X, Y, W, W), "tuples of 4 parts; they must be x, "),
    "ragged": (ragged, "yields RaggedTensors; make them dense first"),
    "lengths of batches": (lengths, r"samples of x have different shapes, \(3,\) and \(5,\): pad them"),
    "empty data set": (lambda: slices(X, Y).take(0), "yields no samples"),
    "empty sequence": (Empty, "holds no batches"),
    "labels twice": (lambda: Data(slices(X, Y), Y), "y must be part of the elements"),
    "two sets or two inputs": (lambda: ((X, X), (X, X)), r"pass Data\(x, y, validation=Data\(x, y\)\) for the former"),
}


@pytest.mark.parametrize("kind", BAD)
def test_data_that_cannot_be_read_is_named(kind: str) -> None:
    make, complaint = BAD[kind]
    with pytest.raises(DataError, match=complaint):
        read(make, build_model=Subclassed)


def test_keys_tell_samples_apart() -> None:
    assert len(set(sample_keys(TEXTS))) == 10
    assert sample_keys(TEXTS) == sample_keys(tf.constant(TEXTS)) == sample_keys(TEXTS.astype(object))
    assert sample_keys(np.array([["a", "bc"], ["ab", "c"]]))[0] != sample_keys(np.array([["ab", "c"]]))[0]
    assert sample_keys(X) == sample_keys(X.astype(np.float64))


WEIGHTED: dict[str, tuple[Data, Any]] = {
    "classes": (Data(X[:3], np.array([1, 0, 7])), [4.0, 0.5, 1.0]),
    "a column": (Data(X[:3], np.array([[1.0], [0.0], [7.0]])), [4.0, 0.5, 1.0]),
    "one-hot": (Data(X[:3], np.eye(3)), [0.5, 4.0, 1.0]),
    "sample weights": (Data(X[:3], np.array([1, 0, 7]), W[:3]), np.array([4.0, 0.5, 1.0]) * W[:3]),
    "no labels": (Data(X[:3]), None),
    "several outputs": (Data(X[:3], [Y[:3], Y[:3]], W[:3]), W[:3]),
    "classes of positions": (Data(X[:3], np.zeros((3, 2, 1))), None),
    "strings": (Data(X[:3], TEXTS[:3]), None),
}


@pytest.mark.parametrize("kind", WEIGHTED)
def test_class_weights_as_sample_weights(kind: str) -> None:
    data, expected = WEIGHTED[kind]
    found = sample_weights(data, {0: 0.5, 1: 4.0})
    if expected is None:
        assert found is None
    else:
        np.testing.assert_allclose(found, expected)
    assert sample_weights(data, None) is data.sample_weight
