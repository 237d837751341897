"""The databases that tests run on."""

import pytest

KINDS = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))
