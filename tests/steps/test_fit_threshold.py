"""steps.fit_threshold and steps.compare_models on a folder of made-up voices and a tiny model."""

import json
import shutil
from pathlib import Path

import pytest

from steps.api import load_model
from steps.compare_models import compare_models
from steps.fit_threshold import fit_threshold
from tests.models_for_tests import (
    CALIBRATION,
    as_json,
    make_calibrated_model,
    make_model,
    write_voice,
)
from utils.archive.objects import encode_object
from utils.errors import UserError, WrongArguments
from utils.pretrained import add_to_model
from utils.scoring.thresholds import read_threshold

PITCHES = (80, 105, 140, 160, 240, 270)  # which the random network tells apart


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A calibrated MODEL, and a folder of six speakers with three recordings; read only."""
    root = tmp_path_factory.mktemp("voices")
    make_calibrated_model(root / "model")
    for pitch in PITCHES:
        for seed in range(3):
            write_voice(root / "folder" / f"{pitch}" / f"{seed}.wav", pitch, 2.5, seed=seed)
    return root


@pytest.mark.slow
def test_a_threshold_is_fitted_and_tried_on_new_recordings(made, tmp_path, capsys):
    path = tmp_path / "threshold.json"
    fit_threshold(made / "model", made / "folder", path, also_2s=True)
    said = capsys.readouterr().out
    fitted = read_threshold(path)
    assert fitted.counts["speakers"] == 6
    assert fitted.counts["targets"] == 6 * 3
    assert fitted.backend is None
    assert fitted.mean is None
    assert fitted.shift is not None
    assert set(fitted.conditions) == {"2 s"}
    assert len(fitted.recordings) == 18
    assert f"scores of at least {fitted.threshold:.4f} are accepted" in said
    assert "a prior of 0.5 and equal costs" in said
    assert "note: misses are optimistic" in said
    assert fitted.errors["miss"]["bound"] == pytest.approx(1 - 0.05 ** (1 / 6))
    assert fitted.smallest_false_alarm_rate() == pytest.approx(1 - 0.05 ** (1 / 15))

    with pytest.raises(UserError, match="18 of 18 recordings are those that"):
        fit_threshold(made / "model", made / "folder", tmp_path / "check.json", check=path)
    other = make_model(tmp_path / "other", seed=1).folder
    with pytest.raises(UserError, match="fitted for model"):
        fit_threshold(other, made / "folder", tmp_path / "check.json", check=path)
    for pitch in PITCHES[:3]:
        for seed in (7, 8):
            write_voice(tmp_path / "new" / f"{pitch}" / f"{seed}.wav", pitch, 2.5, seed=seed)
    found = fit_threshold(made / "model", tmp_path / "new", tmp_path / "check.json", check=path)
    assert found == json.loads((tmp_path / "check.json").read_text())
    assert "the fit's bound of" in capsys.readouterr().out


@pytest.mark.slow
def test_with_few_speakers_the_slope_is_the_calibrations_and_the_offset_moves(made, tmp_path):
    alike = tmp_path / "folder"
    shutil.copytree(made / "folder", alike)
    for pitch in (145, 190, 215, 320):  # some are so close to others that the classes overlap
        for seed in range(3):
            write_voice(alike / f"{pitch}" / f"{seed}.wav", pitch, 2.5, seed=seed)
    fit_threshold(made / "model", alike, tmp_path / "threshold.json")
    fitted = read_threshold(tmp_path / "threshold.json")
    assert fitted.counts["speakers"] == 10
    assert fitted.calibration.slope == pytest.approx(CALIBRATION.slope)
    moved = fitted.calibration.offset - CALIBRATION.offset
    assert abs(moved) > 0.1
    assert fitted.shift["nats"] == pytest.approx(moved)
    assert fitted.threshold == pytest.approx(-fitted.calibration.offset / CALIBRATION.slope)


@pytest.mark.slow
def test_a_model_with_a_norm_has_a_threshold_of_normalised_scores(made, tmp_path):
    plain = load_model(make_model(tmp_path / "m").folder)
    archive = b""
    for hz in (90, 120, 180, 210, 300):
        vector = plain.embed(write_voice(tmp_path / f"{hz}.wav", hz, 2.5))
        archive += f"{hz} ".encode() + encode_object(vector)
    norm = {"method": "s_norm", "top_k": None, "members": 5}
    cohort = {"cohort/xvector.ark": archive, "cohort/norm.json": as_json(norm)}
    add_to_model(tmp_path / "m", cohort)
    path = tmp_path / "threshold.json"
    fit_threshold(tmp_path / "m", made / "folder", path)
    fitted = read_threshold(path)
    assert fitted.norm == norm
    assert fitted.mean is None
    model = load_model(tmp_path / "m")
    pair = made / "folder" / "80" / "0.wav", made / "folder" / "80" / "1.wav"
    decided = model.verify(*pair, threshold=path)
    assert decided.score == model.verify(*pair).score != plain.verify(*pair).score
    assert decided.accepted
    assert not model.verify(pair[0], made / "folder" / "270" / "0.wav", threshold=path).accepted


@pytest.mark.parametrize("option", [{"also_2s": True}, {"p_target": 0.1}, {"enrol_files": 2}])
def test_a_check_takes_no_options_of_a_fit(tmp_path, option):
    with pytest.raises(WrongArguments, match=r"--check: prior, costs and --enrol-files are those"):
        fit_threshold(tmp_path, tmp_path, tmp_path / "x", check=tmp_path / "t.json", **option)


def test_where_there_is_no_number_nothing_is_written(made, tmp_path):
    path = tmp_path / "threshold.json"
    with pytest.raises(UserError, match="the normalised cost may be .* speakers would do"):
        fit_threshold(made / "model", made / "folder", path, p_target=0.01)
    few = tmp_path / "few"
    shutil.copytree(made / "folder" / "80", few / "80")
    with pytest.raises(UserError, match="recordings of one speaker"):
        fit_threshold(made / "model", few, path)
    shutil.copytree(made / "folder" / "105", few / "105")
    with pytest.raises(UserError, match="2 speakers .* expected at least 5"):
        fit_threshold(made / "model", few, path)
    with pytest.raises(UserError, match="--p-target, --c-miss, --c-fa: need 0 < p_target < 1"):
        fit_threshold(made / "model", few, path, p_target=1.0)
    with pytest.raises(UserError, match="--enrol-files: 0"):
        fit_threshold(made / "model", few, path, enrol_files=0)
    assert not path.exists()
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.slow
def test_eight_real_speakers_have_a_threshold_for_a_prior_of_one_half(
    published_model, shared_data, tmp_path
):
    speakers = sorted((shared_data / "speechocean762_train" / "WAVE").iterdir())[20:28]
    for speaker in speakers:
        for path in sorted(speaker.iterdir())[:4]:
            target = tmp_path / "folder" / speaker.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    model, path = published_model("campplus"), tmp_path / "threshold.json"
    fit_threshold(model, tmp_path / "folder", path)
    fitted = read_threshold(path)
    assert fitted.counts["targets"] == 8 * 6
    assert fitted.errors["miss"]["rate"] < 0.15
    assert fitted.errors["false_alarm"]["rate"] < 0.15
    assert fitted.errors["cost"]["bound"] < 1


@pytest.mark.slow
def test_models_are_compared_on_the_same_trials(made, tmp_path, capsys):
    other = make_model(tmp_path / "other", seed=1).folder
    (entry,) = compare_models(made / "folder", [made / "model", other], replicates=50)
    said = capsys.readouterr().out
    assert entry["speakers"] == 6
    assert said.count("18 target and 135 nontarget trials") == 2
    assert "points" in said
    assert f"{Path(entry['first']).name} {Path(entry['second']).name}" == "model other"
    with pytest.raises(UserError, match="1 models, expected two or more"):
        compare_models(made / "folder", [made / "model"])
