"""The clusters that the tests of this folder start: once for all of them, and only where they are installed."""

import pytest

from tests.cluster import slurm


@pytest.fixture(scope="session")
def slurm_environment():
    """The environment of a running Slurm."""
    if reason := slurm.why_not():
        pytest.skip(reason)
    with slurm.running_slurm() as environment:
        yield environment
