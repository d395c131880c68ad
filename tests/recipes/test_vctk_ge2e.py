"""recipes/vctk_ge2e: the tests of each mode and protocol, their labels in figures, refusals."""

import json

import numpy as np
import pytest

from tests.lookalike.vctk import make_vctk
from tests.recipes.runs import last_line, run
from utils.data_dir import read_map, read_trials
from utils.data_dir.lists import read_spk2utt

PROMPTED = "prompted, texts differ between enrolment and test"
SEED = "same recording, other noise"


def noises_of(folder, side):
    """Noises in the copies of one side of the trials."""
    return {
        record.partition("(")[2].partition(",")[0]
        for name, record in read_map(folder / "utt2augmentation").items()
        if f"-{side}" in name
    }


def check_centring(experiment):
    """Nothing is centred: neither what is in the table, nor what training validated."""
    rows = json.loads((experiment / "results.json").read_text())
    assert {row["system"]: row["centred"].split(", ")[0] for row in rows} == dict.fromkeys(
        ("tiny_ge2e", "tiny_ge2e-untrained", "mfcc_stats_8000"), "not centred"
    )
    history = (experiment / "log" / "history.jsonl").read_text().splitlines()
    validated = [entry for entry in map(json.loads, history) if "dev_eer_percent" in entry]
    assert validated
    assert all(entry["dev_centred_by"] == 0 for entry in validated)


def check_labels(experiment, text, label, *others):
    """Every text with a figure names its kind, and no other kind."""
    rows = json.loads((experiment / "results.json").read_text())
    assert all(row["watermarks"] == [label] for row in rows)
    shown = [
        text,
        *(
            (experiment / name).read_text()
            for name in (
                "report.html",
                "results.md",
                "similarity/test/similarity.svg",
                "similarity/test/thresholds.tsv",
                "similarity/test/summary.json",
            )
        ),
    ]
    assert all(label in page for page in shown)
    assert not any(other in page for page in shown for other in others)


@pytest.mark.slow
def test_prompted_enrols_with_some_sentences_and_tests_others_and_the_ledger_counts_flaws(
    runs,
):
    workdir = runs.whole("vctk_ge2e")
    check_labels(workdir / "exp" / "tiny_ge2e", runs.run("vctk_ge2e", workdir), PROMPTED, SEED)
    check_centring(workdir / "exp" / "tiny_ge2e")
    data = workdir / "data" / "td-prompted"
    tested = data / "packed_8000_trim" / "tested" / "test"
    models, (enrol, test, is_target) = (
        read_spk2utt(tested / "enroll.spk2utt"),
        read_trials(tested / "trials"),
    )
    prompt_of = read_map(tested / "utt2prompt")
    enrolled = {prompt_of[utterance] for members in models.values() for utterance in members}
    assert enrolled.isdisjoint({prompt_of[utterance] for utterance in test})
    assert (len(models), len(enrol), is_target.sum()) == (3, 3 * 3 * 2, 3 * 2), (
        "all three held-out speakers"
    )
    assert noises_of(tested, "enrol").isdisjoint(noises_of(tested, "verify"))
    assert (noises_of(tested, "enrol") | noises_of(tested, "verify")).isdisjoint(
        read_map(data / "noise" / "wav.scp")
    )
    # 14 speakers x 7; one recording is a raw file, one text is missing, one speaker has no texts;
    # 13 sentences are of one speaker only
    assert json.loads((data / "ledger.json").read_text()) == {
        "came_in": 97,
        "went_on": 76,
        "no_text": 8,
        "other_sentences": 13,
        "texts_without_recording": 1,
    }
    assert json.loads((data / "noise" / "ledger.json").read_text())["unreadable"] == 1
    matrix = np.load(
        workdir / "exp" / "tiny_ge2e" / "similarity" / "test" / "similarity.npy", allow_pickle=False
    )
    assert matrix.shape == (3, 6)
    assert np.isfinite(matrix).all()


@pytest.mark.long
@pytest.mark.slow
def test_other_back_ends_with_noisy_copies_norms_calibration_and_fusion(runs, tmp_path):
    """Models of several utterances against single utterances; in dev, single ones on both sides."""
    workdir, plda = runs.copy("vctk_ge2e", tmp_path), runs.base / "corpora" / "tiny_plda.yaml"
    both = [
        "--backend",
        f"conf/backends/plain_cosine.yaml,{plda}",
        "--copies",
        "recipes/vctk_ge2e/conf/augmentation/copies.yaml",
        "--score-norm",
        "s_norm",
    ]
    learned = [
        "--calibrate",
        "true",
        "--fuse",
        "true",
        "--fuse-with",
        workdir / "exp" / "mfcc_stats_8000",
    ]
    for options in both, learned:
        print(runs.run("vctk_ge2e", workdir, *options))
        assert "nothing to do" in runs.run("vctk_ge2e", workdir, *options)
    rows = {
        (row["test_set"], row["backend"]): row
        for row in json.loads((workdir / "exp" / "tiny_ge2e" / "results.json").read_text())
        if row["subset"] == "all" and row["system"] == "tiny_ge2e"
    }
    scorers = {
        f"{name}_copies{norm}" for name in ("plain_cosine", "tiny_plda") for norm in ("", "_s_norm")
    } | {"plain_cosine"}
    assert {name for part, name in rows if part == "dev"} == scorers
    assert {name for part, name in rows if part == "test"} == scorers | {
        "plain_cosine_calibrated",
        "fused",
    }
    same = {
        rows["test", name]["eer_percent"]
        for name in ("plain_cosine", "plain_cosine_copies", "plain_cosine_calibrated")
    }
    assert len(same) == 1, "nothing is learned from copies, and a calibration keeps the order"
    assert all(row["watermarks"] == [PROMPTED] for row in rows.values())


