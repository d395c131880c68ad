"""PLDA: densities written out, known parameters recovered, invariants, and what is refused."""

import re

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.backends.adaptation import CoralPlus, KaldiAdaptation
from steps.backends.linear_links import Coral, Lda, Wccn, Whiten
from steps.backends.links import LengthNorm, Mean
from steps.backends.plda import Plda
from steps.backends.plda_training import add_likelihood, condense, train_plda
from steps.backends.speaker_statistics import preflight, speaker_statistics
from tests.conftest import ROOT

FEW = settings(max_examples=20)


def simulate(num_speakers, num_utts, within, between, seed=0, mean=0.0):
    """Vectors of a known model, and their speakers."""
    rng = np.random.default_rng(seed)
    counts = np.broadcast_to(num_utts, num_speakers)
    speakers = np.repeat(np.arange(num_speakers), counts)
    own = rng.multivariate_normal(np.zeros(len(within)), between, num_speakers)[speakers]
    return own + rng.multivariate_normal(np.full(len(within), mean), within, len(speakers)), [
        f"s{k}" for k in speakers
    ]


def covariances(rng, dimensions, between_scale=1.0):
    """Two random covariances."""
    factors = rng.standard_normal((2, dimensions, 2 * dimensions))
    within, between = factors @ factors.swapaxes(1, 2) / (2 * dimensions)
    return within, between_scale * between


def gaussian_log_density(vector, covariance):
    return -0.5 * (
        len(vector) * np.log(2 * np.pi)
        + np.linalg.slogdet(covariance)[1]
        + vector @ np.linalg.solve(covariance, vector)
    )


def joint_covariance(count, within, between):
    """Of the vectors of one speaker, one after the other."""
    return np.kron(np.eye(count), within) + np.kron(np.ones((count, count)), between)


@FEW
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_a_score_is_the_ratio_of_the_joint_densities_of_all_vectors(seed, count):
    """One speaker against two for n enrolment utterances and the test: (n + 1) D dimensions."""
    rng = np.random.default_rng(seed)
    within, between = covariances(rng, 3)
    vectors, speakers = simulate(30, 4, within, between, seed)
    backend = Plda(normalize_length=False).fit(vectors, speakers)
    mean, transform, psi = backend.parts()["plda"]
    back = np.linalg.inv(transform)
    within, between = back @ back.T, (back * psi) @ back.T
    enrol, test = rng.standard_normal((count, 3)), rng.standard_normal(3)
    together = gaussian_log_density(
        np.concatenate([*(enrol - mean), test - mean]), joint_covariance(count + 1, within, between)
    )
    apart = gaussian_log_density((enrol - mean).ravel(), joint_covariance(count, within, between))
    apart += gaussian_log_density(test - mean, within + between)
    ours = backend.score(
        backend.transform(enrol.mean(axis=0)[None], np.array([count])),
        backend.transform(test[None]),
    )
    assert ours == pytest.approx([together - apart])


def test_the_likelihood_is_that_of_the_joint_densities():
    rng = np.random.default_rng(3)
    vectors, speakers = simulate(12, np.arange(12) % 3 + 1, *covariances(rng, 3), 3)
    trained = train_plda(speaker_statistics(vectors, speakers), 4)
    back = np.linalg.inv(trained.transform)
    within, between = back @ back.T, (back * trained.psi) @ back.T
    total = 0.0
    for speaker in dict.fromkeys(speakers):
        group = vectors[np.array(speakers) == speaker] - trained.mean
        covariance = joint_covariance(len(group), within, between)
        total += gaussian_log_density(group.ravel(), covariance)
    assert trained.log_likelihoods[-1] == pytest.approx(total / len(vectors))


@pytest.mark.parametrize("rank", [None, 4])
def test_known_parameters_are_recovered(rank):
    rng = np.random.default_rng(1)
    within, between = covariances(rng, 6, 2.0)
    if rank:
        loadings = rng.standard_normal((6, rank))
        between = loadings @ loadings.T
    vectors, speakers = simulate(4000, 8, within, between, 1, mean=3.0)
    mean, transform, psi = Plda(iterations=30, rank=rank).fit(vectors, speakers).parts()["plda"]
    back = np.linalg.inv(transform)
    errors = [
        np.abs(result - true).max() / np.abs(true).max()
        for result, true in ((back @ back.T, within), ((back * psi) @ back.T, between))
    ]
    print(
        f"rank {rank}: largest error of W {errors[0]:.3f}, of B {errors[1]:.3f} "
        "of the largest entry"
    )
    assert mean == pytest.approx(np.full(6, 3.0), abs=0.15)
    assert errors[0] < 0.03
    assert errors[1] < 0.08
    assert rank is None or (psi[rank:] == 0).all()


