"""Model folders: written whole, opened only with unchanged bytes, identified by their content."""

import json

import numpy as np
import pytest

from utils.errors import UserError
from utils.pretrained import (
    add_to_model,
    is_model,
    model_input,
    open_model,
    read_weights,
    weights_as_bytes,
    write_model,
)
from utils.pretrained.folder import hashed_speaker

WEIGHTS = {
    "b": np.arange(3, dtype=np.float32),
    "a": np.ones((2, 2), np.int64),
    "batches": np.array(7, np.int64),
    "transposed": np.arange(6.0).reshape(2, 3).T,
}


def contents(**more: bytes) -> dict[str, bytes]:
    return {
        "config.yaml": b"model: {name: ecapa}\n",
        "weights.safetensors": weights_as_bytes(WEIGHTS),
        "provenance.json": b'{"network": "ecapa"}\n',
        **more,
    }


def test_a_model_is_read_as_it_was_written(tmp_path):
    model = write_model(tmp_path / "model", contents(NOTICE=b"converted\n"))
    assert is_model(model.folder)
    assert model_input(model.folder) == tmp_path / "model" / "model.json"
    assert model.config == {"model": {"name": "ecapa"}}
    assert model.provenance == {"network": "ecapa"}
    assert model.protocol_options is None
    read = read_weights(model.folder / "weights.safetensors")
    assert read.keys() == WEIGHTS.keys()
    assert all(np.array_equal(read[name], WEIGHTS[name]) for name in WEIGHTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_files_that_do_not_identify_the_model_leave_its_digest(tmp_path):
    model = write_model(tmp_path / "model", contents())
    add_to_model(model.folder, {"threshold.json": b"{}\n"})
    assert open_model(model.folder).digest == model.digest
    assert "threshold.json" in open_model(model.folder).files
    with pytest.raises(ValueError, match="config.yaml"):
        add_to_model(model.folder, {"config.yaml": b"model: {}\n"})


def test_protocol_and_weights_identify_the_model(tmp_path):
    plain = write_model(tmp_path / "plain", contents())
    windows = write_model(tmp_path / "windows", contents(**{"protocol.yaml": b"name: whole\n"}))
    assert windows.digest != plain.digest
    assert windows.protocol_options == {"name": "whole"}


def test_the_same_model_again_changes_nothing_and_another_is_refused(tmp_path):
    model = write_model(tmp_path / "model", contents())
    before = (model.folder / "manifest.json").stat().st_mtime_ns
    write_model(tmp_path / "model", contents())
    assert (model.folder / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="exists, and is not this model"):
        write_model(tmp_path / "model", contents(NOTICE=b"other\n"))
    assert open_model(model.folder).digest == model.digest


@pytest.mark.parametrize("name", ["config.yaml", "weights.safetensors", "provenance.json"])
def test_a_changed_byte_is_named(tmp_path, name):
    model = write_model(tmp_path / "model", contents())
    path = model.folder / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: its bytes have changed"):
        open_model(model.folder)


def test_refusals_name_the_file(tmp_path):
    model = write_model(tmp_path / "model", contents())
    manifest = json.loads((model.folder / "manifest.json").read_text())
    weights = model.folder / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    with pytest.raises(UserError, match=f"{len(whole) - 1} bytes, expected {len(whole)}"):
        open_model(model.folder)
    weights.unlink()
    with pytest.raises(UserError, match="weights.safetensors: missing"):
        open_model(model.folder)
    (model.folder / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(UserError, match="of format 2, this version reads up to 1"):
        open_model(model.folder)
    with pytest.raises(UserError, match="no such folder"):
        open_model(tmp_path / "missing")
    outside = {**manifest, "files": {**manifest["files"], "../x": {"bytes": 1, "sha256": ""}}}
    (model.folder / "manifest.json").write_text(json.dumps(outside))
    weights.write_bytes(whole)
    with pytest.raises(UserError, match="outside of the model folder"):
        open_model(model.folder)


def test_weights_that_are_cut_or_something_else_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(weights_as_bytes(WEIGHTS)[:-1])
    with pytest.raises(UserError, match="not a whole safetensors file"):
        read_weights(path)


def test_speakers_are_kept_as_digests():
    assert hashed_speaker("id10001") == hashed_speaker("id10001") != hashed_speaker("id10002")
    assert len(hashed_speaker("id10001")) == 16
