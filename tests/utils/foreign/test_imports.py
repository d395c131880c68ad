"""The files that published models come in: what Keras and TensorFlow themselves wrote is read, what is damaged or hostile is refused in one line."""

import os
import struct
import zipfile
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pickles import Calling
from tests.published_files import save_bundle, save_keras
from tests.published_weights import GOLDEN, draw
from utils.errors import UserError
from utils.foreign import tables, transforms
from utils.foreign import tensorflow as tensor_bundle
from utils.foreign.keras import read_keras
from utils.foreign.tensorflow import masked_crc32c, read_bundle
from utils.foreign.torch_state import read_torch

WRITTEN = GOLDEN / "written_by_tensorflow"  # by TensorFlow 2.15 and its Keras, filled with `draw`
STATE = {
    "b": np.float32([-5]),
    "flag": np.array([True]),
    "steps": np.int64(3),
    "w/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "w/kernel/Adam": np.zeros((2, 3)),
    "x": np.zeros((0, 4), np.int32),
}


def refusal(reader, path):
    """The one line in which a reader refuses a file."""
    with pytest.raises(UserError) as caught:
        reader(path)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_checkpoint_that_tensorflow_wrote_is_read():
    read = read_bundle(WRITTEN / "model.ckpt-5")
    assert read["global_step"] == 0
    assert read["lstm/rnn/multi_rnn_cell/cell_0/lstm_cell/kernel"].shape == (9, 24)
    assert {"w/Adam", "w/Adam_1", "beta1_power", "beta2_power"} <= read.keys()
    for key, array in read.items():
        if array.ndim:
            np.testing.assert_array_equal(array, draw(key, array.shape, 4))


@pytest.mark.parametrize("name", ["weights.h5", "model.h5"])
def test_weights_that_keras_wrote_are_read(name):
    pytest.importorskip("h5py")
    read = read_keras(WRITTEN / name)
    assert {key: array.shape for key, array in read.items()} == {
        "strided_conv/kernel": (3, 1, 3),
        "strided_conv/bias": (3,),
        **{
            f"strided_conv/bn/{word}": (3,)
            for word in ("gamma", "beta", "moving_mean", "moving_variance")
        },
        "gru_0/kernel": (3, 12),
        "gru_0/recurrent_kernel": (4, 12),
        "gru_0/bias": (12,),
        "prediction/kernel": (4, 2),
    }
    for key, array in read.items():
        np.testing.assert_array_equal(array, draw(key, array.shape, 4))


@pytest.mark.parametrize("block_entries", [1, 2, 100])
def test_a_checkpoint_of_any_number_of_blocks_comes_back_by_prefix_or_by_any_of_its_files(
    tmp_path, block_entries
):
    save_bundle(tmp_path / "model.ckpt-1", STATE, block_entries)
    for name in (
        "model.ckpt-1",
        "model.ckpt-1.index",
        "model.ckpt-1.meta",
        "model.ckpt-1.data-00000-of-00001",
    ):
        read = read_bundle(tmp_path / name)
        assert list(read) == sorted(STATE)
        for key, array in STATE.items():
            np.testing.assert_array_equal(read[key], array)
            assert read[key].dtype == array.dtype


def test_the_checksum_is_castagnolis():
    assert (
        masked_crc32c(b"123456789")
        == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF
    )


def test_a_changed_byte_of_a_checkpoint_is_found(tmp_path):
    save_bundle(tmp_path / "c", STATE)
    for name in ("c.index", "c.data-00000-of-00001"):
        path = tmp_path / name
        whole = path.read_bytes()
        for place in range(0, len(whole), 7):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            try:
                read = read_bundle(tmp_path / "c")
            except UserError:
                continue
            for (
                key,
                array,
            ) in (
                STATE.items()
            ):  # the padding of the footer and the handle of an empty block say nothing
                np.testing.assert_array_equal(read[key], array)
        path.write_bytes(whole)


