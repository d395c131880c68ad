"""Every link and every score of the back ends against files that Kaldi's own programs made.

tests/golden/kaldi/COMMANDS.txt has the commands.
"""

import numpy as np
import pytest

from steps.backends import ADAPTATIONS, LINKS
from steps.backends.linear_links import Lda
from steps.backends.links import LengthNorm, Mean
from steps.backends.plda import Plda, smoothed
from tests.steps.backends.kaldi_golden import (
    GOLDEN,
    golden_vectors,
    num_utts,
    same_signs,
    scores_beside_kaldi,
    training,
)
from utils.archive import iterate_archive, read_matrix, read_vector
from utils.archive.plda import read_plda

TOLERANCE = 1e-3  # of the contract: times the larger of 1 and the score


def kaldi_chain(**options):
    """Mean, LDA, length normalisation and PLDA, as Kaldi wrote them."""
    parts = {
        "mean.vec": read_vector(GOLDEN / "mean.vec"),
        "transform.mat": read_matrix(GOLDEN / "lda.mat"),
        "plda": read_plda(GOLDEN / "plda_lda"),
    }
    return Plda([Mean(), Lda(12), LengthNorm()], **options).from_parts(parts)


def kaldi_plda(name, **options):
    return Plda(**options).from_parts({"plda": read_plda(GOLDEN / name)})


def our_chain():
    return Plda([Mean(), Lda(12), LengthNorm()]).fit(*training())


def our_adapted():
    return Plda(adaptation=ADAPTATIONS["kaldi"](0.75, 0.25)).fit(
        *training(), golden_vectors("adapt")[1]
    )


SCORES = [
    ("scores_plda_raw", lambda: kaldi_plda("plda_raw"), True),
    ("scores_plda_raw", lambda: Plda().fit(*training()), True),
    ("scores_plda_raw_nonorm", lambda: kaldi_plda("plda_raw", normalize_length=False), True),
    (
        "scores_plda_raw_simple",
        lambda: kaldi_plda("plda_raw", simple_length_normalization=True),
        True,
    ),
    ("scores_plda_lda", kaldi_chain, True),
    ("scores_plda_lda", our_chain, True),
    ("scores_plda_lda_single", kaldi_chain, False),
    ("scores_plda_lda_single", lambda: kaldi_chain(multi_session="average"), True),
    ("scores_plda_adapted", lambda: kaldi_plda("plda_adapted"), True),
    ("scores_plda_adapted", our_adapted, True),
]


@pytest.mark.parametrize(("name", "make", "by_the_book"), SCORES)
def test_scores_are_those_of_kaldi(name, make, by_the_book):
    pairwise, at_once, theirs = scores_beside_kaldi(
        make(), name, num_utts() if by_the_book else None
    )
    print(
        f"{name}: {len(theirs)} trials, largest difference {np.abs(pairwise - theirs).max():.1e}, "
        f"at once {np.abs(at_once - theirs).max():.1e}"
    )
    assert len(theirs) > 500
    assert (np.abs(pairwise - theirs) <= TOLERANCE * np.maximum(1, np.abs(theirs))).all()
    assert np.abs(pairwise - theirs).max() < 5e-5  # Kaldi prints 7 digits
    assert np.abs(at_once - theirs).max() < 5e-5


def test_the_number_of_utterances_matters():
    """Otherwise the test above could not tell."""
    backend = kaldi_chain()
    single, _, theirs = scores_beside_kaldi(backend, "scores_plda_lda")
    assert np.abs(single - theirs).max() > 0.1


def test_the_mean_is_that_of_kaldi():
    vectors, _ = training()
    link = LINKS["mean"]().fit(vectors, None, None)
    assert link.mean_ == pytest.approx(read_vector(GOLDEN / "mean.vec"), abs=1e-6)


