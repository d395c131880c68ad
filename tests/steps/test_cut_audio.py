"""Cut sets and N x M enrolment: samples and draws by a slow loop, lists, and refusals."""

import json

import numpy as np
import pytest

from steps.cut_audio import cut_audio
from steps.make_enrolment import make_enrolment
from tests.voices import RATE, make_packed
from utils.data_dir import read_data_dir, read_map, read_trials
from utils.embeddings.inference import open_packed
from utils.errors import UserError
from utils.packed.facts import describe_augmentation, describe_cut, vad_when_packed
from utils.trials.enrolment import enrol_and_verify


@pytest.fixture
def packed(tmp_path):
    """Fifteen utterances of 0.3 to 1.1 s."""
    folder = make_packed(tmp_path / "test", {"a": 100, "b": 140, "c": 190}, utterances=5)
    (folder / "ledger.json").write_text(
        json.dumps({"came_in": 16, "went_on": 15, "lost_trials": 3})
    )
    (folder / "text").write_text("".join(f"{key} word\n" for key in read_map(folder / "utt2spk")))
    (folder / "spk2gender").write_text("a m\nb m\nc f\n")
    return folder


@pytest.mark.parametrize("repeat_short", [True, False])
def test_utterances_are_their_centres_sample_for_sample(packed, tmp_path, repeat_short):
    counts = cut_audio(packed, tmp_path / "cut", seconds=0.6, repeat_short=repeat_short)
    keys, reader = open_packed(packed, RATE)
    cut_keys, cut_reader = open_packed(tmp_path / "cut", RATE)
    assert keys == cut_keys
    shorter = 0
    for index, length in enumerate(reader.num_samples.tolist()):
        samples, wanted = reader.read(index), 9600
        shorter += length < wanted
        if length >= wanted:
            expected = samples[(length - wanted) // 2 :][:wanted]
        else:
            expected = np.tile(samples, 5)[:wanted] if repeat_short else samples
        assert np.array_equal(cut_reader.read(index), expected), keys[index]
    assert counts == {"utterances": 15, "shorter": shorter}
    assert 0 < shorter < 15


def test_the_cut_set_is_a_data_directory_with_the_same_trials_and_says_what_it_is(packed, tmp_path):
    cut_audio(packed, tmp_path / "cut", seconds=0.5)
    cut = read_data_dir(tmp_path / "cut")
    assert cut.trials == read_data_dir(packed).trials
    assert set(cut.maps) == {"utt2num_samples", "utt2dur", "spk2gender"}, (
        "text was of whole utterances"
    )
    assert set(cut.maps["utt2dur"].values()) == {"0.5000"}
    assert json.loads((tmp_path / "cut" / "ledger.json").read_text()) == {
        "came_in": 15,
        "went_on": 15,
        "lost_trials": 3,
    }
    assert (vad_when_packed(tmp_path / "cut"), describe_augmentation(tmp_path / "cut")) == (
        "unknown",
        "none",
    )
    assert describe_cut(tmp_path / "cut") == "cut to 0.5 s around the centre, short ones repeated"
    assert describe_cut(packed) == ""
    (tmp_path / "cut" / "sound.json").write_text('{"vad": "none", "augmentation": []')
    with pytest.raises(
        UserError,
        match=r"sound\.json: not a JSON object \(Expecting.*\); run the step that writes it again",
    ):
        vad_when_packed(tmp_path / "cut")


def test_the_same_cut_is_done_already_and_gives_the_same_bytes(packed, tmp_path):
    cut_audio(packed, tmp_path / "cut", seconds=0.5)
    made = (tmp_path / "cut" / "packed.1.ark").stat().st_mtime_ns
    cut_audio(packed, tmp_path / "cut", seconds=0.5)
    assert (tmp_path / "cut" / "packed.1.ark").stat().st_mtime_ns == made
    cut_audio(packed, tmp_path / "other", seconds=0.5)
    assert (tmp_path / "cut" / "packed.1.ark").read_bytes() == (
        tmp_path / "other" / "packed.1.ark"
    ).read_bytes()
    with pytest.raises(UserError, match="stale: option seconds was 0.5, is 0.4"):
        cut_audio(packed, tmp_path / "cut", seconds=0.4)


def test_a_cut_of_no_sample_is_refused(packed, tmp_path):
    with pytest.raises(UserError, match="--seconds: 0.0, expected at least one sample at 16000 Hz"):
        cut_audio(packed, tmp_path / "cut", seconds=0.0)
    assert not (tmp_path / "cut" / "wav.scp").exists()


SPEAKERS = {
    "ann": [f"ann-{k}" for k in range(9)],
    "bob": [f"bob-{k}" for k in range(7)],
    "cid": [f"cid-{k}" for k in range(5)],
    "dan": [f"dan-{k}" for k in range(5)],
}


def test_models_and_tests_are_disjoint_and_all_models_meet_all_tests():
    models, trials, left_out = enrol_and_verify(SPEAKERS, 3, 2)
    assert left_out == []
    assert {model: len(members) for model, members in models.items()} == {
        f"{name}-model": 3 for name in SPEAKERS
    }
    tests = {trial.split()[1] for trial in trials}
    assert len(tests) == 8
    assert not tests & {utterance for members in models.values() for utterance in members}
    assert len(trials) == len(set(trials)) == 4 * 8
    for trial in trials:
        model, utterance, kind = trial.split()
        assert kind == ("target" if model[:3] == utterance[:3] else "nontarget")


def test_the_draw_depends_on_seed_and_speaker_and_who_has_too_few_is_named():
    models, _, left_out = enrol_and_verify(SPEAKERS, 4, 2)
    assert (sorted(models), left_out) == (["ann-model", "bob-model"], ["cid", "dan"])
    assert (
        enrol_and_verify(SPEAKERS | {"eve": SPEAKERS["cid"] * 2}, 4, 2)[0]["ann-model"]
        == models["ann-model"]
    )
    assert enrol_and_verify(SPEAKERS, 4, 2, seed=1)[0] != models
    assert len(enrol_and_verify(SPEAKERS, 3, 2, speakers=2)[0]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            (6, 2),
            (
                "1 of 4 speakers have the 8 utterances that enrolment and test need; 2 speakers "
                "are wanted"
            ),
        ),
        ((3, 2, 5), "4 of 4 speakers have the 5 utterances .*; 5 speakers are wanted"),
        ((3, 2, 1), "2 speakers are wanted"),
        ((0, 2), "enrol_utterances is 0, expected 1 or more"),
        ((2, 0), "test_utterances is 0, expected 1 or more"),
    ],
)
def test_too_few_speakers_or_utterances_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        enrol_and_verify(SPEAKERS, *options)


