"""Own corpora that are only tested: trials by paths, all speakers in test, features, doors."""

import re
from pathlib import Path

import pytest

from local.own.doors import DOORS, recommended_door
from local.prepare_folder import prepare_folder
from tests.conftest import ROOT
from tests.local.test_prepare_folder import SPEAKERS, complaint, speakers_of
from tests.lookalike.own import make_kaldi, make_tree, write_table
from utils.data_dir import read_map, validate_data_dir


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("my corpus"), SPEAKERS, ("mo",), seconds=0.1)


def write_trials(path: Path, *trials: str) -> Path:
    path.write_text("".join(f"{trial}\n" for trial in trials))
    return path


def test_sides_of_trials_are_ids_and_paths_and_their_speakers_are_the_test_set(tree, tmp_path):
    """Paths with blanks are written between tabs; the others are divided into train and dev."""
    trials = write_trials(
        tmp_path / "pairs.txt",
        "s00-mo-0 s00/mo/1.wav target",
        f"{tree}/s00/mo/0.wav\ts03/mo/../mo/1.wav\tnontarget",
        "./s03/mo/0.wav s03-mo-1 target",
    )
    counts = prepare_folder(tree, tmp_path / "out", trials=trials)
    assert (tmp_path / "out" / "test" / "trials").read_text().splitlines() == [
        "s00-mo-0 s00-mo-1 target",
        "s00-mo-0 s03-mo-1 nontarget",
        "s03-mo-0 s03-mo-1 target",
    ]
    assert speakers_of(tmp_path / "out", "test") == {"s00", "s03"}
    assert {name: counts[name]["speakers"] for name in counts} == {"train": 6, "dev": 2, "test": 2}


def test_trials_without_classes_and_paths_relative_to_a_table(tree, tmp_path):
    rows = [
        {"path": f"{name}/mo/{number}.wav", "speaker": name}
        for name in SPEAKERS
        for number in range(2)
    ]
    table = write_table(tmp_path / "mine.csv", rows)
    trials = write_trials(tmp_path / "pairs.txt", "s01/mo/0.wav s02/mo/0.wav")
    prepare_folder(table, tmp_path / "out", root=tree, trials=trials, test_only=True)
    (line,) = (tmp_path / "out" / "test" / "trials").read_text().splitlines()
    utt2spk = read_map(tmp_path / "out" / "test" / "utt2spk")
    assert [utt2spk[side] for side in line.split()] == ["s01", "s02"]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("s01/mo/9.wav s01-mo-0 target", "pairs.txt:2: 's01/mo/9.wav' is neither an utterance"),
        ("s01-mo-0 s01 target", "pairs.txt:2: 's01' is neither an utterance nor a file"),
        ("s01-mo-0 s01-mo-1 nontarget", "pairs.txt:2: trial 's01-mo-0 s01-mo-1' is nontarget"),
        ("s01-mo-0 s01-mo-1", "pairs.txt:2: 2 fields, expected 3 as in line 1"),
        ("1 s01-mo-0 s01-mo-1", "pairs.txt:2: class 's01-mo-1', expected '<enrolment> <test>'"),
        ("s00/mo/0.wav s00/mo/1.wav target", "trial 's00-mo-0 s00-mo-1' again, first in line 1"),
        ("a b c d", "pairs.txt:2: 4 fields, expected"),
    ],
)
def test_faulty_trials_are_one_line_that_names_theirs(tree, tmp_path, second, message):
    trials = write_trials(tmp_path / "pairs.txt", "s00-mo-0 s00-mo-1 target", second)
    assert message in complaint(tree, tmp_path, sessions="any", trials=trials)


def test_trials_of_speakers_of_another_set_and_an_empty_file_are_refused(tmp_path):
    corpus = tmp_path / "kaldi"
    for name, part in (("train", SPEAKERS[:5]), ("test", SPEAKERS[5:])):
        make_kaldi(corpus / name, part, seconds=0.1)
    trials = write_trials(tmp_path / "pairs.txt", "s00-0 s00-1 target")
    said = complaint(corpus, tmp_path, trials=trials)
    assert f"speaker 's00' of the trials is in train of {corpus}" in said
    assert "no trials, expected" in complaint(corpus, tmp_path, trials=write_trials(trials))


def test_where_nothing_is_trained_all_speakers_are_tested_or_those_of_the_corpus(tree, tmp_path):
    prepare_folder(tree, tmp_path / "all", test_only=True)
    assert speakers_of(tmp_path / "all", "test") == set(SPEAKERS)
    corpus = tmp_path / "kaldi"
    for name, part in (("train", SPEAKERS[:5]), ("test", SPEAKERS[5:])):
        make_kaldi(corpus / name, part, seconds=0.1)
    prepare_folder(corpus, tmp_path / "own", test_only=True)
    assert speakers_of(tmp_path / "own", "test") == set(SPEAKERS[5:])
    for output in ("all", "own"):
        assert not (tmp_path / output / "train").exists()


def test_speakers_without_target_trials_are_too_few_to_test(tmp_path):
    corpus = make_tree(tmp_path / "tree", SPEAKERS, ("mo",), 1, seconds=0.1)
    said = complaint(corpus, tmp_path, sessions="any", test_only=True)
    assert "0 of 10 speakers have target trials, expected 2 or more; the others have one" in said


def test_features_alone_are_kept_with_what_is_said_about_them(tmp_path):
    """Nothing of their archives is read here; paths start where those of wav.scp would."""
    corpus = make_kaldi(tmp_path / "kaldi", SPEAKERS, seconds=0.1)
    (corpus / "wav.scp").unlink()
    names = read_map(corpus / "utt2spk")
    for name in ("feats.scp", "vad.scp"):
        (corpus / name).write_text("".join(f"{utterance} f.ark:4\n" for utterance in names))
    (corpus / "utt2num_frames").write_text("".join(f"{utterance} 98\n" for utterance in names))
    (corpus / "frame_shift").write_text("0.01\n")
    output = tmp_path / "out"
    prepare_folder(corpus, output, root=corpus, test_only=True, features=True)
    validate_data_dir(output / "test")
    for name in ("feats.scp", "vad.scp"):
        assert set(read_map(output / "test" / name).values()) == {f"{corpus}/f.ark:4"}
    assert set(read_map(output / "test" / "utt2num_frames").values()) == {"98"}
    assert (output / "test" / "frame_shift").read_text() == "0.01\n"
    (corpus / "feats.scp").unlink()
    assert "is none" in complaint(corpus, tmp_path, features=True)


def test_the_recommended_door_follows_the_number_of_speakers(tree, tmp_path, capsys):
    assert [recommended_door(number) for number in (2, 29, 30, 999, 5000)] == [
        DOORS[0],
        DOORS[0],
        DOORS[1],
        DOORS[1],
        DOORS[-1],
    ]
    assert any("--fine-tune" in door.options for door in DOORS), "shown, not recommended"
    prepare_folder(tree, tmp_path, preview=2)
    text = capsys.readouterr().out
    assert re.search(r"test a published network <- recommended for 10 speakers\n +--model", text)
    assert text.count("recommended for") == 1
    assert not list(tmp_path.iterdir())


def test_the_figures_of_the_doors_are_those_of_the_page():
    page = (ROOT / "recipes" / "own" / "README.md").read_text()
    table = page.partition("## Which door")[2].partition("\n## ")[0]
    for door in DOORS:
        for figure in re.findall(r"\d\.\d\d", door.figures):
            assert figure in table
        assert door.options in table
