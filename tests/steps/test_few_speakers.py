"""Lists of few speakers: meaningless intervals, bands and p values are left out, with a reason."""

import json
from itertools import combinations

import numpy as np
import pytest

from steps.compare import compare
from steps.evaluate import evaluate
from tests.steps.test_compare_folds import write
from utils.evaluation.results import text_table
from utils.metrics.interval_rule import speakers_needed
from utils.report.comparison import differences_part


def write_list(work, num_speakers, llr=False, utterances=4):
    """A test set of all pairs and two systems, ``x`` and ``y``, whose EER is some 10 %."""
    folder = work / "data" / "test"
    folder.mkdir(parents=True)
    speakers = [f"s{number:03d}" for number in range(num_speakers)]
    utt2spk = {f"{speaker}-{k}": speaker for speaker in speakers for k in range(utterances)}
    (folder / "utt2spk").write_text("".join(f"{key} {spk}\n" for key, spk in utt2spk.items()))
    # few speakers of one sex: a subset of its own
    genders = {speaker: "fm"[number >= 3] for number, speaker in enumerate(speakers)}
    (folder / "spk2gender").write_text("".join(f"{spk} {sex}\n" for spk, sex in genders.items()))
    pairs = list(combinations(utt2spk, 2))
    is_target = np.array([utt2spk[a] == utt2spk[b] for a, b in pairs])
    kinds = np.where(is_target, "target", "nontarget")
    lines = [f"{a} {b} {kind}\n" for (a, b), kind in zip(pairs, kinds, strict=True)]
    (folder / "trials").write_text("".join(lines))
    for seed, system in enumerate("xy"):
        noise = 1.5 * np.random.default_rng(seed).standard_normal(len(pairs))
        path = work / "exp" / system / "scores" / "test" / "cosine.scores"
        write(path, pairs, 4.0 * is_target - 2 + noise, llr)
    return work


def evaluated(work, **options):
    """Rows by system and subset, and the curves."""
    exp = work / "exp"
    evaluate(exp / "x", work / "data", others=[exp / "y"], **{"replicates": 200, **options})
    rows, curves = (
        json.loads((exp / "x" / f"{name}.json").read_text()) for name in ("results", "curves")
    )
    return {(row["system"], row["subset"]): row for row in rows}, curves


@pytest.mark.parametrize("num_speakers", [2, 3, 4])
def test_a_handful_of_speakers_has_no_interval_and_no_band(tmp_path, num_speakers):
    rows, curves = evaluated(write_list(tmp_path, num_speakers, llr=True))
    for row in rows.values():
        if row["eer_percent"] is not None:
            intervals = [
                name for name in row if name.endswith("_interval") and name != "no_interval"
            ]
            assert len(intervals) == 6
            assert all(row[name] is None for name in intervals)
    whole = rows["x", "all"]
    assert whole["no_interval"].keys() == {
        "eer_percent", "cllr", "min_dcf_0.01", "min_dcf_0.05", "act_dcf_0.01", "act_dcf_0.05",
    }  # fmt: skip
    needed = speakers_needed("eer", whole["eer_percent"])
    assert whole["no_interval"]["eer_percent"] == f"{num_speakers} speakers, {needed} needed"
    assert not any("band_low" in curve for curve in curves)
    said = text_table(list(rows.values()))
    assert "test: no interval of EER" in said
    assert f"{num_speakers} speakers" in said


def test_many_speakers_have_intervals_and_their_small_subset_has_none(tmp_path):
    rows, curves = evaluated(write_list(tmp_path, 45, llr=True))
    whole, few = rows["x", "all"], rows["x", "sex: f"]
    assert whole["eer_percent_interval"]
    assert whole["cllr_interval"]
    assert "eer_percent" not in whole["no_interval"]
    assert few["speakers"] == 3
    assert few["eer_percent_interval"] is None
    assert few["no_interval"]["eer_percent"].startswith("3 speakers, ")
    assert all("band_low" in curve for curve in curves)
    for row in rows.values():
        assert set(row["no_interval"]) == {
            name.removesuffix("_interval")
            for name, ends in row.items()
            if name.endswith("_interval") and name != "no_interval" and ends is None
        } - (set() if row["cllr"] is not None else {"cllr"})


def test_further_operating_points_obey_the_rule(tmp_path):
    rows, _ = evaluated(write_list(tmp_path, 45), operating_points="0.0001,0.5")
    whole = rows["x", "all"]
    assert whole["min_dcf_0.0001_interval"] is None
    assert "min_dcf_0.0001" in whole["no_interval"]
    assert whole["min_dcf_0.5_interval"]


def test_whoever_asks_for_no_intervals_is_told_no_reason(tmp_path):
    rows, _ = evaluated(write_list(tmp_path, 2), replicates=0)
    assert rows["x", "all"]["no_interval"] == {}


@pytest.mark.parametrize(("num_speakers", "has_test"), [(2, False), (4, False), (45, True)])
def test_paired_comparisons_obey_the_rule(tmp_path, capsys, num_speakers, has_test):
    write_list(tmp_path, num_speakers)
    systems = [tmp_path / "exp" / name for name in "xy"]
    counts = compare([tmp_path / "data"], tmp_path / "compared", experiments=systems)
    (one,) = json.loads((tmp_path / "compared" / "differences.json").read_text())
    found = one["eer_percent"]
    rows = json.loads((tmp_path / "compared" / "results.json").read_text())
    eers = {row["system"]: row["eer_percent"] for row in rows if row["subset"] == "all"}
    assert found["difference"] == pytest.approx(eers["x"] - eers["y"])
    said, page = capsys.readouterr().out, differences_part([one])
    assert (one["no_interval"] is None) is has_test
    for value in (found["low"], found["high"], found["p"], one["p_corrected"]):
        assert (value is not None) is has_test
    assert ("95 % interval" in said) is has_test
    assert ("no interval: " in page) is not has_test
    if not has_test:
        assert counts["clear"] == 0
        assert f"points, no interval: {num_speakers} speakers, " in said
        assert "[" not in page.partition("EER points")[2].partition("in words")[0]