def test_what_is_no_checkpoint_is_one_line(tmp_path):
    assert "a TensorFlow checkpoint is c.index and c.data-00000-of-00001" in refusal(
        read_bundle, tmp_path / "c"
    )
    save_bundle(tmp_path / "c", STATE)
    (tmp_path / "c.index").write_bytes(b"x" * 100)
    assert "its last bytes are not those of an index" in refusal(read_bundle, tmp_path / "c")
    save_bundle(tmp_path / "c", STATE)
    (tmp_path / "c.data-00000-of-00001").write_bytes(b"")
    assert "has 0 bytes" in refusal(read_bundle, tmp_path / "c")


@settings(max_examples=300)
@given(st.binary(max_size=80), st.integers(0, 40), st.integers(0, 60))
def test_any_index_is_read_or_refused(tmp_path_factory, content, first, size):
    folder = tmp_path_factory.getbasetemp()
    footer = (bytes([0, 0, first, size]) + content)[:40].ljust(40, b"\0") + struct.pack(
        "<Q", tensor_bundle.MAGIC
    )
    (folder / "f.index").write_bytes(content + footer)
    (folder / "f.data-00000-of-00001").write_bytes(content)
    refusal(read_bundle, folder / "f")


def test_keras_names_that_lead_out_of_the_file_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    save_keras(tmp_path / "outside.h5", {"a/kernel": np.ones((2, 2), np.float32)})
    path = save_keras(tmp_path / "x.h5", {"a/kernel": np.ones((2, 2), np.float32)})
    with h5py.File(path, "a") as file:
        del file["a/a/kernel:0"]
        file["a/a/kernel:0"] = h5py.ExternalLink("outside.h5", "/a/a/kernel:0")
    assert "no a/kernel:0 in the file itself" in refusal(read_keras, path)
    with h5py.File(path, "a") as file:
        del file["a/a/kernel:0"]
        file["a/a"].create_dataset(
            "kernel:0", (4,), "f4", external=[(str(tmp_path / "outside.h5"), 0, 16)]
        )
    assert "kernel:0 is not stored whole" in refusal(read_keras, path)
    with h5py.File(path, "a") as file:
        del file["a/a/kernel:0"]
        file["a/a"].create_dataset(
            "kernel:0", (1 << 40,), "f4", chunks=(1024,)
        )  # 4 TB of which nothing is there
    assert "kernel:0 is not stored whole" in refusal(read_keras, path)


def test_what_is_no_file_of_keras_is_one_line(tmp_path):
    h5py = pytest.importorskip("h5py")
    assert "no such file" in refusal(read_keras, tmp_path / "missing.h5")
    (tmp_path / "x.h5").write_bytes(b"no HDF5")
    assert "not a whole file of weights" in refusal(read_keras, tmp_path / "x.h5")
    h5py.File(tmp_path / "x.h5", "w").close()
    assert "no attribute layer_names" in refusal(read_keras, tmp_path / "x.h5")


def test_without_h5py_the_requirement_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    assert "pip install -r requirements-optional.txt" in refusal(read_keras, tmp_path / "x.h5")


@pytest.mark.parametrize("is_zip", [True, False])
def test_files_of_old_and_new_torch_are_read(tmp_path, is_zip):
    two = torch.ones(2)
    tensors = {
        "module.a": two,
        "b": torch.ones(2, 3).T,
        "half": two.half(),
        "brain": two.bfloat16(),
        "n": torch.tensor(3),
    }
    torch.save(tensors, tmp_path / "x.pt", _use_new_zipfile_serialization=is_zip)
    read = read_torch(tmp_path / "x.pt")
    assert {key: (array.shape, array.dtype) for key, array in read.items()} == {
        "a": ((2,), np.float32),
        "b": ((3, 2), np.float32),
        "half": ((2,), np.float32),
        "brain": ((2,), np.float32),
        "n": ((), np.int64),
    }


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_hostile_file_of_torch_is_refused_and_nothing_runs(tmp_path, is_zip):
    torch.save(
        {"model": {"a": Calling(os.system, f"touch {tmp_path}/touched")}},
        tmp_path / "x.pt",
        _use_new_zipfile_serialization=is_zip,
    )
    assert "posix.system" in refusal(read_torch, tmp_path / "x.pt")
    assert not (tmp_path / "touched").exists()