@FEW
@given(st.integers(0, 10_000), st.sampled_from([None, 1, 3, 5]))
def test_the_likelihood_never_falls(seed, rank):
    rng = np.random.default_rng(seed)
    vectors, speakers = simulate(
        20, rng.integers(1, 6, 20), *covariances(rng, 5, rng.choice([0.01, 1, 100])), seed
    )
    history = train_plda(speaker_statistics(vectors, speakers), 15, rank).log_likelihoods
    assert len(history) == 16
    assert (np.diff(history) >= -1e-9 * np.maximum(1, np.abs(history[1:]))).all()


def test_a_falling_likelihood_is_an_error():
    vectors, speakers = simulate(20, 4, *covariances(np.random.default_rng(0), 3))
    statistics = speaker_statistics(vectors, speakers)
    trained = train_plda(statistics)
    trained.log_likelihoods[-1] += 1.0
    means = condense(statistics.counts, statistics.means - trained.mean)
    scatter = trained.transform @ statistics.within_scatter @ trained.transform.T
    with pytest.raises(
        ValueError, match=r"the log-likelihood of PLDA fell from .* in iteration 11"
    ):
        add_likelihood(trained, means, means.rows @ trained.transform.T, scatter)


@pytest.mark.parametrize(
    "links",
    [
        [],
        [Mean(), LengthNorm()],
        [Mean(), Lda(4), LengthNorm()],
        [Wccn(), LengthNorm()],
        [Whiten(), LengthNorm(), Lda(5)],
    ],
)
@FEW
@given(seed=st.integers(0, 10_000))
def test_an_orthogonal_turn_of_all_vectors_changes_no_score(links, seed):
    """EM starts from unit matrices, length and LDA know no axes: nothing may depend on them."""
    rng = np.random.default_rng(seed)
    vectors, speakers = simulate(30, 5, *covariances(rng, 6), seed, mean=0.5)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    scores = []
    for some in (vectors, vectors @ turn):
        backend = Plda(links).fit(some, speakers)
        rows = backend.transform(some)
        scores.append(backend.score(rows[:-1], rows[1:]))
    assert scores[1] == pytest.approx(scores[0], rel=1e-6, abs=1e-6)


@FEW
@given(st.integers(0, 10_000))
def test_pairwise_and_all_at_once_agree_for_any_numbers_of_utterances(seed):
    rng = np.random.default_rng(seed)
    vectors, speakers = simulate(20, 4, *covariances(rng, 4), seed)
    backend = Plda().fit(vectors, speakers)
    counts = rng.integers(1, 9, 15)
    enrol, test = backend.transform(vectors[:15], counts), backend.transform(vectors[15:22])
    each = backend.score_matrices(enrol, test)
    pairwise = [backend.score(enrol[[row] * 7], test) for row in range(15)]
    assert each == pytest.approx(np.array(pairwise))
    stacks = backend.score_matrices(np.stack([enrol[:5], enrol[5:10]]), np.stack([test, test]))
    assert stacks == pytest.approx(np.stack([each[:5], each[5:10]]))


def test_float32_vectors_have_the_scores_of_float64_within_the_contract():
    """Also where speakers differ much."""
    within, between = np.eye(40), 1e4 * np.eye(40)
    vectors, speakers = simulate(200, 5, within, between)
    backend = Plda().fit(vectors, speakers)
    exact, rounded = (
        backend.score(rows[:-1], rows[1:])
        for rows in (backend.transform(vectors), backend.transform(vectors.astype(np.float32)))
    )
    relative = np.abs(exact - rounded) / np.maximum(1, np.abs(exact))
    print(
        f"largest difference {np.abs(exact - rounded).max():.1e}, "
        f"relative to the score {relative.max():.1e}"
    )
    assert relative.max() <= 1e-3


def test_averaging_takes_a_mean_of_many_for_one_utterance():
    vectors, speakers = simulate(30, 4, *covariances(np.random.default_rng(5), 4))
    book, average = (
        Plda(multi_session=name).fit(vectors, speakers) for name in ("by_the_book", "average")
    )
    one, many = np.ones(10, int), np.full(10, 5)
    assert np.array_equal(average.transform(vectors[:10], many), book.transform(vectors[:10], one))
    assert not np.allclose(book.transform(vectors[:10], many), book.transform(vectors[:10], one))


def test_a_dimension_that_is_always_zero_is_no_crash():
    vectors, speakers = simulate(30, 5, *covariances(np.random.default_rng(6), 4))
    wide = np.column_stack([vectors, np.zeros(len(vectors))])
    for rank in (None, 2):
        backend = Plda(rank=rank).fit(wide, speakers)
        rows = backend.transform(wide)
        assert np.isfinite(backend.score(rows[:-1], rows[1:])).all()
        assert backend.report_["within_rank"] == 4


