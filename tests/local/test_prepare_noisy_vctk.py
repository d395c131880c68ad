"""The noise of the noisy VCTK: noisy minus clean samples, drops and refusals."""

import json

import numpy as np
import pytest
import soundfile

from local.prepare_noisy_vctk import prepare_noisy_vctk
from tests.lookalike.vctk import make_noisy_vctk
from utils.audio import UtteranceReader
from utils.data_dir import read_map, validate_data_dir
from utils.errors import UserError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_noisy_vctk(
        tmp_path_factory.mktemp("noisy"), 10, 0.3, parts=("testset", "trainset_28spk")
    )


def test_noise_is_noisy_minus_clean_as_loud_as_it_was_recorded(corpus, tmp_path):
    prepare_noisy_vctk(corpus, tmp_path)
    found = {}
    for name in ("noise", "noise_test"):
        validate_data_dir(tmp_path / name, audio=True)
        wav_scp = read_map(tmp_path / name / "wav.scp")
        found |= {utterance: UtteranceReader(wav_scp).read(utterance) for utterance in wav_scp}
    assert len(found) == 10
    for utterance, (samples, rate) in found.items():
        clean, noisy = (
            soundfile.read(
                corpus / f"{side}_testset_wav" / f"{utterance.removeprefix('testset-')}.wav"
            )
            for side in ("clean", "noisy")
        )
        assert rate == 48000
        np.testing.assert_allclose(samples, noisy[0] - clean[0], atol=1e-7)


def test_training_enrolment_and_verification_have_noises_of_their_own(corpus, tmp_path):
    """Ten noises in byte order: of every five three train, one enrols and one verifies."""
    counts = prepare_noisy_vctk(corpus, tmp_path)
    assert {name: counts[name]["went_on"] for name in counts} == {"noise": 6, "noise_test": 4}
    assert set(read_map(tmp_path / "noise" / "utt2type").values()) == {"train"}
    assert read_map(tmp_path / "noise_test" / "utt2type") == {
        "testset-p232_004": "enrol",
        "testset-p232_005": "verify",
        "testset-p257_009": "enrol",
        "testset-p257_010": "verify",
    }