NOT_A_STATE = {
    "a list": ([torch.ones(1)], "holds list"),
    "nothing": ({}, "holds dict"),
    "numbers as keys": ({1: torch.ones(1)}, "holds dict"),
    "a number": ({"a": 3}, "'a' is no tensor"),
    "a sparse tensor": ({"a": torch.eye(2).to_sparse()}, "'a' is not stored whole"),
    "memory of nothing": ({"a": torch.ones(1).expand(1 << 40)}, "'a' is not stored whole"),
    "a key twice": ({"a": torch.ones(1), "module.a": torch.ones(1)}, "'module.a' is there twice"),
}


@pytest.mark.parametrize("fault", NOT_A_STATE)
def test_what_is_no_state_dictionary_is_one_line(tmp_path, fault):
    content, message = NOT_A_STATE[fault]
    torch.save(content, tmp_path / "x.pt")
    assert message in refusal(read_torch, tmp_path / "x.pt")


def test_a_damaged_file_of_torch_is_one_line(tmp_path):
    path = tmp_path / "x.pt"
    assert "no such file" in refusal(read_torch, path)
    torch.save({"a": torch.arange(1000.0)}, path)
    whole = path.read_bytes()
    for content in (
        b"",
        whole[:100],
        whole[:-100],
        b"PK" + whole[2:40],
        whole[:1000] + b"x" + whole[1001:],
    ):
        path.write_bytes(content)
        refusal(read_torch, path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")
    refusal(read_torch, path)


def test_every_kind_has_a_table_whose_words_are_known():
    kinds = {path.stem for path in (GOLDEN.parents[2] / "utils" / "foreign").glob("*.yaml")}
    assert kinds | {"voxceleb_trainer"} == set(get_args(tables.Kind))
    for kind in kinds:
        table = tables.read_table(kind)
        names = [
            target[1]
            for rules in (table.keys, *(head.keys for head in table.heads))
            for target in rules.values()
            if isinstance(target, list)
        ]
        assert set(names) <= transforms.TRANSFORMS.keys() | (
            {"by_rows"} if table.rows else set()
        ), kind
        assert set(table.constants.values()) <= transforms.CONSTANTS.keys()
        assert set(table.rows.values()) <= transforms.TRANSFORMS.keys()


def test_a_number_of_many_digits_is_none():
    assert tables.keys_like("conv{i}.*", ["conv" + "9" * 5000 + ".weight", "conv٣.weight"]) == {}


def test_patterns_find_numbers_letters_sums_and_places():
    keys = [
        "block0.0.conv.weight",
        "block0.1.conv.weight",
        "block1.0.conv.weight",
        "conv10_b/kernel",
        "conv2_a/kernel",
        "conv2_b/kernel",
    ]
    found = tables.match_keys(
        keys,
        {"block{i}.{j}.conv.*": "blocks.{#i.j}.{i-2}.{i+5}.*", "conv{i}_{A}/*": "{#i.A}.*"},
        {"kernel": "weight"},
    )
    assert {key: match.ours for key, match in found.items()} == {
        "block0.0.conv.weight": ("blocks.0.-2.5.weight",),
        "block0.1.conv.weight": ("blocks.1.-2.5.weight",),
        "block1.0.conv.weight": ("blocks.2.-1.6.weight",),
        "conv2_a/kernel": ("0.weight",),
        "conv2_b/kernel": ("1.weight",),
        "conv10_b/kernel": ("2.weight",),
    }
