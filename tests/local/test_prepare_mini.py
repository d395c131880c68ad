"""The generated corpus: the same bytes from the same seed, sets and trials."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from local.prepare_mini import SIZES, design_trials, make_recording, plan, prepare_mini
from utils.data_dir import read_data_dir, read_map, read_trials, validate_data_dir
from utils.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SETS = ("train", "dev", "test", "noise", "rirs")


def made(folder: Path, *options: str) -> Path:
    words = [sys.executable, "-m", "local.prepare_mini", str(folder), "--size", "tiny", *options]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("corpus"), "--jobs", "2")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the receipts (they hold seconds), without the folder's own name."""
    files = (
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name != "receipts"
    )
    return {
        str(path.relative_to(folder)): path.read_bytes().replace(bytes(folder), b"")
        for path in files
    }


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_with_any_number_of_processes(corpus, tmp_path):
    expected = contents(corpus)
    assert {f"{name}/audio.ark" for name in SETS} <= expected.keys()
    assert contents(made(tmp_path / "again", "--jobs", "1")) == expected


@pytest.mark.slow
def test_another_seed_gives_other_speech_and_other_trials(corpus, tmp_path):
    first, second = contents(corpus), contents(made(tmp_path / "other", "--seed", "2"))
    assert [
        name
        for name in (*(f"{name}/audio.ark" for name in SETS), "test/text")
        if first[name] == second[name]
    ] == []


@pytest.mark.slow
def test_a_second_run_does_nothing_and_a_lost_set_comes_back_with_the_same_bytes(corpus, tmp_path):
    folder = made(tmp_path / "corpus")
    before, archives = (
        contents(folder),
        {name: (folder / name / "audio.ark").stat().st_ino for name in SETS},
    )
    (folder / "dev" / "receipts" / "made.json").unlink()
    (folder / "dev" / "audio.ark").write_bytes(b"cut short")
    made(folder)
    redone = [
        name for name in SETS if (folder / name / "audio.ark").stat().st_ino != archives[name]
    ]
    assert (redone, contents(folder)) == (["dev"], before)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.slow
def test_every_set_keeps_the_rules_of_a_data_directory(corpus, name):
    validate_data_dir(corpus / name, audio=True)


def test_sets_share_no_speaker_and_have_both_sexes_and_both_conditions_in_equal_parts(corpus):
    speakers = {name: read_map(corpus / name / "spk2gender") for name in ("train", "dev", "test")}
    assert (
        len({speaker for genders in speakers.values() for speaker in genders})
        == sum(map(len, speakers.values()))
        == 14
    )
    for name, genders in speakers.items():
        assert len(set(Counter(genders.values()).values())) == 1, name
        data = read_data_dir(corpus / name)
        conditions = Counter(
            (data.utt2spk[utterance], condition)
            for utterance, condition in data.maps["utt2condition"].items()
        )
        assert set(conditions.values()) == {2}, name
        assert len(conditions) == 2 * len(genders), name


def test_the_full_size_has_the_speakers_that_are_promised():
    plans = plan(SIZES["full"])
    speakers = {
        name: {utterance.split("-")[0] for utterance in plans[name]}
        for name in ("train", "dev", "test")
    }
    assert {name: len(found) for name, found in speakers.items()} == {
        "train": 100,
        "dev": 10,
        "test": 40,
    }
    assert not speakers["train"] & speakers["test"]
    assert {len(plans[name]) // len(found) for name, found in speakers.items()} == {12}


def proportions(trials, utt2condition):
    """Class -> condition pair -> its share of the class's trials."""
    pairs = Counter(
        (is_target, utt2condition[enrol], utt2condition[test])
        for enrol, test, is_target in zip(*trials, strict=True)
    )
    totals = Counter(trials[2])
    return {
        label: {
            pair[1:]: count / totals[label] for pair, count in pairs.items() if pair[0] == label
        }
        for label in (True, False)
    }


@pytest.mark.parametrize("name", ["dev", "test"])
def test_conditions_of_a_trial_say_nothing_of_its_class_and_half_of_the_impostors_have_one_sex(
    corpus, name
):
    data, trials = read_data_dir(corpus / name), read_trials(corpus / name / "trials")
    shares = proportions(trials, data.maps["utt2condition"])
    assert shares[True] == shares[False]
    assert len(shares[True]) == 3
    impostors = [
        (enrol[0], test[0]) for enrol, test, is_target in zip(*trials, strict=True) if not is_target
    ]
    assert sum(a == b for a, b in impostors) == len(impostors) / 2


def test_a_full_test_set_has_all_target_pairs_and_four_impostors_for_each():
    names = plan(SIZES["full"])["test"]
    utt2spk = {name: name.split("-")[0] for name in names}
    trials = design_trials(
        utt2spk,
        {speaker: speaker[0] for speaker in utt2spk.values()},
        {name: name.split("-")[1] for name in names},
        seed=1,
    )
    targets = [trial for trial in trials if trial.endswith(" target")]
    assert (len(targets), len(trials), len(set(trials))) == (
        40 * 12 * 11 // 2,
        5 * len(targets),
        len(trials),
    )
    assert all(len({utt2spk[name] for name in trial.split()[:2]}) == 1 for trial in targets)


def test_an_utterance_depends_on_its_name_and_the_seed_alone(corpus):
    """Made here alone, after others, it is what stands in the archive."""
    from utils.audio import read_audio, to_int16

    wav_scp = read_data_dir(corpus / "test").wav_scp
    for utterance in sorted(wav_scp)[::-5]:
        samples, text = make_recording(SIZES["tiny"], 1, utterance)
        assert (samples == to_int16(read_audio(wav_scp[utterance])[0])).all()
        assert text == read_map(corpus / "test" / "text")[utterance]


def test_texts_differ(corpus):
    texts = [
        text
        for name in ("train", "dev", "test")
        for text in read_map(corpus / name / "text").values()
    ]
    assert len(set(texts)) == len(texts) == 56


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"size": "huge"}, "--size is 'huge', expected full or tiny"),
        ({"seed": -1}, "--seed is -1"),
        ({"jobs": 0}, "--jobs is 0"),
    ],
)
def test_impossible_options_are_refused(tmp_path, options, complaint):
    with pytest.raises(UserError, match=complaint):
        prepare_mini(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_missing_synthesiser_is_one_line_that_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match="pip install espeakng-loader"):
        prepare_mini(tmp_path / "out", size="tiny")


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, command):
    (tmp_path / "file").touch()
    done = command("local.prepare_mini", tmp_path / "file" / "out", "--size", "tiny")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert str(tmp_path / "file") in done.stderr
