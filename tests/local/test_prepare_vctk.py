"""VCTK on look-alikes: both versions and modes, sets, drops and refusals."""

import hashlib
import json
import shutil
from collections import Counter

import pytest

from local.prepare_vctk import prepare_vctk
from local.vctk.selection import common_sentences, normalise_text
from local.vctk.tree import read_speaker_info, read_tree
from tests.lookalike.vctk import PASSAGES, SPEAKERS, make_vctk
from utils.data_dir import read_map, validate_data_dir
from utils.errors import UserError

SETS = ("train", "dev", "test")
NAMES = [speaker for speaker, _ in SPEAKERS if speaker != "s5"][
    -20:
]  # of the look-alike of 0.80: p226 to p376


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return make_vctk(tmp_path_factory.mktemp("vctk80"), "0.80", seconds=0.3)


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    return make_vctk(tmp_path_factory.mktemp("vctk92"), "0.92", seconds=0.3)


def spoilt(tmp_path, *flaws, version="0.80"):
    return make_vctk(tmp_path / "corpus", version, seconds=0.3, flaws=flaws)


def speakers_of(output, name):
    return sorted(set(read_map(output / name / "utt2spk").values()))


def ledger_of(folder):
    return json.loads((folder / "ledger.json").read_text())


def bytes_below(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "receipts" not in path.parts
    }


def test_the_first_85_percent_are_for_training_and_the_last_tenth_of_these_is_dev(old, tmp_path):
    """Of 20 speakers 17 are for training; a tenth of 17 is one, and trials need two."""
    prepare_vctk(old, tmp_path, mode="ti")
    assert [speakers_of(tmp_path, name) for name in SETS] == [NAMES[:15], NAMES[15:17], NAMES[17:]]
    for name in SETS:
        validate_data_dir(tmp_path / name, audio=True)
    prepare_vctk(old, tmp_path / "more", mode="ti", dev_speakers=5)
    assert [speakers_of(tmp_path / "more", name) for name in SETS] == [
        NAMES[:12],
        NAMES[12:17],
        NAMES[17:],
    ]


def test_without_dev_speakers_there_is_no_dev(old, tmp_path, capsys):
    counts = prepare_vctk(old, tmp_path, mode="ti", dev_speakers=0)
    assert counts.keys() == {"train", "test", "corpus"}
    assert speakers_of(tmp_path, "train") == NAMES[:17]
    assert not (tmp_path / "dev").exists()
    assert "no dev: the last checkpoint is used" in capsys.readouterr().out


def test_prompted_takes_the_sentences_that_all_read_and_seed_the_first_of_them(old, tmp_path):
    """Four common passages and one sentence of their own for each; p315 has no texts."""
    prompted = prepare_vctk(old, tmp_path / "prompted")
    prompts = read_map(tmp_path / "prompted" / "train" / "utt2prompt")
    assert Counter(prompts.values()) == {
        number: len(speakers_of(tmp_path / "prompted", "train"))
        for number in ("001", "002", "003", "004")
    }
    assert prompted["corpus"] == {
        "came_in": 100,
        "went_on": 76,
        "no_text": 5,
        "other_sentences": 19,
        "texts_without_recording": 0,
    }
    assert ledger_of(tmp_path / "prompted") == prompted["corpus"]
    assert "p315" not in speakers_of(tmp_path / "prompted", "train")
    assert [
        line.split()[:2] for line in (tmp_path / "prompted" / "dropped").read_text().splitlines()
    ] == [[f"p315_00{number}", "no_text"] for number in range(1, 6)]
    prepare_vctk(old, tmp_path / "seed", protocol="seed")
    assert all(
        text == "Please call Stella."
        for name in SETS
        for text in read_map(tmp_path / "seed" / name / "text").values()
    )
    assert len(read_map(tmp_path / "seed" / "test" / "utt2spk")) == 3


def test_ti_takes_every_recording_with_text_or_without(old, tmp_path):
    counts = prepare_vctk(old, tmp_path, mode="ti")
    assert sum(counts[name]["went_on"] for name in SETS) == 100
    assert "p315" in speakers_of(tmp_path, "train")
    assert not (tmp_path / "train" / "text").exists(), "a list of texts has to be whole"
    assert (tmp_path / "test" / "text").exists()
    assert not (tmp_path / "test" / "utt2prompt").exists()


