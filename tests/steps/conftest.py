"""The tiny packed corpus of all tests of training and extraction, and data for stages 1 and 2."""

import pytest

from tests.steps.packing_cases import make_data
from tests.voices import make_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Folder with ``train``, ``dev`` and ``config.yaml``; read only."""
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def data(tmp_path):
    """Ten utterances of two speakers in several formats, four of them in trials."""
    return make_data(tmp_path)
