"""The kinds of databases for the tests."""

import pytest

DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))
