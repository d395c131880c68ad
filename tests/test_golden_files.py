"""Every golden file of Kaldi is compared by a test that is named here; some by tests below."""

import re

import numpy as np
import pytest

from tests.conftest import ROOT
from utils.archive import iterate_archive, read_scp
from utils.archive.iterate import read_integers
from utils.audio import audio_info
from utils.data_dir import read_map, read_trials
from utils.data_dir.lists import read_spk2utt
from utils.scoring.score_files import read_scores

GOLDEN = ROOT / "tests" / "golden" / "kaldi"
BACK_ENDS, ARCHIVE = "steps/backends/test_kaldi_back_ends.py", "utils/archive/test_archive.py"
MATCHED = {  # test -> files that it compares with ours
    f"{ARCHIVE}::test_binary_vectors_equal_their_text_twin": (
        "train.scp train.txt enroll.scp enroll.txt adapt.scp adapt.txt test.scp test.txt"
    ),
    f"{ARCHIVE}::test_rewritten_archive_and_scp_are_kaldis_bytes": (
        "train.ark enroll.ark adapt.ark test.ark enroll_mean.ark enroll_mean.scp mats.ark "
        "mats.scp wav_copy.ark wav_copy.scp"
    ),
    f"{ARCHIVE}::test_both_flavours_hold_the_test_vectors": "flavour_binary.ark",
    f"{ARCHIVE}::test_rewritten_files_are_kaldis_bytes": (
        "flavour_text.ark lda.mat lda.txt mean.vec enroll_num_utts.txt"
    ),
    f"{ARCHIVE}::test_matrices_equal_their_text_twin": "mats.txt",
    f"{ARCHIVE}::test_compressed_matrices_are_decoded_as_kaldi_does": "mats_compressed_decoded.txt",
    f"{ARCHIVE}::test_bare_vector_and_matrix": "mean.txt",
    f"{ARCHIVE}::test_enrolment_means_and_counts": "enroll.spk2utt",
    f"{ARCHIVE}::test_wave_archives_hold_the_samples_of_the_files": (
        "segments segments_wav.ark wav.scp"
    ),
    "utils/archive/test_compressed.py::test_kaldis_own_bytes_come_out_of_its_matrices": (
        "mats_compressed.ark mats_compressed.scp"
    ),
    "utils/archive/test_plda.py::test_a_file_of_kaldi_has_the_same_bytes_after_a_round_trip": (
        "plda_raw plda_lda plda_adapted plda_raw.txt plda_lda.txt plda_adapted.txt "
        "plda_raw_smoothed.txt plda_lda_smoothed.txt"
    ),
    f"{BACK_ENDS}::test_length_normalisation_is_that_of_kaldi": (
        "test_length_normalized.txt test_unit_norm.txt"
    ),
    f"{BACK_ENDS}::test_scores_are_those_of_kaldi": (
        "scores_plda_raw scores_plda_raw_nonorm scores_plda_raw_simple scores_plda_lda "
        "scores_plda_lda_single scores_plda_adapted"
    ),
    "steps/test_score.py::test_cosine_without_mean_equals_kaldi_on_the_golden_set": (
        "scores_cosine trials"
    ),
    "utils/metrics/test_rates.py::test_kaldis_rule_gives_what_kaldi_gave": "compute_eer.txt",
    "utils/features/test_kaldi.py::test_kaldi_agrees": (
        "fbank80.txt fbank40_nosnip.txt mfcc30_voxceleb.txt"
    ),
    "utils/features/test_normalisation.py::test_sliding_mean_of_stored_features_is_kaldis": (
        "mfcc30_cmvn_sliding.txt"
    ),
    "utils/vad/test_energy.py::test_decisions_are_kaldis_from_the_sound": (
        "vad.txt wav/w0.wav wav/w1.wav wav/w2.wav"
    ),
    "steps/test_kaldi_folders.py::test_the_commands_are_those_that_made_the_golden_files": (
        "COMMANDS.txt"
    ),
    "test_golden_files.py::test_lists_of_speakers_agree": (
        "train.utt2spk train.spk2utt enroll.utt2spk adapt.utt2spk adapt.spk2utt"
    ),
    "test_golden_files.py::test_durations_are_kaldis": "utt2dur.txt",
}


def test_every_golden_file_is_matched_by_a_test():
    there = {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.is_file()}
    named = [name for files in MATCHED.values() for name in files.split()]
    assert sorted(named) == sorted(there)


@pytest.mark.parametrize("test", MATCHED)
def test_the_test_is_there_and_names_its_files(test):
    path, _, name = test.partition("::")
    text = (ROOT / "tests" / path).read_text()
    assert re.search(rf"^def {name}\(", text, re.MULTILINE)
    for file in MATCHED[test].split():
        stem = file.removeprefix("wav/").partition(".")[0]
        spoken = [f'"{file}"', f"'{file}'", f'/{file}"', f'"{stem}"', f'"{stem}.']
        assert any(words in text for words in spoken), f"{test} does not name {file}"


@pytest.mark.parametrize("name", ["train", "enroll", "adapt"])
def test_lists_of_speakers_agree(name):
    """Names such as "train.utt2spk", "enroll.utt2spk", "adapt.utt2spk"."""
    speaker_of, members = (
        read_map(GOLDEN / f"{name}.utt2spk"),
        read_spk2utt(GOLDEN / f"{name}.spk2utt"),
    )
    assert list(speaker_of) == list(read_scp(GOLDEN / f"{name}.scp"))
    assert {
        utterance: speaker for speaker, utterances in members.items() for utterance in utterances
    } == speaker_of


def test_durations_are_kaldis():
    durations = {key: float(value) for key, value in read_map(GOLDEN / "utt2dur.txt").items()}
    for key, entry in read_scp(GOLDEN / "wav.scp").items():
        samples, rate = audio_info(entry, root=GOLDEN)
        assert samples / rate == pytest.approx(durations[key], abs=1e-6)


@pytest.mark.parametrize("name", ["train", "enroll", "adapt"])
def test_lists_of_one_kind_are_read_alike_by_every_reader(name):
    """Those of speakers, and those of archives."""
    members = read_spk2utt(GOLDEN / f"{name}.spk2utt")
    assert {
        speaker: utterances.split()
        for speaker, utterances in read_map(GOLDEN / f"{name}.spk2utt").items()
    } == members
    assert read_map(GOLDEN / f"{name}.scp") == read_scp(GOLDEN / f"{name}.scp")


def test_counts_segments_and_scores_are_read_by_the_readers_that_users_get():
    counts = read_integers(GOLDEN / "enroll_num_utts.txt")
    assert counts == {
        speaker: len(utterances)
        for speaker, utterances in read_spk2utt(GOLDEN / "enroll.spk2utt").items()
    }
    recordings = {line.split()[0] for line in read_map(GOLDEN / "segments").values()}
    assert recordings <= read_map(GOLDEN / "wav.scp").keys()
    pairs = list(zip(*read_trials(GOLDEN / "trials")[:2], strict=True))
    for path in sorted(GOLDEN.glob("scores_*")):
        enrol, test, _ = read_scores(path)
        assert list(zip(enrol, test, strict=True)) == pairs, path


def test_trials_name_what_there_is():
    enrol, test, is_target = read_trials(GOLDEN / "trials")
    assert set(enrol) <= set(read_spk2utt(GOLDEN / "enroll.spk2utt"))
    assert set(test) <= {key for key, _ in iterate_archive(GOLDEN / "test.ark")}
    assert 0 < np.mean(is_target) < 1
