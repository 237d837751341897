"""Finds out why a Keras program trains badly, or why two ways of training disagree, in process and on the user's code.

>>> from loopbench_diagnose import Data, compile_and_fit, describe, diagnose
>>> fit = compile_and_fit(optimizer="sgd", loss="mse")  # doctest: +SKIP
>>> diagnosis = diagnose(build_model, Data(x, y), fit, my_loop)  # doctest: +SKIP
>>> print(describe(diagnosis))  # doctest: +SKIP
"""

from loopbench_diagnose.assertions import assert_same_training
from loopbench_diagnose.callback import DiagnoseCallback
from loopbench_diagnose.data import Data, DataError
from loopbench_diagnose.diagnosing import diagnose
from loopbench_diagnose.diagnosis import Diagnosis, describe
from loopbench_diagnose.harness import NoUpdateError, ReusedObjectError, StructureError
from loopbench_diagnose.loops import compile_and_fit, steps
from loopbench_diagnose.side import Side

__all__ = [
    "Data",
    "DataError",
    "DiagnoseCallback",
    "Diagnosis",
    "NoUpdateError",
    "ReusedObjectError",
    "Side",
    "StructureError",
    "assert_same_training",
    "compile_and_fit",
    "describe",
    "diagnose",
    "steps",
]
