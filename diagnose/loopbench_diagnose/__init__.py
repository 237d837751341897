"""Finds out why two ways of training a Keras model disagree, in process and on code of one's own.

>>> from loopbench_diagnose import Data, compile_and_fit, describe, diagnose
>>> fit = compile_and_fit(optimizer="sgd", loss="mse")  # doctest: +SKIP
>>> diagnosis = diagnose(build_model, Data(x, y), fit, my_loop)  # doctest: +SKIP
>>> print(describe(diagnosis))  # doctest: +SKIP
"""

from loopbench.text import describe
from loopbench_diagnose.data import Data
from loopbench_diagnose.diagnosing import diagnose
from loopbench_diagnose.harness import NoUpdateError, ReusedObjectError, StructureError
from loopbench_diagnose.loops import compile_and_fit, steps
from loopbench_diagnose.side import Side

__all__ = [
    "Data",
    "NoUpdateError",
    "ReusedObjectError",
    "Side",
    "StructureError",
    "compile_and_fit",
    "describe",
    "diagnose",
    "steps",
]