def test_092_has_two_microphones_and_a_speaker_of_another_name(new, tmp_path, capsys):
    one, two = (prepare_vctk(new, tmp_path / str(mic), mode="ti", mic=mic) for mic in (1, 2))
    assert "s5" in speakers_of(tmp_path / "1", "test")
    assert [counts["corpus"]["went_on"] for counts in (one, two)] == [100, 90]
    assert "VCTK 0.92, 20 speakers (the published one has 110)" in capsys.readouterr().out
    assert set(speakers_of(tmp_path / "1", "train")) - set(
        speakers_of(tmp_path / "2", "train")
    ) == {"p280", "p315"}
    assert speakers_of(tmp_path / "1", "test") == speakers_of(tmp_path / "2", "test"), (
        "a microphone less moves nobody to another set"
    )
    assert all(
        path.endswith("_mic2.flac")
        for path in read_map(tmp_path / "2" / "test" / "wav.scp").values()
    )


def test_sex_age_and_accent_come_from_the_list(old, new, tmp_path):
    for corpus in (old, new):
        output = tmp_path / corpus.name
        prepare_vctk(corpus, output, mode="ti")
        maps = {
            name: {
                key: value for one in SETS for key, value in read_map(output / one / name).items()
            }
            for name in ("spk2gender", "spk2age", "spk2accent")
        }
        assert [maps[name]["p326"] for name in maps] == ["m", "26", "Australian"]
        assert [maps[name]["p362"] for name in maps] == ["f", "29", "American"]


def test_the_official_list_of_speakers(shared_data):
    path = shared_data / "lists" / "speaker-info.txt"
    if not path.exists():
        pytest.skip(f"no {path}")
    maps = read_speaker_info(path)
    print({name: Counter(mapping.values()).most_common(4) for name, mapping in maps.items()})
    assert {len(mapping) for mapping in maps.values()} == {109}
    assert (maps["spk2gender"]["p225"], maps["spk2age"]["p225"], maps["spk2accent"]["p335"]) == (
        "f",
        "23",
        "NewZealand",
    )


def test_a_second_run_has_nothing_to_do_and_the_corpus_is_left_alone(old, tmp_path, capsys):
    before = bytes_below(old)
    first = prepare_vctk(old, tmp_path / "a")
    capsys.readouterr()
    assert prepare_vctk(old, tmp_path / "a") == first
    assert capsys.readouterr() == ("", "")
    prepare_vctk(old, tmp_path / "b", jobs=1)
    assert bytes_below(tmp_path / "a") == bytes_below(tmp_path / "b")
    assert bytes_below(old) == before


def test_a_set_that_is_lost_is_made_again_with_the_same_bytes(old, tmp_path):
    prepare_vctk(old, tmp_path)
    before = bytes_below(tmp_path)
    shutil.rmtree(tmp_path / "dev")
    prepare_vctk(old, tmp_path)
    assert bytes_below(tmp_path) == before


@pytest.mark.parametrize("depth", ["", "mirror", "mirror/VCTK-Corpus"])
def test_the_tree_is_found_at_any_of_three_depths(old, tmp_path, depth):
    (tmp_path / depth).parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(old / "VCTK-Corpus", tmp_path / depth, dirs_exist_ok=True)
    assert len(read_tree(tmp_path).recordings) == 100


@pytest.mark.parametrize(
    ("flaw", "counted"),
    [
        ("missing_text", {"no_text": 6, "went_on": 75}),
        ("other_text", {"other_sentences": 20, "went_on": 75}),
        ("raw_file", {"came_in": 99, "texts_without_recording": 1, "went_on": 75}),
    ],
)
def test_what_is_odd_in_one_recording_is_counted(tmp_path, flaw, counted):
    corpus = prepare_vctk(spoilt(tmp_path, flaw), tmp_path / "out")["corpus"]
    print(corpus)
    assert {name: corpus[name] for name in counted} == counted


@pytest.mark.parametrize("flaw", ["unreadable", "empty_file"])
@pytest.mark.parametrize("version", ["0.80", "0.92"])
def test_an_unreadable_recording_goes_to_the_ledger_of_its_set(tmp_path, flaw, version):
    counts = prepare_vctk(spoilt(tmp_path, flaw, version=version), tmp_path / "out")["train"]
    print((tmp_path / "out" / "train" / "dropped").read_text())
    assert (counts["came_in"] - counts["went_on"], counts["unreadable"]) == (1, 1)
    assert (
        (tmp_path / "out" / "train" / "dropped")
        .read_text()
        .startswith(f"{NAMES[0] if version == '0.80' else 'p227'}_003 unreadable ")
    )


