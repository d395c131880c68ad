"""Checkpoints: written atomically, damaged ones are skipped, only tensors and plain values load."""

import io
import os
import pickle
import zipfile
from contextlib import suppress

import pytest
import torch

from utils.errors import UserError
from utils.training.checkpoints import (
    average_weights,
    checkpoint_path,
    load_checkpoint,
    load_newest,
    save_checkpoint,
    saved_steps,
    weights_digest,
)

WEIGHTS = torch.ones(3, 2).numpy().tobytes()


def state(step=0, value=1.0):
    network = {
        "weight": torch.full((3, 2), value),
        "count": torch.tensor(step),
        "half": torch.tensor([value], dtype=torch.bfloat16),
    }
    optimizer = {
        "state": {0: {"exp_avg": torch.arange(3.0)}},
        "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}],
    }
    return {"step": step, "network": network, "optimizer": optimizer}


def test_what_is_saved_is_loaded(tmp_path):
    save_checkpoint(tmp_path / "new" / "a.pt", state(7))
    loaded = load_checkpoint(tmp_path / "new" / "a.pt")
    assert loaded["step"] == 7
    assert torch.equal(loaded["network"]["weight"], torch.ones(3, 2))
    assert loaded["optimizer"]["param_groups"] == [{"lr": 0.1, "betas": (0.9, 0.99)}]
    assert os.listdir(tmp_path / "new") == ["a.pt"]


def test_a_save_that_fails_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "a.pt", state(1))

    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path / "a.pt", state(2))
    assert load_checkpoint(tmp_path / "a.pt")["step"] == 1
    assert os.listdir(tmp_path) == ["a.pt"]


def test_steps_are_found_in_order_and_other_files_are_not(tmp_path):
    for step in (20, 3, 12345678, 0):
        save_checkpoint(checkpoint_path(tmp_path, step), state(step))
    for name in (
        "average.pt",
        "step-1.pt",
        ".step-0000099.pt.tmp",
        "step-0000020.pt.old",
        "step-00000xx.pt",
    ):
        (tmp_path / name).write_bytes(b"")
    assert checkpoint_path(tmp_path, 3).name == "step-0000003.pt"
    assert saved_steps(tmp_path) == [0, 3, 20, 12345678]
    assert saved_steps(tmp_path / "missing") == []


def damage(path, kind):
    data = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "cut": data[: len(data) // 2],
            "last byte": data[:-1],
            "text": b"not a checkpoint\n" * 50,
            "middle": data[:400] + bytes(40) + data[440:],
            "one bit": data.replace(WEIGHTS, WEIGHTS[:-1] + b"\x3e"),
        }[kind]
    )


@pytest.mark.parametrize("kind", ["empty", "cut", "last byte", "text", "middle", "one bit"])
def test_a_damaged_newest_one_is_named_and_passed_over(tmp_path, capsys, kind):
    for step in (0, 10, 20):
        save_checkpoint(checkpoint_path(tmp_path, step), state(step))
    damage(checkpoint_path(tmp_path, 20), kind)
    assert load_newest(tmp_path)["step"] == 10
    said = capsys.readouterr().err
    assert said.startswith(
        f"WARNING: {tmp_path}/step-0000020.pt: not a whole checkpoint of tensors and plain values ("
    )
    assert said.endswith("going back to the one before\n")
    assert len(said.splitlines()) == 1


def test_all_damaged_is_an_error_and_none_at_all_is_not(tmp_path):
    assert load_newest(tmp_path) is None
    for step in (0, 10):
        checkpoint_path(tmp_path, step).write_bytes(b"")
    with pytest.raises(UserError, match="none of 2 checkpoints can be read; remove the folder"):
        load_newest(tmp_path)


class Hostile:
    """Unpickled the ordinary way, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def hostile_zip(path, sign):
    """A checkpoint as torch writes it, with a hostile pickle in place of its own."""
    buffer = io.BytesIO()
    torch.save({"step": 1, "network": {}}, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(
                name,
                pickle.dumps({"step": 1, "network": Hostile(sign)}, 2)
                if name.endswith("data.pkl")
                else old.read(name),
            )


def hostile_legacy(path, sign):
    path.write_bytes(pickle.dumps({"step": 1, "network": Hostile(sign)}, 2))


@pytest.mark.parametrize("make", [hostile_zip, hostile_legacy])
def test_a_hostile_pickle_is_refused_and_does_nothing(tmp_path, make):
    path, sign = checkpoint_path(tmp_path, 1), tmp_path / "it-ran"
    make(path, sign)
    with pytest.raises(
        UserError, match=r"step-0000001.pt: not a whole checkpoint of tensors and plain values \("
    ) as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)
    assert not sign.exists()
    with suppress(RuntimeError):  # the legacy form fails behind the pickle
        torch.load(path, weights_only=False)
    assert sign.exists(), "the pickle was not hostile: this test showed nothing"


@pytest.mark.parametrize("content", [[1, 2], {"network": {}}, {"step": 1}])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(
        UserError, match="a.pt: not a whole checkpoint .*it has no step and network"
    ):
        load_checkpoint(tmp_path / "a.pt")


def test_a_missing_one_names_the_stage(tmp_path):
    with pytest.raises(
        UserError, match=r"average.pt: no such checkpoint; train the network first \(stage 3\)"
    ):
        load_checkpoint(tmp_path / "average.pt")


def test_the_average_is_a_mean_of_weights_with_the_last_ones_counters(tmp_path):
    for step, value in ((10, 1.0), (20, 2.0), (30, 4.5)):
        save_checkpoint(checkpoint_path(tmp_path, step), state(step, value))
    average = average_weights([checkpoint_path(tmp_path, step) for step in (10, 20, 30)])
    assert torch.equal(average["weight"], torch.full((3, 2), 2.5))
    assert average["count"] == 30
    assert average["half"].dtype == torch.bfloat16
    alone = average_weights([checkpoint_path(tmp_path, 30)])
    assert all(torch.equal(value, state(30, 4.5)["network"][name]) for name, value in alone.items())


def test_the_digest_follows_names_and_values_and_nothing_else():
    weights = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3)}
    same = {"b": torch.tensor(3), "a": torch.arange(6.0).reshape(2, 3).T.contiguous().T}
    assert weights_digest(weights) == weights_digest(same)
    assert weights_digest(weights) != weights_digest(weights | {"b": torch.tensor(4)})
    assert weights_digest(weights) != weights_digest({"a": weights["a"], "c": weights["b"]})
