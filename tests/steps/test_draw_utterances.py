"""A draw of training utterances: which, how many, and that their sound stays where it is."""

import pytest

from steps.draw_utterances import draw_utterances
from utils.data_dir import read_data_dir, read_map
from utils.data_dir.derive import drawn_utterances
from utils.errors import UserError
from utils.packed.facts import describe_augmentation, describe_cut, vad_when_packed

KEYS = [f"s{number % 7}-{number:04}" for number in range(3000)]


def test_a_draw_depends_on_names_and_seed_alone():
    drawn = drawn_utterances(KEYS, 1)
    assert len(drawn) == len(set(drawn)) == 2000
    assert drawn == sorted(drawn)
    assert drawn_utterances(reversed(KEYS), 1) == drawn
    assert drawn_utterances(KEYS, 2) != drawn
    assert set(drawn_utterances(KEYS, 1, 10)) < set(KEYS)
    assert drawn_utterances(KEYS[:5], 1) == sorted(KEYS[:5])


def test_the_drawn_directory_has_the_lists_of_its_utterances_and_no_trials(corpus, tmp_path):
    assert draw_utterances(corpus / "dev", tmp_path / "drawn", count=5, seed=3) == {"utterances": 5}
    drawn, whole = read_data_dir(tmp_path / "drawn"), read_data_dir(corpus / "dev")
    assert list(drawn.utt2spk) == drawn_utterances(whole.utt2spk, 3, 5)
    assert drawn.wav_scp == {key: whole.wav_scp[key] for key in drawn.utt2spk}
    assert read_map(tmp_path / "drawn" / "utt2num_samples").keys() == drawn.utt2spk.keys()
    assert not drawn.trials
    assert not (tmp_path / "drawn" / "ledger.json").exists(), "nothing is lost"
    for fact in (vad_when_packed, describe_augmentation, describe_cut):
        assert fact(tmp_path / "drawn") == fact(corpus / "dev")


def test_a_second_run_does_nothing_and_another_seed_draws_anew(corpus, tmp_path, capsys):
    for _ in range(2):
        draw_utterances(corpus / "train", tmp_path / "drawn", count=4)
    assert len(capsys.readouterr().out.splitlines()) == 1
    draw_utterances(corpus / "train", tmp_path / "drawn", count=4, seed=2)
    assert "option seed was 1, is 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"count": 0}, "--count is 0, expected 1"), ({"seed": -1}, "--seed is -1, expected 0")],
)
def test_options_out_of_range_are_refused(corpus, tmp_path, options, complaint):
    with pytest.raises(UserError, match=complaint):
        draw_utterances(corpus / "train", tmp_path / "drawn", **options)
    assert not (tmp_path / "drawn").exists()