def test_the_step_writes_a_data_directory_whose_sound_stays_where_it_is(packed, tmp_path):
    counts = make_enrolment(packed, tmp_path / "test_2x2", enrol_utterances=2, test_utterances=2)
    assert counts == {"models": 3, "trials": 18, "left_out": 0}
    made, source = read_data_dir(tmp_path / "test_2x2"), read_data_dir(packed)
    assert len(made.utt2spk) == 12
    assert all(source.wav_scp[key] == entry for key, entry in made.wav_scp.items())
    enrol, test, is_target = read_trials(tmp_path / "test_2x2" / "trials")
    assert (
        sorted(set(enrol))
        == sorted(made.maps["enroll.spk2utt"])
        == ["a-model", "b-model", "c-model"]
    )
    assert is_target.sum() == 6
    assert [name[0] == key[0] for name, key in zip(enrol, test, strict=True)] == is_target.tolist()
    with pytest.raises(
        UserError,
        match=r"test/utt2spk: 0 of 3 speakers have the 9 utterances that enrolment and test need",
    ):
        make_enrolment(packed, tmp_path / "other", enrol_utterances=5, test_utterances=4)
    with pytest.raises(UserError, match="--seed is -1, expected 0 or more"):
        make_enrolment(packed, tmp_path / "other", seed=-1)
