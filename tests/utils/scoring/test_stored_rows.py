"""Rows in a file, and cohorts that are kept there: the same scores whatever lies where."""

import numpy as np
import pytest

from tests.steps.test_normalise_scores import normalised, scored, work  # noqa: F401  (a fixture)
from utils.archive import read_scp
from utils.archive.bulk import vector_blocks
from utils.scoring import cohort
from utils.scoring.cohort import StoredRows


def test_rows_come_back_in_any_slices(tmp_path):
    rows, stored = (
        np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32),
        StoredRows(tmp_path),
    )
    for start in range(0, 50, 12):
        stored.append(rows[start : start + 12])
    assert len(stored) == 50
    for wanted in (slice(0, 50), slice(3, 4), slice(11, 13), slice(45, 99), slice(20, 20)):
        assert np.array_equal(stored[wanted], rows[wanted])
    assert list(tmp_path.iterdir()) == []  # the file has no name: nothing stays behind
    with pytest.raises(ValueError, match="every 2th row"):
        stored[::2]
    with pytest.raises(ValueError, match="rows of 3 float32, those before are of 7"):
        stored.append(rows[:, :3])


@pytest.mark.parametrize("method", ["as_norm1", "as_norm2", "s_norm"])
def test_a_cohort_in_a_file_gives_the_same_scores(work, monkeypatch, method):  # noqa: F811
    scored(work)
    options = {
        "method": method,
        "cohort_of": "utterances",
        "cohort_utt2spk": work / "data" / "train" / "utt2spk",
    }
    at_once = normalised(work, output="at_once", **options).read_text()
    monkeypatch.setattr(cohort, "VECTORS_AT_A_TIME", 5)
    in_blocks = normalised(work, output="in_blocks", **options).read_text()
    kept = []
    monkeypatch.setattr(cohort, "LARGE_BYTES", 0)
    monkeypatch.setattr(
        cohort, "StoredRows", lambda folder: kept.append(StoredRows(folder)) or kept[-1]
    )
    in_a_file = normalised(work, output="in_a_file", **options).read_text()
    assert len(kept[0]) == 48
    assert at_once == in_blocks == in_a_file


def test_blocks_of_vectors_follow_the_keys(work):  # noqa: F811
    entries = read_scp(work / "emb" / "train" / "xvector.scp")
    keys = list(entries)[::-3]
    blocks = list(vector_blocks(entries, keys, 4))
    assert [key for some, _ in blocks for key in some] == keys
    assert [len(vectors) for _, vectors in blocks] == [4, 4, 4, 4]