def test_preflight_counts():
    vectors, speakers = simulate(4, [1, 2, 2, 9], np.eye(3), np.eye(3))
    report = preflight(speaker_statistics(vectors, speakers))
    assert report["vectors_per_speaker"] == {"smallest": 1, "median": 2.0, "largest": 9}
    assert (
        report["vectors"],
        report["dimensions"],
        report["speakers"],
        report["speakers_with_one_vector"],
    ) == (14, 3, 4, 1)
    assert (report["within_rank"], report["between_rank"]) == (3, 3)


def test_statistics_do_not_depend_on_the_order_of_vectors():
    vectors, speakers = simulate(
        700, np.arange(700) % 17 + 1, *covariances(np.random.default_rng(7), 3)
    )
    order = np.random.default_rng(0).permutation(len(vectors))
    one, other = (
        speaker_statistics(vectors, speakers),
        speaker_statistics(vectors[order], [speakers[k] for k in order]),
    )
    assert other.within_scatter == pytest.approx(one.within_scatter)
    by_hand = {
        speaker: vectors[np.array(speakers) == speaker].mean(axis=0) for speaker in ("s0", "s699")
    }
    assert one.means[[0, -1]] == pytest.approx(np.stack([by_hand["s0"], by_hand["s699"]]))
    names = list(dict.fromkeys(speakers[k] for k in order))
    assert other.means[names.index("s699")] == pytest.approx(by_hand["s699"])


def test_shrinkage_moves_the_scatter_to_a_ball_of_the_same_trace():
    vectors, speakers = simulate(20, 4, *covariances(np.random.default_rng(8), 3))
    statistics = speaker_statistics(vectors, speakers)
    ball = statistics.shrunk(1.0).within_scatter
    assert ball == pytest.approx(np.eye(3) * np.trace(statistics.within_scatter) / 3)
    assert statistics.shrunk(0.0).within_scatter == pytest.approx(statistics.within_scatter)


def test_adaptation_to_vectors_as_the_model_expects_them_changes_nothing():
    rng = np.random.default_rng(9)
    within, between = covariances(rng, 4)
    vectors, speakers = simulate(2000, 6, within, between)
    mean, transform, psi = Plda().fit(vectors, speakers).parts()["plda"]
    back = np.linalg.inv(transform)
    some = rng.standard_normal((100, 4))
    unit = Whiten().fit(some, None, None).transform(some)
    others = (
        unit @ np.linalg.cholesky(back @ back.T + (back * psi) @ back.T).T + mean
    )  # exactly of this mean and covariance
    for adapt in (KaldiAdaptation(), CoralPlus()):
        new_mean, _, adapted = adapt(mean, transform, psi, others)
        assert new_mean == pytest.approx(mean)
        assert adapted == pytest.approx(psi)


def test_coral_plus_makes_covariances_grow_and_never_shrink():
    vectors, speakers = simulate(200, 6, *covariances(np.random.default_rng(10), 4))
    model = Plda().fit(vectors, speakers).parts()["plda"]
    others = vectors * np.array([3.0, 1.0, 1.0, 0.2])

    def of(mean, transform, psi):
        back = np.linalg.inv(transform)
        return np.stack([back @ back.T, (back * psi) @ back.T])

    for old, new in zip(of(*model), of(*CoralPlus()(*model, others)), strict=True):
        growth = np.linalg.eigvalsh(new - old)
        assert growth.min() > -1e-9
        assert growth.max() > 0.1
    assert of(*CoralPlus(0, 0)(*model, others)) == pytest.approx(of(*model))


def test_coral_gives_training_vectors_mean_and_covariance_of_the_others_and_leaves_trials():
    rng = np.random.default_rng(11)
    rows, others = (
        rng.standard_normal((300, 4)) @ rng.standard_normal((4, 4)),
        rng.standard_normal((200, 4)) * [1, 2, 3, 4] + 5,
    )
    link = Coral().fit(rows, None, others)
    moved = link.transform_training(rows)
    assert moved.mean(axis=0) == pytest.approx(others.mean(axis=0))
    assert np.cov(moved.T, bias=True) == pytest.approx(np.cov(others.T, bias=True))
    assert link.transform(rows) is rows


def test_whitening_and_wccn_make_their_covariance_unit():
    vectors, speakers = simulate(50, 5, *covariances(np.random.default_rng(12), 4), mean=2.0)
    white = Whiten().fit(vectors, None, None).transform(vectors)
    assert np.cov(white.T, bias=True) == pytest.approx(np.eye(4), abs=1e-9)
    assert white.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-9)
    link = Wccn().fit(vectors, speakers, None)
    assert speaker_statistics(
        link.transform(vectors), speakers
    ).within_covariance() == pytest.approx(np.eye(4), abs=1e-9)
    assert link.matrix_[:, :-1] == pytest.approx(link.matrix_[:, :-1].T)


