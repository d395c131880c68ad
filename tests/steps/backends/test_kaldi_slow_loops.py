"""LDA, PLDA training, length normalisation and scores against slow loops, for random sizes.

As the golden files were made, with other seeds.
"""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from steps.backends.linear_links import Lda
from steps.backends.plda import Plda

FEW = settings(max_examples=12)


@st.composite
def corpora(draw):
    """Vectors of unequal speakers, some with one vector, with their names, in random order."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    dimensions, num_speakers = draw(st.integers(2, 9)), draw(st.integers(14, 40))
    counts = rng.integers(1, draw(st.integers(3, 9)), num_speakers)
    mixing = rng.standard_normal((2, dimensions, dimensions))
    speakers = np.repeat(np.arange(num_speakers), counts)
    vectors = (
        rng.standard_normal((num_speakers, dimensions))[speakers] @ mixing[0]
        + rng.standard_normal((len(speakers), dimensions)) @ mixing[1]
    )
    order = rng.permutation(len(speakers))
    return vectors[order] + 0.7, [f"spk{speaker}" for speaker in speakers[order]], rng


def slow_em(vectors, speakers, iterations):
    """Mean, W and B after some iterations, one speaker after the other, with Kaldi's counts."""
    groups = [vectors[[name == speaker for name in speakers]] for speaker in sorted(set(speakers))]
    means = [group.mean(axis=0) for group in groups]
    mean, within, between = (
        np.mean(means, axis=0),
        np.eye(vectors.shape[1]),
        np.eye(vectors.shape[1]),
    )
    for _ in range(iterations):
        of_utterances = sum(
            (group - group.mean(axis=0)).T @ (group - group.mean(axis=0)) for group in groups
        )
        of_speakers = np.zeros_like(within)
        for group, own in zip(groups, means, strict=True):
            n = len(group)
            covariance = np.linalg.inv(np.linalg.inv(between) + n * np.linalg.inv(within))
            hidden = covariance @ (n * np.linalg.inv(within) @ (own - mean))
            of_speakers += covariance + np.outer(hidden, hidden)
            of_utterances = (
                of_utterances
                + n * covariance
                + n * np.outer(own - mean - hidden, own - mean - hidden)
            )
        within, between = of_utterances / len(vectors), of_speakers / len(groups)
    return mean, within, between


@FEW
@given(corpora())
def test_em_is_that_of_a_loop_over_speakers(corpus):
    vectors, speakers, _ = corpus
    mean, within, between = slow_em(vectors, speakers, 10)
    ours, transform, psi = Plda().fit(vectors, speakers).parts()["plda"]
    assert ours == pytest.approx(mean)
    assert transform @ within @ transform.T == pytest.approx(np.eye(len(mean)), abs=1e-7)
    assert transform @ between @ transform.T == pytest.approx(
        np.diag(psi), rel=1e-7, abs=1e-7 * max(1, psi.max())
    )
    assert (np.diff(psi) <= 0).all()


def test_the_unit_of_a_dimension_changes_no_score():
    """Dimensions a million times smaller than others are no noise: float32 holds them as well."""
    rng = np.random.default_rng(3)
    speakers = np.repeat(np.arange(30), 5)
    vectors = rng.standard_normal((30, 4))[speakers] + rng.standard_normal((150, 4))
    names, units = [f"spk{speaker}" for speaker in speakers], np.array([1e-6, 1.0, 1e3, 1e-3])
    mean, within, between = slow_em(vectors * units, names, 10)
    backend = Plda().fit(vectors * units, names)
    ours, transform, psi = backend.parts()["plda"]
    assert backend.report_["floored_eigenvalues"] == 0
    assert ours == pytest.approx(mean)
    assert transform @ within @ transform.T == pytest.approx(np.eye(4), abs=1e-6)
    assert transform @ between @ transform.T == pytest.approx(
        np.diag(psi), rel=1e-6, abs=1e-6 * psi.max()
    )