def test_enrolment_means_are_those_of_kaldi():
    keys, vectors = golden_vectors("enroll")
    models, means = golden_vectors("enroll_mean")
    for line in (GOLDEN / "enroll.spk2utt").read_text().splitlines():
        model, *utterances = line.split()
        mean = vectors[[keys.index(key) for key in utterances]].mean(axis=0, dtype=np.float64)
        assert means[models.index(model)] == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize(
    ("scaleup", "name"), [(True, "test_length_normalized.txt"), (False, "test_unit_norm.txt")]
)
def test_length_normalisation_is_that_of_kaldi(scaleup, name):
    theirs = np.stack([vector for _, vector in iterate_archive(GOLDEN / name)])
    assert LengthNorm(scaleup).transform(golden_vectors("test")[1]) == pytest.approx(
        theirs, abs=1e-6
    )


@pytest.mark.parametrize("name", ["lda.mat", "lda.txt"])
def test_lda_is_that_of_kaldi(name):
    """Kaldi centred the vectors first: its offset is near 0.  Signs of rows are the solver's."""
    vectors, speakers = training()
    ours, theirs = (
        Lda(12).fit(Mean().fit(vectors, None, None).transform(vectors), speakers, None).matrix_,
        read_matrix(GOLDEN / name),
    )
    print(f"largest difference {np.abs(same_signs(ours, theirs) - theirs).max():.1e}")
    assert same_signs(ours, theirs) == pytest.approx(theirs, abs=1e-6)


def test_the_offset_column_of_lda_takes_the_mean_away():
    vectors, speakers = training()
    raw, centred = (
        Lda(12).fit(vectors, speakers, None),
        Lda(12).fit(vectors - vectors.mean(axis=0), speakers, None),
    )
    assert raw.matrix_[:, :-1] == pytest.approx(centred.matrix_[:, :-1], abs=1e-5)
    assert raw.transform(vectors).mean(axis=0) == pytest.approx(np.zeros(12), abs=1e-6)


def test_plda_has_the_parameters_of_kaldi():
    for ours, name, tolerance in (
        (Plda().fit(*training()), "plda_raw", 1e-10),
        (our_adapted(), "plda_adapted", 1e-10),
    ):
        (mean, transform, psi), theirs = ours.parts()["plda"], read_plda(GOLDEN / name)
        print(
            name,
            *(
                f"{np.abs(a - b).max():.1e}"
                for a, b in zip(
                    (mean, same_signs(transform, theirs.transform), psi), theirs, strict=True
                )
            ),
        )
        assert mean == pytest.approx(theirs.mean, abs=tolerance)
        assert same_signs(transform, theirs.transform) == pytest.approx(
            theirs.transform, abs=tolerance
        )
        assert psi == pytest.approx(theirs.psi, abs=tolerance)


def test_plda_behind_lda_has_the_parameters_of_kaldi():
    """Rows of our LDA may have other signs than Kaldi's; then so do columns of the transform."""
    parts, theirs = our_chain().parts(), read_plda(GOLDEN / "plda_lda")
    signs = np.sign((parts["transform.mat"] * read_matrix(GOLDEN / "lda.mat")).sum(axis=1))
    mean, transform, psi = parts["plda"]
    assert mean * signs == pytest.approx(theirs.mean, abs=1e-5)
    assert same_signs(transform * signs, theirs.transform) == pytest.approx(
        theirs.transform, abs=1e-5
    )
    assert psi == pytest.approx(theirs.psi, abs=1e-5)


@pytest.mark.parametrize("name", ["plda_raw", "plda_lda"])
def test_smoothing_is_that_of_kaldi(name):
    ours, theirs = (
        smoothed(*read_plda(GOLDEN / name), 0.1),
        read_plda(GOLDEN / f"{name}_smoothed.txt"),
    )
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-6)  # the text has 7 digits


def test_chain_files_have_the_names_and_sizes_of_kaldi():
    parts = our_chain().parts()
    assert {name: np.shape(part) for name, part in parts.items() if name != "plda"} == {
        "mean.vec": (24,),
        "transform.mat": (12, 25),
    }
