"""The runs that the tests of the recipes share."""

import pytest

from tests.recipes.runs import Runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory, request) -> Runs:
    """See `Runs`; under pytest-xdist one folder for all workers."""
    base = tmp_path_factory.getbasetemp()
    return Runs((base.parent if hasattr(request.config, "workerinput") else base) / "recipes")
