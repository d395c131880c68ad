"""Clusters for the tests of this folder, and undisturbed runs: once for all, where installed."""

import shutil

import pytest

from tests.cluster import sge, slurm
from tests.cluster.recipe import TRAINING, Recipe


@pytest.fixture(scope="session")
def slurm_environment():
    """The environment of a running Slurm."""
    if reason := slurm.why_not():
        pytest.skip(reason)
    with slurm.running_slurm() as environment:
        yield environment


@pytest.fixture(scope="session")
def grid_engine():
    """The environment of a running Grid Engine."""
    if reason := sge.why_not():
        pytest.skip(reason)
    with sge.running_grid_engine() as environment:
        yield environment


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A run without a cluster."""
    recipe = Recipe(tmp_path_factory.mktemp("local") / "whole")
    recipe.run()
    return recipe


@pytest.fixture(scope="session")
def prepared(whole):
    """Stages 0 to 2 of a run, and the weights of a longer training that nothing disturbed."""
    recipe = whole.copy(whole.workdir.with_name("prepared"))
    shutil.rmtree(recipe.workdir / "exp")
    undisturbed = recipe.copy(whole.workdir.with_name("undisturbed"))
    undisturbed.run(*TRAINING)
    return recipe, undisturbed.weights()
