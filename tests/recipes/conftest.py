"""The runs that the tests of the recipes share."""

import os
from pathlib import Path

import pytest

from tests.recipes.runs import Runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory, request) -> Runs:
    """See `Runs`; under pytest-xdist one folder for all workers.

    SV_TEST_RUNS names a folder that several pytest commands of one commit share.
    """
    if "SV_TEST_RUNS" in os.environ:
        return Runs(Path(os.environ["SV_TEST_RUNS"]))
    base = tmp_path_factory.getbasetemp()
    return Runs((base.parent if hasattr(request.config, "workerinput") else base) / "recipes")
