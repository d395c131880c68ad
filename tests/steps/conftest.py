"""The tiny packed corpus, made once for all tests of training and extraction."""

import pytest

from tests.voices import make_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Folder with ``train``, ``dev`` and ``config.yaml``; read only."""
    return make_corpus(tmp_path_factory.mktemp("corpus"))
