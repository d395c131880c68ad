"""`check` refuses, from numbers alone, what a training would refuse: all of conf/backends."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.backends import FAMILIES
from steps.backends.links import Amount
from tests.conftest import ROOT
from utils.config import read_yaml
from utils.scoring.backend_files import build_backend

CONFIGS = {
    path.stem: read_yaml(path) for path in sorted((ROOT / "conf" / "backends").glob("*.yaml"))
}
OTHERS = {
    "lda_of_lda": {
        "name": "cosine",
        "links": [{"name": "lda", "dim": 6}, {"name": "lda", "dim": 7}],
    },
    "whitened_cosine": {
        "name": "cosine",
        "links": [{"name": "whiten", "dim": 7}, {"name": "wccn"}],
    },
    "low_rank": {"name": "plda", "rank": 5},
    "low_rank_behind_lda": {"name": "plda", "rank": 4, "links": [{"name": "lda", "dim": 3}]},
    "coral_of_few": {"name": "cosine", "links": [{"name": "lda", "dim": 4}, {"name": "coral"}]},
}


def refusal(work):
    """The message of a refusal; empty if there is none."""
    try:
        work()
    except ValueError as error:
        return str(error)
    return ""


def small(options):
    """The same back end with an LDA to 8 instead of 200: vectors of tests are short."""
    options = copy.deepcopy(options)
    for link in options.get("links") or []:
        if "dim" in link:
            link["dim"] = 8
    return options


# the b-vector is tested below: its training needs torch
@pytest.mark.parametrize("name", [*sorted(CONFIGS.keys() - {"bvector"}), *OTHERS])
@given(
    dimensions=st.sampled_from([4, 8, 9, 12]),
    utterances=st.lists(st.integers(1, 5), min_size=1, max_size=9),
    num_adaptation=st.sampled_from([1, 5, 8, 30]),
)
@settings(max_examples=12, deadline=None)
def test_numbers_refuse_what_the_training_refuses(name, dimensions, utterances, num_adaptation):
    if name in CONFIGS:
        options = small(CONFIGS[name])
    else:
        options = OTHERS[name]
    random = np.random.default_rng([dimensions, *utterances])
    speakers = [f"s{who}" for who, number in enumerate(utterances) for _ in range(number)]
    vectors = random.normal(size=(len(speakers), dimensions))
    others = random.normal(size=(num_adaptation, dimensions))
    backend, _ = build_backend(FAMILIES, options, name)
    amount = Amount(np.array(utterances))
    if backend.needs_adaptation:
        amount = Amount(np.array(utterances), num_adaptation)
    message = refusal(lambda: backend.check(dimensions, amount))
    assert message or not refusal(lambda: backend.check(dimensions, Amount()))
    refused = refusal(lambda: backend.fit(vectors, speakers, others))
    # numbers do not show everything: a training may also refuse the values of vectors
    of_vectors = "log-likelihood" in refused or "do not vary" in refused
    assert bool(message) == bool(refused) or (of_vectors and not message), (message, refused)


@pytest.mark.parametrize(("dimensions", "is_refused"), [(32, True), (199, True), (200, False)])
def test_without_numbers_of_speakers_only_the_size_is_checked(dimensions, is_refused):
    backend, _ = build_backend(FAMILIES, CONFIGS["lda_plda"], "lda_plda")
    if is_refused:
        with pytest.raises(ValueError, match=f"lda: dim 200 .*{dimensions} dimensions"):
            backend.check(dimensions, Amount())
    else:
        backend.check(dimensions, Amount())


@pytest.mark.parametrize(
    ("utterances", "is_refused"), [([5], True), ([1, 1, 1], True), ([1, 2], False), ([4, 4], False)]
)
def test_a_b_vector_needs_two_speakers_and_a_pair(utterances, is_refused):
    backend, _ = build_backend(FAMILIES, CONFIGS["bvector"], "bvector")
    if is_refused:
        with pytest.raises(ValueError, match="pairs need two speakers"):
            backend.check(8, Amount(np.array(utterances)))
    else:
        backend.check(8, Amount(np.array(utterances)))