@pytest.mark.long
@pytest.mark.slow
def test_seed_tests_the_recording_that_it_enrols_in_other_noise(runs, tmp_path):
    """On 0.92 with its second microphone; utterances are the last 80 frames of the one sentence."""
    corpus = make_vctk(tmp_path / "vctk", "0.92", num_speakers=14, sentences=2, seconds=1.3)
    (tmp_path / "tiny_seed.yaml").write_text(
        (runs.base / "corpora" / "tiny_ge2e.yaml")
        .read_text()
        .replace("utterances: 3", "utterances: 1, crops_per_utterance: 3")
    )
    text = runs.run(
        "vctk_ge2e",
        tmp_path / "work",
        f"--vctk={corpus}",
        "--mic=2",
        "--protocol=seed",
        "--top-db=20",
        "--name=mine",
        f"--config={tmp_path / 'tiny_seed.yaml'}",
    )
    experiment = tmp_path / "work" / "exp" / "tiny_seed-td-seed-mic2-top20-mine"
    check_labels(experiment, text, SEED, PROMPTED)
    tested = (
        tmp_path / "work" / "data" / "td-seed-mic2-top20" / "packed_8000_trim" / "tested" / "test"
    )
    models, (_, test, _) = read_spk2utt(tested / "enroll.spk2utt"), read_trials(tested / "trials")
    assert {name.partition("-")[0] for members in models.values() for name in members} == {
        name.partition("-")[0] for name in test
    }
    assert set(read_map(tested / "text").values()) == {"Please call Stella."}
    assert max(map(int, read_map(tested / "utt2num_samples").values())) == 6320, (
        "80 frames of librosa's at 8 kHz"
    )
    assert noises_of(tested, "enrol").isdisjoint(noises_of(tested, "verify"))
    provenance = json.loads((experiment / "embeddings" / "test" / "provenance.json").read_text())
    assert (provenance["vad"], provenance["crops"]) == (
        "trimmed when packed",
        "whole utterances, utterances cut to the last 0.79 s",
    )


@pytest.mark.slow
def test_ti_splits_at_silences_and_keeps_recordings_apart_and_works_without_dev(runs, tmp_path):
    corpus = make_vctk(tmp_path / "vctk", num_speakers=12, sentences=3, others=2, seconds=2.6)
    (tmp_path / "tiny_ti.yaml").write_text(
        (runs.base / "corpora" / "tiny_ge2e.yaml")
        .read_text()
        .replace("crop_seconds: 0.79", "crop_seconds: [1.39, 1.79]")
        .replace("augmentation: {chain: [{name: noise, snr_db: recorded}]}\n", "")
    )
    options = [
        f"--vctk={corpus}",
        "--mode=ti",
        "--dev-speakers=0",
        f"--config={tmp_path / 'tiny_ti.yaml'}",
        "--utterances=2",
        f"--workdir={tmp_path / 'work'}",
    ]
    text = run("vctk_ge2e", *options)
    assert "no dev: the last checkpoint is used" in text
    assert not any(label in text for label in (PROMPTED, SEED))
    experiment = tmp_path / "work" / "exp" / "tiny_ti-ti-dev0"
    assert {row["test_set"] for row in json.loads((experiment / "results.json").read_text())} == {
        "test"
    }
    assert "dev_eer_percent" not in (experiment / "log" / "history.jsonl").read_text()
    packed = tmp_path / "work" / "data" / "ti-dev0" / "packed_8000_split"
    assert (
        min(map(int, read_map(packed / "whole" / "train" / "utt2num_samples").values())) >= 14600
    ), "180 frames and a window"
    original = read_map(packed / "tested" / "test" / "utt2original")
    models, (_, test, _) = (
        read_spk2utt(packed / "tested" / "test" / "enroll.spk2utt"),
        read_trials(packed / "tested" / "test" / "trials"),
    )
    assert {original[name] for members in models.values() for name in members}.isdisjoint(
        {original[name] for name in test}
    )
    assert "nothing to do" in run("vctk_ge2e", *options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "--vctk is needed"),
        (["--vctk=."], "--noisy-vctk is needed in mode td"),
        (["--vctk=.", "--mode=tx"], "option --mode is one of td, ti"),
        (["--vctk=.", "--mic=3"], "option --mic is one of 1, 2"),
        (["--vctk=.", "--protocol=both"], "option --protocol is one of prompted, seed"),
        (
            ["--vctk=.", "--mode=ti", "--copies=conf/augmentation/vgg.yaml"],
            "--copies needs --noisy-vctk",
        ),
        (["--vctk=.", "--mode=ti", "--split"], "--trim and --split are not for this recipe"),
    ],
    ids=str,
)
def test_a_wrong_command_line_is_one_line_and_2(tmp_path, options, complaint):
    text = run("vctk_ge2e", "--workdir", tmp_path / "work", *options, code=2)
    assert complaint in text
    assert len(text.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_wrong_root_is_one_line(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    for option in ("vctk", "noisy-vctk"):
        text = runs.run("vctk_ge2e", tmp_path / "work", f"--{option}={tmp_path / 'empty'}", code=1)
        print(last_line(text))
        assert str(tmp_path / "empty") in last_line(text)
        assert f"correct --{option}" in last_line(text)