@pytest.mark.parametrize(
    ("links", "options"),
    [
        ([], {}),
        ([Mean(), Lda(3), LengthNorm()], {}),
        ([Lda(4), Wccn(), Whiten(2), LengthNorm(), Lda(2)], {}),
        ([LengthNorm(), Mean(), LengthNorm(False)], {}),
        ([Mean("adaptation"), LengthNorm()], {"adaptation": KaldiAdaptation()}),
        ([Coral(), Mean(), LengthNorm()], {}),
    ],
)
def test_links_together_do_what_they_do_one_by_one_and_survive_their_files(links, options):
    vectors, speakers = simulate(40, 5, *covariances(np.random.default_rng(13), 5), mean=1.0)
    others = vectors[::2] * 1.5 + 0.3
    backend = Plda(links, **options).fit(vectors, speakers, others)
    rows = vectors
    for link in links:
        rows = link.transform(rows)
    assert backend.chain.map_block(vectors.copy()) == pytest.approx(rows)
    again = Plda(links, **options).from_parts(backend.parts())
    assert np.array_equal(again.transform(vectors), backend.transform(vectors))


REFUSED = [
    ("one speaker", np.ones((5, 2)), ["a"] * 5, "found 1 speaker, expected several"),
    ("one utterance each", np.eye(4), list("abcd"), "each of the 4 speakers has one utterance"),
    (
        "fewer vectors than dimensions",
        np.eye(6)[:4],
        list("aabb"),
        "found 4 vectors of 6 dimensions, expected more vectors",
    ),
    ("other number of speakers", np.eye(4), list("aab"), "4 vectors and 3 speakers"),
    ("nothing varies", np.ones((6, 2)), list("aabbcc"), "do not vary in any direction"),
]


@pytest.mark.parametrize(
    ("vectors", "speakers", "message"),
    [case[1:] for case in REFUSED],
    ids=[case[0] for case in REFUSED],
)
def test_what_nothing_can_be_learned_from_is_refused(vectors, speakers, message):
    with pytest.raises(ValueError, match=message):
        Plda([Lda(1)]).fit(vectors, speakers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda v, s: Plda(rank=9).fit(v, s), "rank 9 is not between 1 and 3"),
        (lambda v, s: Lda(4).fit(v, s, None), "dim 4 is more than the 3 dimensions"),
        (
            lambda v, s: Whiten(3).fit(v * [1, 1, 0], None, None),
            "dim 3 is more than the 2 directions",
        ),
        (
            lambda v, s: LengthNorm().transform_training(np.vstack([v, np.zeros(3)])),
            "vector 100 is zero",
        ),
        (
            lambda v, s: Plda([Mean()]).from_parts({"plda": Plda().fit(v, s).parts()["plda"]}),
            r"no mean\.vec",
        ),
        (lambda v, s: Plda().from_parts({}), "no plda"),
        (
            lambda v, s: Plda([Lda(2)]).from_parts(
                Plda([Lda(3)]).fit(v, s).parts() | {"transform.mat": np.ones((2, 4))}
            ),
            "takes vectors of 3 dimensions",
        ),
        (lambda v, s: Plda(iterations=0), "iterations from 1"),
        (lambda v, s: Lda(0), "dim from 1"),
        (lambda v, s: Wccn(2.0), "shrinkage 2.0"),
        (lambda v, s: Coral(-1.0), "ridge -1.0"),
        (lambda v, s: CoralPlus(2.0), r"scales 2\.0"),
        (lambda v, s: KaldiAdaptation(-1.0), "negative"),
        (lambda v, s: Whiten(0), "dim 0"),
    ],
)
def test_wrong_options_and_files_are_refused(make, message):
    vectors, speakers = simulate(20, 5, np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match=message):
        make(vectors, speakers)


@pytest.mark.parametrize(("dimensions", "names_a_file"), [(64, True), (10, False)])
def test_too_large_an_lda_says_which_key_and_what_fits(dimensions, names_a_file):
    """And its remedy works: the largest dim that it allows, and the file that it names."""
    vectors, speakers = simulate(80, 3, np.eye(dimensions), np.eye(dimensions))
    with pytest.raises(
        ValueError, match="in the back end's YAML set dim of the link lda to"
    ) as caught:
        Lda(200).fit(vectors, speakers, None)
    assert f"to {dimensions} or less" in str(caught.value)
    Lda(dimensions).fit(vectors, speakers, None)
    named = re.search(r"conf/backends/\w+\.yaml", str(caught.value))
    assert bool(named) == names_a_file
    if named:
        (lda,) = (
            link
            for link in yaml.safe_load((ROOT / named[0]).read_text())["links"]
            if link["name"] == "lda"
        )
        Lda(lda["dim"]).fit(vectors, speakers, None)
