"""Validation trials: they need classes, those of the speakers; a reversed EER is noted."""

import pytest

from utils.errors import UserError
from utils.training.log import TrainingLog
from utils.training.validation import DevTrials


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ("a-1 a-2 nontarget\na-1 b-1 target\n", "trials:1: trial 'a-1 a-2' is nontarget"),
        ("a-1 a-2 target\nb-1 b-1 target\na-1 b-1 nontarget\n", "trials:2: trial of utterance"),
        ("a-1 a-2\na-1 b-1\n", "trials:1: 2 fields .*add the classes"),
        ("a-1 a-2 target\n", "trials: all 1 trials are target, expected both"),
    ],
)
def test_dev_trials_are_refused_before_anything_is_trained(trials, said, tmp_path):
    (tmp_path / "utt2spk").write_text("a-1 a\na-2 a\nb-1 b\n")
    (tmp_path / "trials").write_text(trials)
    with pytest.raises(UserError, match=said):
        DevTrials(tmp_path, None, None, None)


def test_a_dev_eer_above_one_half_is_said_to_seem_reversed(tmp_path, capsys):
    with TrainingLog(tmp_path, 0, 2, active=True) as log:
        log.add_validation({"step": 1, "dev_eer_percent": 61.25, "dev_centred_by": 2000})
        log.add_validation({"step": 2, "dev_eer_percent": 50.0, "dev_centred_by": 0})
    said = capsys.readouterr().err
    assert "step 1: dev EER 61.25 % (centred by 2,000 training utterances; " in said
    assert said.count("seem reversed") == 1
