"""Suggestions for names that are not known."""

import pytest

from loopbench.spelling import closest, suggestion

KNOWN = ["method", "learning_rate", "batch_size", "momentum", "loss"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("metod", "method"),
        ("momentun", "momentum"),
        ("Learning-Rate", "learning_rate"),
        ("learningrate", "learning_rate"),
        ("lr", "learning_rate"),
        ("bs", "batch_size"),
        ("colour", ""),
        ("", ""),
    ],
)
def test_a_similar_name_or_its_first_letters_are_recognized(name: str, expected: str) -> None:
    assert closest(name, KNOWN) == expected


def test_names_keep_the_spelling_in_which_they_are_known() -> None:
    assert closest("--lr", ["--help", "--learning-rate"]) == "--learning-rate"
    assert suggestion("mse", ["sum-of-squares", "mean-squared-error"]) == "; did you mean mean-squared-error?"
    assert suggestion("nothing", KNOWN) == ""
