"""The calibration of a model: applied to its own scores, refused with another network."""

import json

import numpy as np
import pytest

from utils.errors import UserError
from utils.pretrained import (
    ModelCalibration,
    calibration_as_bytes,
    model_digest,
    open_model,
    read_model_calibration,
    weights_as_bytes,
    write_model,
)

MAP = ModelCalibration(20.0, -5.0, "calibrated on read English")


def contents(value: float = 0.0) -> dict[str, bytes]:
    return {
        "config.yaml": b"model: {name: ecapa}\n",
        "weights.safetensors": weights_as_bytes({"a": np.full(3, value, np.float32)}),
        "provenance.json": b"{}\n",
    }


def write(folder, own: dict[str, bytes], calibration: bytes):
    return write_model(folder, {**own, "calibration.json": calibration})


def test_a_calibration_maps_scores_of_its_model(tmp_path):
    own = contents()
    model = write(tmp_path / "m", own, calibration_as_bytes(MAP, model_digest(own), None))
    assert model.digest == model_digest(own)
    calibration = read_model_calibration(open_model(model.folder))
    assert calibration == MAP
    assert calibration.ratios(np.array([0.25, 0.5])).tolist() == [0.0, 5.0]


def test_a_model_without_a_calibration_has_none(tmp_path):
    assert read_model_calibration(write_model(tmp_path / "m", contents())) is None


@pytest.mark.parametrize(
    ("digests", "message"),
    [
        ((model_digest(contents(1.0)), None), "scores of another network"),
        ((model_digest(contents()), "12" * 32), "another back end .121212121212., .* has none"),
    ],
)
def test_a_calibration_of_other_scores_is_refused(tmp_path, digests, message):
    model = write(tmp_path / "m", contents(), calibration_as_bytes(MAP, *digests))
    with pytest.raises(UserError, match=message):
        read_model_calibration(model)


def test_a_calibration_of_normalised_scores_is_refused_without_the_norm(tmp_path):
    own, norm = contents(), {"method": "s_norm"}
    calibration = calibration_as_bytes(MAP, model_digest(own), None, norm=norm)
    with pytest.raises(UserError, match=r"another score normalisation \(s_norm\)"):
        read_model_calibration(write(tmp_path / "m", own, calibration))
    own["cohort/norm.json"] = json.dumps(norm).encode()
    assert read_model_calibration(write(tmp_path / "n", own, calibration)) == MAP


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2"),
        ({"slope": -1.0}, "slope above 0"),
        ({"offset": float("nan")}, "finite"),
        ({"domain": 3}, "a calibration of a model"),
    ],
)
def test_a_damaged_calibration_is_refused(tmp_path, change, message):
    own = contents()
    whole = json.loads(calibration_as_bytes(MAP, model_digest(own), None))
    model = write(tmp_path / "m", own, json.dumps(whole | change).encode())
    with pytest.raises(UserError, match=message):
        read_model_calibration(model)