@FEW
@given(
    corpora(),
    st.sampled_from([{}, {"normalize_length": False}, {"simple_length_normalization": True}]),
)
def test_scores_are_those_of_one_trial_after_the_other(corpus, options):
    vectors, speakers, rng = corpus
    backend = Plda(**options).fit(vectors, speakers)
    mean, transform, psi = backend.parts()["plda"]
    counts = rng.integers(1, 12, len(vectors))

    def moved(vector, count):
        row = transform @ (vector - mean)
        if options.get("normalize_length", True):
            expected = np.ones(len(psi)) if options else psi + 1 / count
            row = row * np.sqrt(len(psi) / np.sum(row**2 / expected))
        return row

    def log_density(row, centre, variance):
        return -0.5 * np.sum(np.log(2 * np.pi * variance) + (row - centre) ** 2 / variance)

    one_by_one = []
    for k in range(len(vectors) - 1):
        enrol, test, n = moved(vectors[k], counts[k]), moved(vectors[k + 1], 1), counts[k]
        same = log_density(test, n * psi / (n * psi + 1) * enrol, 1 + psi / (n * psi + 1))
        one_by_one.append(same - log_density(test, 0, 1 + psi))
    ours = backend.score(
        backend.transform(vectors[:-1], counts[:-1]), backend.transform(vectors[1:])
    )
    assert ours == pytest.approx(np.array(one_by_one), rel=1e-8, abs=1e-8)


def test_scores_of_vectors_of_any_length_are_those_of_double_precision():
    """Squares of 10 million cancel; Kaldi keeps rows in single precision, computes in double."""
    backend = Plda(normalize_length=False).from_parts(
        {"plda": (np.zeros(2), np.eye(2), np.array([0.5, 0.25]))}
    )
    rng = np.random.default_rng(5)
    enrol, test = (rng.standard_normal((400, 2)).astype(np.float32) * 3000 for _ in range(2))
    means, psi = enrol.astype(np.float64) * backend.psi_ / (1 + backend.psi_), backend.psi_
    given = np.sum(np.log1p(psi / (1 + psi)) + (test - means) ** 2 / (1 + psi / (1 + psi)), axis=1)
    alone = np.sum(np.log1p(psi) + test.astype(np.float64) ** 2 / (1 + psi), axis=1)
    expected = (alone - given) / 2
    ours = backend.score(backend.transform(enrol), backend.transform(test))
    print(
        f"scores up to {np.abs(expected).max():.1e}, down to {np.abs(expected).min():.1e}, "
        f"largest difference {np.abs(ours - expected).max():.1e}"
    )
    assert ours == pytest.approx(expected, rel=1e-6, abs=1e-3)


@FEW
@given(corpora(), st.sampled_from([0.0, 0.3, 1.0]))
def test_lda_solves_the_generalised_eigenvalue_problem(corpus, factor):
    vectors, speakers, _ = corpus
    groups = [vectors[[name == speaker for name in speakers]] for speaker in sorted(set(speakers))]
    within = sum(
        (group - group.mean(axis=0)).T @ (group - group.mean(axis=0)) for group in groups
    ) / len(vectors)
    total = np.cov(vectors.T, bias=True)
    divisor = factor * total + (1 - factor) * within
    assume(
        np.linalg.cond(divisor) < 1e5
    )  # else eigenvalues are floored, as in Kaldi, which this computation does not do
    eigenvalues = scipy.linalg.eigh(total - within, divisor, eigvals_only=True)[::-1]
    dim = max(1, vectors.shape[1] - 1)
    ours = Lda(dim, total_covariance_factor=factor).fit(vectors, speakers, None).matrix_
    axes = ours[
        :, :-1
    ]  # by two products, since axes of near eigenvalues are not determined one by one
    assert axes @ divisor @ axes.T == pytest.approx(np.eye(dim), abs=1e-8)
    assert axes @ (total - within) @ axes.T == pytest.approx(
        np.diag(eigenvalues[:dim]), rel=1e-7, abs=1e-8 * eigenvalues[0]
    )
    assert ours[:, -1] == pytest.approx(-ours[:, :-1] @ vectors.mean(axis=0))