@pytest.mark.parametrize(
    ("flaws", "complaint"),
    [
        (
            ["duplicate"],
            (
                r"wav48/p226/p226_003.wav: p226/p226_003.flac is the same utterance p226_003, "
                "expected one file for each"
            ),
        ),
        (
            ["foreign"],
            (
                r"wav48/p226/p227_001.wav: a recording of p227 in the folder of p226, "
                "expected one speaker in each"
            ),
        ),
        (
            ["half_extracted"],
            (
                r"10 of 20 speakers have no recordings, first p298 \(list: .*missing\), "
                "expected the whole of VCTK 0.80; extract it again"
            ),
        ),
        (["empty_folder"], r"1 of 20 speakers have no recordings, first p376"),
        (["listed_twice"], r"speaker-info.txt:22: '226' comes twice"),
        (["bad_age"], r"speaker-info.txt: '376 old  F  English', expected ID, age, M or F"),
        (
            ["no_texts"],
            r"of 0 texts none is read by all speakers, expected one of the same number and text",
        ),
        (["no_passages"], r"txt: of 95 texts none is read by all speakers"),
    ],
)
def test_a_spoilt_corpus_is_refused_in_one_line_and_nothing_is_made(tmp_path, flaws, complaint):
    with pytest.raises(UserError, match=complaint) as refused:
        prepare_vctk(spoilt(tmp_path, *flaws), tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "out").rglob("wav.scp"))


def test_an_incomplete_corpus_is_taken_with_leave(tmp_path):
    counts = prepare_vctk(
        spoilt(tmp_path, "half_extracted"), tmp_path / "out", mode="ti", allow_incomplete=True
    )
    assert counts["corpus"]["came_in"] == 50
    assert [len(speakers_of(tmp_path / "out", name)) for name in SETS] == [6, 2, 2]
    assert (tmp_path / "out" / "missing").read_text().splitlines() == NAMES[10:]


def test_a_speaker_without_a_line_in_the_list_leaves_his_set_without_these_maps(tmp_path, capsys):
    prepare_vctk(spoilt(tmp_path, "unlisted_speaker"), tmp_path / "out", mode="ti")
    assert "nothing on p376: their sets have no spk2gender" in capsys.readouterr().out
    assert [(tmp_path / "out" / name / "spk2gender").exists() for name in SETS] == [
        True,
        True,
        False,
    ]


def test_a_wrong_root_says_what_is_looked_for_and_what_comes_nearest(old, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "noisy" / "clean_testset_wav").mkdir(parents=True)
    (tmp_path / "renamed" / "wavs" / "p225").mkdir(parents=True)
    for folder, complaint in (
        (tmp_path / "none", "no such folder, expected the one that holds wav48"),
        (tmp_path / "empty", "neither wav48/ .* it holds no folders"),
        (
            tmp_path / "noisy",
            "the nearest is .*clean_testset_wav, of the noisy VCTK, which is for --noisy-vctk",
        ),
        (tmp_path / "renamed", "the nearest is .*wavs, which has p225/ but another name"),
        (old / "VCTK-Corpus" / "wav48", "it is wav48/ itself: give the folder above it"),
    ):
        with pytest.raises(UserError, match=complaint):
            prepare_vctk(folder, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"mic": 2},
            "--mic is 2, expected 1: .*wav48 is of version 0.80, which has one microphone",
        ),
        ({"mic": 3}, "--mic is 3, expected 1"),
        (
            {"dev_speakers": 1},
            (
                "20 speakers leave 17 for training, 1 of them for dev, and 3 for test; "
                "expected 2 or more in each"
            ),
        ),
        ({"dev_speakers": 16}, "16 of them for dev"),
        ({"dev_speakers": -1}, "-1 of them for dev"),
    ],
)
def test_options_that_make_no_sense_are_refused(old, tmp_path, options, complaint):
    with pytest.raises(UserError, match=complaint):
        prepare_vctk(old, tmp_path, **options)


def test_two_versions_below_one_folder_are_refused(old, new, tmp_path):
    (tmp_path / "a").symlink_to(old / "VCTK-Corpus")
    (tmp_path / "b").symlink_to(new)
    with pytest.raises(UserError, match="expected one VCTK"):
        prepare_vctk(tmp_path, tmp_path / "out")


def test_sentences_agree_in_number_and_text():
    """Ten speakers: another text or number does not count; nine of ten are enough, eight not."""
    texts = {f"p{speaker}_001": "Please call Stella." for speaker in range(10)} | {
        f"p{speaker}_002": PASSAGES[1] for speaker in range(8)
    }
    assert common_sentences(texts | {"p9_001": "please CALL Stella"}) == {
        "001": "please call stella"
    }
    assert common_sentences(texts | {"p9_001": "Another one."}) == {"001": "please call stella"}
    assert common_sentences(texts | {"p8_001": "Another one.", "p9_001": "A third one."}) == {}
    assert normalise_text("It's  a\tsmall, 'plastic' snake!") == "its a small plastic snake"
