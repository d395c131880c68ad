"""Kaldi's own back-end files as arrays, for tests that compare ours with them."""

from pathlib import Path

import numpy as np

from utils.archive import iterate_archive
from utils.scoring.score_files import read_scores

GOLDEN = Path(__file__).parents[2] / "golden" / "kaldi"


def golden_vectors(name):
    """Keys and vectors of an archive."""
    items = list(iterate_archive(GOLDEN / f"{name}.ark"))
    return [key for key, _ in items], np.stack([vector for _, vector in items])


def training():
    """Vectors and speakers that Kaldi trained on."""
    keys, vectors = golden_vectors("train")
    utt2spk = dict(line.split() for line in (GOLDEN / "train.utt2spk").read_text().splitlines())
    return vectors, [utt2spk[key] for key in keys]


def num_utts():
    """Utterances behind each row of enroll_mean.ark."""
    lines = (GOLDEN / "enroll_num_utts.txt").read_text().splitlines()
    counts = dict(line.split() for line in lines)
    keys, _ = golden_vectors("enroll_mean")
    return np.array([int(counts[key]) for key in keys])


def scores_beside_kaldi(backend, name, counts=None):
    """Ours, pairwise and all at once, and Kaldi's scores of the golden trials."""
    enrol, test, theirs = read_scores(GOLDEN / name)
    models, means = golden_vectors("enroll_mean")
    tests, vectors = golden_vectors("test")
    left, right = backend.transform(means, counts), backend.transform(vectors)
    rows, columns = [models.index(key) for key in enrol], [tests.index(key) for key in test]
    return (
        backend.score(left[rows], right[columns]),
        backend.score_matrices(left, right)[rows, columns],
        theirs,
    )


def same_signs(rows, theirs):
    """Rows with the signs of theirs: the sign of an eigenvector depends on the solver."""
    return rows * np.sign(np.sum(rows * theirs, axis=1))[:, None]
