"""Speakers with too few utterances for the trials: their set, and the option that helps."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.own.assign import SplitOptions, assign_speakers
from local.own.corpus import Corpus
from local.prepare_folder import prepare_folder
from steps.make_trials import make_trials
from tests.lookalike.own import write_voice
from utils.data_dir import DataDir, read_map
from utils.errors import UserError
from utils.trials.design import Design, make_pairs

RANDOM = {"random": 10}


def corpus_of(sessions_of):
    """Speaker -> sessions of his utterances, as a corpus."""
    utt2spk, utt2session = {}, {}
    for speaker, sessions in sessions_of.items():
        for number, session in enumerate(sessions):
            utt2spk[f"{speaker}-{number}"] = speaker
            utt2session[f"{speaker}-{number}"] = session
    wav_scp = {utterance: f"{utterance}.wav" for utterance in utt2spk}
    return Corpus("", DataDir(Path("x"), wav_scp, utt2spk, None, {"utt2session": utt2session}))


def plain(*numbers):
    """Speakers of so many utterances, all of one session."""
    return corpus_of({f"s{place:02d}": ["day"] * number for place, number in enumerate(numbers)})


def speakers_with_targets(found, speakers, design):
    utterances = {speaker: [] for speaker in speakers}
    for utterance, speaker in found.data.utt2spk.items():
        if speaker in utterances:
            utterances[speaker].append(utterance)
    trials = make_pairs(utterances, {}, found.data.maps["utt2session"], design)
    targets = [line.split() for line in trials.lines if line.endswith(" target")]
    return {found.data.utt2spk[test] for _, test, _ in targets}


@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), min_size=8, max_size=14),
    st.sampled_from(["any", "across", "within"]),
    st.integers(1, 3),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_every_speaker_of_dev_and_test_has_target_trials_whatever_is_asked_for(
    sessions, rule, enrol_utterances, seed
):
    found = corpus_of({f"s{place:02d}": each for place, each in enumerate(sessions)})
    how = SplitOptions(0.1, 0.2, seed, rule, enrol_utterances)
    sets, told = None, ""
    try:
        sets, _ = assign_speakers(found, how)
    except UserError as error:
        told = str(error)
    if sets is None:
        assert "expected 2 or more for each" in told
        return
    models = {"enrol_utterances": enrol_utterances} if enrol_utterances > 1 else {}
    if models and rule != "any":
        models["enrol_sessions"] = 1
    for name, more in (("dev", {}), ("test", models)):
        design = Design(None, RANDOM, rule, seed=seed, **more)
        assert speakers_with_targets(found, sets[name], design) == set(sets[name])


def test_it_is_said_how_many_train_only_and_which_shares_cannot_be_met():
    sets, said = assign_speakers(plain(*[1] * 30, *[3] * 10), SplitOptions(0.1, 0.3, 1))
    assert [len(sets[name]) for name in ("train", "dev", "test")] == [30, 3, 7]
    assert said == [
        "  30 of 40 speakers have one utterance: they are for training only",
        "  dev has 3 speakers, not the 4 of --dev-share 0.1: too few others are left",
        "  test has 7 speakers, not the 12 of --test-share 0.3: too few others are left",
    ]


def test_where_all_can_be_tested_nothing_is_said():
    assert assign_speakers(plain(*[2] * 10), SplitOptions(0.1, 0.2, 1))[1] == []


def test_utterances_that_cannot_be_used_do_not_count():
    found = plain(*[2] * 6, 3)
    bad = {f"s{place:02d}-0" for place in range(4)}
    with pytest.raises(UserError, match="3 of 7 speakers can be in dev and test"):
        assign_speakers(found, SplitOptions(0.1, 0.2, 1), bad)


@pytest.mark.parametrize(
    ("sessions_of", "asked", "helps"),
    [
        ([["a"] * 3] * 8, {"enrol_utterances": 3}, {"enrol_utterances": 2}),
        ([["a"] * 2] * 8, {"sessions": "across"}, {"sessions": "any"}),
        ([["a", "b"]] * 8, {"sessions": "within"}, {"sessions": "any"}),
        (
            [["a", "b"]] * 8,
            {"sessions": "within", "enrol_utterances": 2},
            {"sessions": "any", "enrol_utterances": 1},
        ),
    ],
)
def test_the_option_that_the_line_names_helps(sessions_of, asked, helps):
    found = corpus_of({f"s{place}": each for place, each in enumerate(sessions_of)})
    with pytest.raises(UserError) as caught:
        assign_speakers(found, SplitOptions(0.1, 0.2, 1, **asked))
    for option, value in helps.items():
        assert f"--{option.replace('_', '-')} {value}" in str(caught.value)
    sets, _ = assign_speakers(found, SplitOptions(0.1, 0.2, 1, **asked | helps))
    assert len(sets["dev"]) == len(sets["test"]) == 2


def test_sessions_that_nobody_knows_are_told_before_anything_is_written():
    found = plain(2, 2, 2, 2, 2, 2)
    del found.data.maps["utt2session"]
    with pytest.raises(
        UserError,
        match="--sessions across, but utterances have no sessions, .* give --sessions any",
    ):
        assign_speakers(found, SplitOptions(0.1, 0.2, 1, "across"))


def test_for_many_seeds_stage_0_makes_trials_of_every_speaker(tmp_path):
    """The tree of the report: six speakers of one file, six of six."""
    for speaker in range(12):
        for number in range(6 if speaker % 2 else 1):
            write_voice(tmp_path / "in" / f"s{speaker:02d}" / f"{number}.wav", "s", number, 0.2)
    for seed in range(4):
        output = tmp_path / f"seed{seed}"
        prepare_folder(tmp_path / "in", output, seed=seed, jobs=1)
        for name in ("dev", "test"):
            make_trials(output / name, seed=seed)
            lines = (output / name / "trials").read_text().splitlines()
            utt2spk = read_map(output / name / "utt2spk")
            with_targets = {utt2spk[line.split()[0]] for line in lines if line.endswith(" target")}
            assert with_targets == set(utt2spk.values())
            assert len(with_targets) == 2


def test_sets_that_were_dealt_otherwise_are_not_mixed_with_new_ones(tmp_path, monkeypatch):
    for speaker in range(8):
        for number in range(2):
            write_voice(tmp_path / "in" / f"s{speaker}" / f"{number}.wav", "s", number, 0.2)
    output, dealt = tmp_path / "out", assign_speakers

    def otherwise(found, how, unusable=()):
        sets, said = dealt(found, how, unusable)
        return {"train": sets["train"], "dev": sets["test"], "test": sets["dev"]}, said

    with monkeypatch.context() as patched:
        patched.setattr("local.prepare_folder.assign_speakers", otherwise)
        prepare_folder(tmp_path / "in", output, jobs=1)
    (output / "dev" / "receipts" / "made.json").unlink()
    with pytest.raises(UserError, match="is now assigned to another set; remove .*out and run"):
        prepare_folder(tmp_path / "in", output, jobs=1)


def test_a_design_is_recorded_but_not_asked_of_sets_that_were_made_before_it_mattered(tmp_path):
    for speaker in range(8):
        for number in range(3):
            write_voice(tmp_path / "in" / f"s{speaker}" / f"{number}.wav", "s", number, 0.2)
    output, receipt = tmp_path / "out", tmp_path / "out" / "{}" / "receipts" / "made.json"
    prepare_folder(tmp_path / "in", output, enrol_utterances=2, jobs=1)
    for name in ("train", "dev", "test"):
        path = Path(str(receipt).format(name))
        content = json.loads(path.read_text())
        assert content["options"]["enrol_utterances"] == 2
        del content["options"]["enrol_utterances"], content["options"]["sessions"]
        path.write_text(json.dumps(content))
    before = Path(str(receipt).format("train")).read_text()
    prepare_folder(tmp_path / "in", output, enrol_utterances=2, jobs=1)
    assert Path(str(receipt).format("train")).read_text() == before


@pytest.mark.parametrize(
    ("utterances", "sizes", "said"),
    [
        ([2] * 3, (3, 0, 0), "3 speakers are too few for train, dev and test (2 for each)"),
        ([1] * 6, (2, 2, 2), "0 of 6 speakers have two utterances"),
        ([1] * 7 + [2] * 3, (6, 2, 2), "3 of 10 speakers have two utterances"),
    ],
)
def test_where_no_trials_are_asked_for_corpora_too_small_for_them_are_dealt(
    utterances, sizes, said
):
    found = plain(*utterances)
    sets, lines = assign_speakers(found, SplitOptions(0.1, 0.2, 1, for_trials=False))
    assert tuple(len(sets[name]) for name in ("train", "dev", "test")) == sizes
    assert said in lines[0]
    with pytest.raises(UserError, match="expected 2 or more for each"):
        assign_speakers(found, SplitOptions(0.1, 0.2, 1))


def test_where_no_trials_are_asked_for_the_others_are_dealt_as_for_trials():
    found = plain(*[1] * 30, *[3] * 10)
    asked, not_asked = (SplitOptions(0.1, 0.3, 1, for_trials=trials) for trials in (True, False))
    assert assign_speakers(found, not_asked) == assign_speakers(found, asked)
