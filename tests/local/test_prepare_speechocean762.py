"""speechocean762: sets, trials and refusals, on a look-alike and a part of the corpus."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from local.prepare_speechocean762 import prepare_speechocean762
from tests.lookalike.speechocean762 import make_corpus
from utils.data_dir import read_map, read_trials, validate_data_dir
from utils.errors import UserError

SETS = ("train", "dev", "test")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(
        tmp_path_factory.mktemp("corpus"), 18, 3, seconds=0.6, flaws=["crlf", "no_final_newline"]
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("published"), 14, 2, seconds=0.6, with_test=True)


def spoilt(tmp_path, *flaws):
    return make_corpus(tmp_path / "corpus", 18, 3, seconds=0.6, flaws=flaws)


def complaint_of(corpus, output, seed):
    try:
        prepare_speechocean762(corpus, output, seed=seed)
    except UserError as error:
        return str(error)
    return ""


def speakers_of(output, name):
    return set(read_map(output / name / "utt2spk").values())


def bytes_below(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).rglob("*")
        if path.is_file() and "receipts" not in path.parts
    }


def test_four_folds_test_every_speaker_once(corpus, tmp_path):
    tested = Counter()
    for fold in range(1, 5):
        prepare_speechocean762(corpus, tmp_path / str(fold), fold=fold)
        sets = {name: speakers_of(tmp_path / str(fold), name) for name in SETS}
        assert (
            sum(len(speakers) for speakers in sets.values()) == len(set.union(*sets.values())) == 18
        )
        assert len(sets["dev"]) == 10
        tested.update(sets["test"])
    assert len(tested) == 18
    assert set(tested.values()) == {1}


def test_sets_are_good_data_directories_with_readable_audio(corpus, tmp_path):
    prepare_speechocean762(corpus, tmp_path)
    for name in SETS:
        validate_data_dir(tmp_path / name, audio=True)
        lists = {path.name for path in (tmp_path / name).iterdir()}
        assert {
            "wav.scp",
            "utt2spk",
            "spk2utt",
            "spk2gender",
            "spk2age",
            "spk2age_group",
            "text",
            "utt2dur",
        } <= lists
        assert ("trials" in lists) == (name != "train")
    ages, groups = (
        read_map(tmp_path / "train" / "spk2age"),
        read_map(tmp_path / "train" / "spk2age_group"),
    )
    assert groups == {
        speaker: "child" if int(age) < 18 else "adult" for speaker, age in ages.items()
    }


def test_trials_are_all_target_pairs_and_ten_distinct_impostors_for_each(tmp_path):
    """24 test speakers have enough impostors of their group: 5 for each of 24 x 3 targets."""
    prepare_speechocean762(
        make_corpus(tmp_path / "corpus", 48, 3, seconds=0.3), tmp_path / "out", folds=2
    )
    test = tmp_path / "out" / "test"
    utt2spk, gender, group = (
        read_map(test / name) for name in ("utt2spk", "spk2gender", "spk2age_group")
    )
    enrol, probe, is_target = read_trials(test / "trials")
    assert len({frozenset(pair) for pair in zip(enrol, probe, strict=True)}) == len(enrol)
    counts = Counter()
    for one, other, target in zip(enrol, probe, is_target, strict=True):
        first, second = utt2spk[one], utt2spk[other]
        assert one != other
        assert (first == second) == target
        counts[
            "target"
            if target
            else "same"
            if (gender[first], group[first]) == (gender[second], group[second])
            else "different"
        ] += 1
    assert counts == {"target": 24 * 3, "same": 5 * 24 * 3, "different": 5 * 24 * 3}


def test_a_shortage_of_similar_impostors_is_said(corpus, tmp_path, capsys):
    prepare_speechocean762(corpus, tmp_path)
    said = capsys.readouterr().out
    assert "nontarget trials of one sex and age group exist" in said
    assert "5 speakers of train/ are held out for test (fold 1 of 4)" in said
    assert "18 speakers, 54 utterances (the published corpus has 125 and 2500)" in said


def test_same_seed_same_bytes_and_another_seed_others(corpus, tmp_path):
    for name, seed in (("once", 1), ("again", 1), ("other", 2)):
        prepare_speechocean762(corpus, tmp_path / name, seed=seed)
    once, again, other = (bytes_below(tmp_path / name) for name in ("once", "again", "other"))
    assert once == again
    assert once["test/utt2spk"] != other["test/utt2spk"]


def test_a_second_run_has_nothing_to_do_and_the_corpus_is_left_alone(corpus, tmp_path, capsys):
    before = bytes_below(corpus)
    first = prepare_speechocean762(corpus, tmp_path)
    capsys.readouterr()
    assert prepare_speechocean762(corpus, tmp_path) == first
    assert capsys.readouterr() == ("", "")
    assert bytes_below(corpus) == before


def test_the_published_test_speakers_are_the_test_set(published, tmp_path, capsys):
    prepare_speechocean762(published, tmp_path)
    assert "test set: the 14 speakers of" in capsys.readouterr().out
    official = {
        line.split()[1] for line in (published / "test" / "utt2spk").read_text().splitlines()
    }
    assert speakers_of(tmp_path, "test") == official
    assert len(speakers_of(tmp_path, "train")) == 4
    assert not speakers_of(tmp_path, "train") & official


def test_noise_and_rooms_are_made_beside_the_sets(corpus, tmp_path):
    counts = prepare_speechocean762(
        corpus, tmp_path, noise=corpus / "WAVE", rirs=corpus / "WAVE" / "SPEAKER0001"
    )
    assert counts["noise"]["went_on"] == 54
    assert counts["rirs"]["went_on"] == 3
    validate_data_dir(tmp_path / "noise")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"fold": 0}, "--fold is 0, expected 1 to 4"),
        ({"fold": 5}, "--fold is 5, expected 1 to 4"),
        ({"folds": 1}, "--folds is 1, expected 2 or more"),
        ({"folds": 20}, "18 speakers leave 1 for test, expected 2 or more, and 17 others"),
        (
            {"folds": 2},
            "18 speakers leave 9 for test, expected 2 or more, and 9 others, expected 12 or more",
        ),
    ],
)
def test_folds_that_do_not_exist_are_refused(corpus, tmp_path, options, complaint):
    with pytest.raises(UserError, match=complaint):
        prepare_speechocean762(corpus, tmp_path, **options)


def test_a_second_fold_of_the_published_split_is_refused(published, tmp_path):
    with pytest.raises(
        UserError, match="--fold is 2, expected 1: the speakers of .*test are the test set"
    ):
        prepare_speechocean762(published, tmp_path, fold=2)


def test_a_wrong_root_names_what_is_looked_for(tmp_path):
    for made, missing in (("nothing", "WAVE"), ("WAVE", "train"), ("train", "train/wav.scp")):
        if made != "nothing":
            (tmp_path / made).mkdir()
        with pytest.raises(
            UserError, match=f"no {missing} in it, expected the root of speechocean762"
        ):
            prepare_speechocean762(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("flaw", "complaint"),
    [
        (
            "missing_wave",
            r"wav.scp: 1 of its 54 files are missing, first .*WAV \(list: .*missing_files.train\)",
        ),
        ("duplicate_utterance", "train/wav.scp:2: '[0-9]+' comes twice"),
        ("missing_age", r"train/spk2age: 1 of 18 in .*utt2spk are missing, first '0001'"),
        ("shared_speaker", r"54 utterances are in train/ and in test/, first '[0-9]+'"),
        ("no_waves", "no WAVE in it"),
    ],
)
def test_a_spoilt_corpus_is_refused_by_name_and_nothing_is_made(tmp_path, flaw, complaint):
    folder = spoilt(tmp_path, flaw)
    with pytest.raises(UserError, match=complaint):
        prepare_speechocean762(folder, tmp_path / "out")
    assert not any((tmp_path / "out" / name / "wav.scp").exists() for name in SETS)


@pytest.mark.parametrize("flaw", ["empty_wave", "truncated_wave"])
def test_an_unreadable_file_goes_to_the_ledger_of_train_and_stops_a_set_with_trials(tmp_path, flaw):
    folder = spoilt(tmp_path, flaw)
    spoilt_utterance = (folder / "train" / "wav.scp").read_text().split()[0]
    complaints = {seed: complaint_of(folder, tmp_path / str(seed), seed) for seed in range(1, 9)}
    print(complaints)
    in_train = [seed for seed, complaint in complaints.items() if not complaint]
    assert 0 < len(in_train) < len(complaints), "these seeds do not try both"
    assert all(
        f"{spoilt_utterance}.WAV" in complaint and "its trials need them" in complaint
        for complaint in complaints.values()
        if complaint
    )
    for seed in in_train:
        train = tmp_path / str(seed) / "train"
        assert (train / "dropped").read_text().startswith(f"{spoilt_utterance} unreadable ")
        assert spoilt_utterance not in read_map(train / "wav.scp")


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("spk2gender", "0001\tx", r"spk2gender: 'x' of speaker '0001', expected m or f"),
        ("spk2age", "0001\tsix", r"spk2age: 'six' of speaker '0001', expected years"),
        ("spk2age", "0001", r"spk2age:1: '0001' has no value"),
    ],
)
def test_values_that_cannot_be_are_refused(tmp_path, file, line, complaint):
    folder = spoilt(tmp_path)
    path = folder / "train" / file
    path.write_text(
        "\n".join(
            [
                line,
                *(other for other in path.read_text().splitlines() if not other.startswith("0001")),
            ]
        )
    )
    with pytest.raises(UserError, match=complaint):
        prepare_speechocean762(folder, tmp_path / "out")


@pytest.mark.slow
def test_the_real_corpus_gives_four_disjoint_folds(shared_data, tmp_path):
    tested = set()
    for fold in range(1, 5):
        counts = prepare_speechocean762(
            shared_data / "speechocean762_train", tmp_path / str(fold), fold=fold
        )
        print(fold, counts)
        num_test = counts["test"]["speakers"]
        assert num_test == (32 if fold == 1 else 31)
        assert [counts[name]["went_on"] for name in SETS] == [
            (115 - num_test) * 12,
            120,
            num_test * 12,
        ]
        assert counts["test"]["targets"] == num_test * 66
        assert counts["test"]["nontargets"] == num_test * 660
        tested |= speakers_of(tmp_path / str(fold), "test")
    assert len(tested) == 125