def test_the_number_of_threads_changes_no_byte(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("local.prepare_noisy_vctk.READ_AHEAD", 4)
    for jobs in (1, 3):
        prepare_noisy_vctk(corpus, tmp_path / str(jobs), jobs=jobs)
    files = [
        path.relative_to(tmp_path / "1")
        for path in (tmp_path / "1").rglob("*")
        if path.is_file() and path.suffix in (".ark", ".num_samples")
    ]
    assert len(files) == 4
    assert all(
        (tmp_path / "1" / file).read_bytes() == (tmp_path / "3" / file).read_bytes()
        for file in files
    )


@pytest.mark.parametrize(
    ("part", "total"), [("found", 10), ("test", 10), ("train", 10), ("all", 20)]
)
def test_the_part_is_chosen_by_an_option_or_by_what_is_there(corpus, tmp_path, part, total):
    counts = prepare_noisy_vctk(corpus, tmp_path, part=part)
    assert sum(each["came_in"] for each in counts.values()) == total


def test_the_first_edition_calls_its_training_part_otherwise(corpus, tmp_path):
    for side in ("clean", "noisy"):
        (tmp_path / "old").mkdir(exist_ok=True)
        (tmp_path / "old" / f"{side}_trainset_wav").symlink_to(
            corpus / f"{side}_trainset_28spk_wav"
        )
    counts = prepare_noisy_vctk(tmp_path / "old", tmp_path / "out")
    assert counts["noise"]["came_in"] + counts["noise_test"]["came_in"] == 10
    assert {
        name.partition("-")[0] for name in read_map(tmp_path / "out" / "noise" / "wav.scp")
    } == {"trainset"}


@pytest.mark.parametrize("folder", ["__MACOSX/{}", "{}"])
def test_what_a_mac_leaves_beside_recordings_is_no_recording(tmp_path, folder):
    corpus = make_noisy_vctk(tmp_path / "corpus", 10, 0.2)
    for name in ("clean_testset_wav", "noisy_testset_wav"):
        beside = corpus / folder.format(name)
        beside.mkdir(parents=True, exist_ok=True)
        for file in list((corpus / name).iterdir()):
            (beside / f"._{file.name}").write_bytes(bytes(100))
    counts = prepare_noisy_vctk(corpus, tmp_path / "out")
    assert {name: each["came_in"] for name, each in counts.items()} == {"noise": 6, "noise_test": 4}


def test_a_second_run_has_nothing_to_do_and_the_corpus_is_left_alone(corpus, tmp_path, capsys):
    before = sorted((str(path), path.stat().st_mtime_ns) for path in corpus.rglob("*"))
    first = prepare_noisy_vctk(corpus, tmp_path)
    capsys.readouterr()
    assert prepare_noisy_vctk(corpus, tmp_path) == first
    assert capsys.readouterr() == ("", "")
    assert sorted((str(path), path.stat().st_mtime_ns) for path in corpus.rglob("*")) == before


@pytest.mark.parametrize(
    ("flaw", "detail"),
    [
        ("length", "14300 samples at 48000 Hz, the clean one has 14400 at 48000"),
        ("rate", "4800 samples at 16000 Hz, the clean one has 14400"),
        ("unpaired", "has no clean counterpart"),
        ("unreadable", "p232_002"),
    ],
)
def test_a_pair_that_does_not_match_goes_to_the_ledger(tmp_path, flaw, detail):
    counts = prepare_noisy_vctk(
        make_noisy_vctk(tmp_path / "corpus", 10, 0.3, flaws=[flaw]), tmp_path / "out"
    )["noise"]
    dropped = (tmp_path / "out" / "noise" / "dropped").read_text()
    print(dropped)
    assert (counts["came_in"], counts["went_on"], counts["unreadable"]) == (6, 5, 1)
    assert dropped.startswith("testset-p232_002 unreadable ")
    assert detail in dropped
    assert json.loads((tmp_path / "out" / "noise" / "ledger.json").read_text())["unreadable"] == 1


def test_more_pairs_that_do_not_match_than_the_ledger_allows_are_refused(tmp_path):
    corpus = make_noisy_vctk(tmp_path / "corpus", 10, 0.3, flaws=["length"])
    (corpus / "noisy_testset_wav" / "p232_001.wav").write_bytes(b"")
    with pytest.raises(
        UserError,
        match="2 of 6 utterances dropped as unreadable, at most 1 may be.*run the stage again$",
    ):  # no option raises it
        prepare_noisy_vctk(corpus, tmp_path / "out")
    assert not (tmp_path / "out" / "noise" / "wav.scp").exists()


def test_a_missing_side_or_a_wrong_root_is_refused(tmp_path):
    corpus = make_noisy_vctk(tmp_path / "corpus", 5, 0.2, flaws=["no_clean"])
    (tmp_path / "VCTK-Corpus").mkdir()
    for folder, part, complaint in (
        (
            corpus,
            "found",
            (
                "noisy_testset_wav/ has files and its counterpart clean_testset_wav/ has none, "
                "expected both"
            ),
        ),
        (
            corpus,
            "train",
            "0 pairs of recordings, expected 5 or more in clean_trainset_28spk_wav/ with",
        ),
        (
            tmp_path / "VCTK-Corpus",
            "found",
            "0 pairs of recordings, .*; it holds no folders; correct --noisy-vctk",
        ),
        (
            tmp_path / "VCTK-Corpus",
            "found",
            "expected 5 or more in clean_testset_wav/ .* or clean_trainset_wav/ with",
        ),
        (
            corpus / "noisy_testset_wav",
            "found",
            "is noisy_testset_wav/ itself: give the folder above it",
        ),
        (
            tmp_path / "none",
            "found",
            "no such folder, expected the one that holds clean_testset_wav",
        ),
    ):
        with pytest.raises(UserError, match=complaint):
            prepare_noisy_vctk(folder, tmp_path / "out", part=part)
