"""Only in the recipe voxceleb1: official lists, PLDA on copies, leakage refused, no dev set."""

import json
import shutil

import pytest

from tests.conftest import ROOT
from tests.lookalike.voxceleb import make_voxceleb1, make_voxceleb2
from tests.recipes.runs import TINY_YAML, last_line, run


@pytest.mark.slow
def test_the_official_lists_are_scored_whole_by_plda_on_copies(runs, shared_data, tmp_path):
    """Every file of veri_test.txt is there; both lists run as they are, from stage 0 to 7."""
    one = make_voxceleb1(
        tmp_path / "one",
        official=[shared_data / "lists" / name for name in ("veri_test.txt", "veri_test2.txt")],
        seconds=0.5,
    )
    two = make_voxceleb2(tmp_path / "two", seconds=1.2)
    (tmp_path / "tiny.yaml").write_text(TINY_YAML)
    corpora = runs.base / "corpora"
    for kind in ("music", "noise", "speech"):
        shutil.copytree(corpora / "noise", tmp_path / "musan" / kind)
    text = run(
        "voxceleb1",
        "--voxceleb1",
        one,
        "--voxceleb2",
        two,
        "--musan",
        tmp_path / "musan",
        "--rirs",
        corpora / "rirs",
        "--config",
        tmp_path / "tiny.yaml",
        "--workdir",
        tmp_path / "work",
        "--tests",
        "vox1_o,vox1_o_cleaned",
        "--allow-incomplete",
        "--steps",
        4,
        "--copies",
        ROOT / "conf" / "augmentation" / "kaldi_voxceleb_copies.yaml",
        "--backend",
        ROOT / "conf" / "backends" / "plda.yaml",
    )
    print(text.partition("== stage 7")[2])
    experiment = next(path.parent for path in tmp_path.glob("work/exp/*/results.json"))
    rows = {
        row["test_set"]: row
        for row in json.loads((experiment / "results.json").read_text())
        if row["subset"] == "all"
    }
    assert (rows["vox1_o"]["targets"], rows["vox1_o"]["nontargets"]) == (18_860, 18_860)
    assert (rows["vox1_o_cleaned"]["targets"], rows["vox1_o_cleaned"]["nontargets"]) == (
        18_802,
        18_809,
    )
    assert rows["vox1_o"]["watermarks"] == []
    packed = next((tmp_path / "work" / "data").glob("*/packed_16000"))
    originals = len((packed / "train" / "utt2spk").read_text().splitlines())
    assert (
        len(
            (experiment / "embeddings" / "train_kaldi_voxceleb_copies" / "xvector.scp")
            .read_text()
            .splitlines()
        )
        == 5 * originals
    )
    assert (experiment / "backend" / "plda_kaldi_voxceleb_copies" / "plda").exists()


@pytest.mark.slow
def test_the_speakers_of_e_and_h_are_not_trained_on_without_leave(runs, tmp_path):
    text = runs.run("voxceleb1", tmp_path / "work", "--training", "both", code=1)
    assert (
        "--training both trains on speakers of VoxCeleb1 dev, "
        "who are also in the trials of vox1_e_cleaned" in last_line(text)
    )
    assert list(tmp_path.iterdir()) == []
    assert "never run" in runs.run(
        "voxceleb1", tmp_path / "work", "--training", "both", "--allow-leakage", "--status"
    )


@pytest.mark.slow
def test_without_dev_speakers_nothing_is_validated(runs, tmp_path):
    text = runs.run("voxceleb1", tmp_path / "work", "--dev-speakers", 0, "--dry-run", "--verbose")
    command = next(line for line in text.splitlines() if "-m steps.train " in line)
    assert "/packed_16000/train none " in command
    assert "tests/dev" not in text
