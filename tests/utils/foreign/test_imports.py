"""Weights that Keras and TensorFlow themselves wrote are read; damaged files are one line."""

import struct
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.published_files import save_bundle, save_keras
from tests.published_weights import GOLDEN, draw
from utils.errors import UserError
from utils.foreign import tables, transforms
from utils.foreign import tensorflow as tensor_bundle
from utils.foreign.child import DamagedFileError, read
from utils.foreign.keras import read_keras
from utils.foreign.tensorflow import bundle_arrays, masked_crc32c, read_bundle

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
    files = [tmp_path / "c.index", tmp_path / "c.data-00000-of-00001"]
    for path in files:
        whole = path.read_bytes()
        for position in range(0, len(whole), 7):
            changed = bytearray(whole)
            changed[position] ^= 1
            path.write_bytes(changed)
            try:
                arrays = read(bundle_arrays, files, [""])[""]
            except DamagedFileError:
                continue
            # The padding of the footer and the handle of an empty block carry no content.
            for key, array in STATE.items():
                np.testing.assert_array_equal(arrays[key], array)
        path.write_bytes(whole)


def test_what_is_no_checkpoint_is_one_line(tmp_path):
    assert "a TensorFlow checkpoint is c.index and c.data-00000-of-00001" in refusal(
        read_bundle, tmp_path / "c"
    )
    save_bundle(tmp_path / "c", STATE)
    (tmp_path / "c.index").write_bytes(b"x" * 100)
    assert "the index does not end with the footer of a table" in refusal(
        read_bundle, tmp_path / "c"
    )
    save_bundle(tmp_path / "c", STATE)
    (tmp_path / "c.data-00000-of-00001").write_bytes(b"")
    assert "has 0 bytes" in refusal(read_bundle, tmp_path / "c")


@settings(max_examples=300)
@given(st.binary(max_size=80), st.integers(0, 40), st.integers(0, 60))
def test_any_index_is_read_or_refused(tmp_path_factory, content, first, size):
    folder = tmp_path_factory.getbasetemp()
    handles = (bytes([0, 0, first, size]) + content)[:40].ljust(40, b"\0")
    (folder / "f.index").write_bytes(content + handles + struct.pack("<Q", tensor_bundle.MAGIC))
    (folder / "f.data").write_bytes(content)
    with pytest.raises(DamagedFileError):
        read(bundle_arrays, [folder / "f.index", folder / "f.data"], [""])


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
    assert (
        tables.match_pattern("conv{i}.*", ["conv" + "9" * 5000 + ".weight", "conv٣.weight"]) == {}
    )


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
