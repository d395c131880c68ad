"""Files of torch: what torch itself saves is read without torch; what is hostile is one line."""

import argparse
import io
import os
import re
import subprocess
import sys
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.fuzz.mutations import make_zip
from tests.pickles import Calling, hostile
from utils.errors import UserError
from utils.foreign.child import DamagedFileError, read
from utils.foreign.sandbox import UnexpectedContentError
from utils.foreign.torch_state import read_torch, state_arrays

BOTH_FORMATS = pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])


def save(path, content, is_zip=True):
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    return path


def refusal(path, reader=read_torch):
    """The one line in which a file is refused, in the sandbox."""
    with pytest.raises(UserError) as caught:
        reader(path)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def quick_refusal(path):
    """The same by what the child calls, without a process."""
    with pytest.raises((UnexpectedContentError, DamagedFileError)) as caught:
        read(state_arrays, [path], [""])
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def quick_arrays(path):
    return read(state_arrays, [path], [""])[""]


@BOTH_FORMATS
def test_tensors_of_every_layout_and_type_come_back(tmp_path, is_zip):
    whole = torch.arange(24.0).reshape(4, 6) / 7
    tensors = {
        "whole": whole,
        "transposed": whole.T,
        "part": whole[1:3, ::2],
        "row": whole[2],
        "expanded": whole[:1].expand(4, 6),
        "tied": whole,
        "parameter": nn.Parameter(whole.clone()),
        "number": torch.tensor(3),
        "nothing": torch.zeros(0, 4),
        "flags": whole > 1,
    }
    tensors["with attributes"] = nn.Parameter(torch.ones(2))
    tensors["with attributes"].note = "x"
    for dtype in ("float64", "int8", "int16", "int32", "int64", "uint8"):
        tensors[dtype] = (100 * whole).to(getattr(torch, dtype))
    for bits in (16, 32, 64):
        tensors[f"uint{bits}"] = torch.arange(3).to(getattr(torch, f"uint{bits}"))
    arrays = read_torch(save(tmp_path / "x.pt", tensors, is_zip))
    assert list(arrays) == list(tensors)
    for key, tensor in tensors.items():
        expected = tensor.detach().numpy()
        np.testing.assert_array_equal(arrays[key], expected)
        assert (arrays[key].dtype, arrays[key].shape) == (expected.dtype, expected.shape), key


@BOTH_FORMATS
def test_half_precision_becomes_float32(tmp_path, is_zip):
    numbers = torch.tensor([1.5, -3e-5, float("inf"), 2**-14 / 3, -0.0])
    content = {"half": numbers.half(), "brain": numbers.bfloat16(), "none": numbers[:0].bfloat16()}
    arrays = quick_arrays(save(tmp_path / "x.pt", content, is_zip))
    for key, tensor in content.items():
        np.testing.assert_array_equal(arrays[key], tensor.float().numpy())
        assert arrays[key].dtype == np.float32


@pytest.mark.parametrize("wrapping", ["model", "state_dict"])
@BOTH_FORMATS
def test_plain_values_beside_the_state_dictionary_are_read_past(tmp_path, is_zip, wrapping):
    module = nn.DataParallel(nn.Linear(2, 1))
    content = {
        "epoch": np.int64(3),
        "best_eer": np.float64(1.25),
        "is_best": np.bool_(True),
        "history": {"losses": np.ones(3), "rates": [np.float32(1)]},
        "args": argparse.Namespace(lr=0.1, folder=Path("x"), options=defaultdict(list, a=[1])),
        "options": OrderedDict(a=(1, 2.5, None, "text", {1, 2}, 1j)),
        "types": [torch.float32, torch.bfloat16, np.dtype("f4"), np.float32, torch.strided],
        "shape": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "rng": [
            torch.get_rng_state(),
            ("MT19937", np.arange(3, dtype=np.uint32), 1, 0, 0.0),
            torch.eye(2).to_sparse(),
        ],
        "optimizer": torch.optim.Adam(module.parameters()).state_dict(),
        wrapping: module.state_dict(),
    }
    arrays = read_torch(save(tmp_path / "x.pt", content, is_zip))
    assert list(arrays) == ["weight", "bias"]
    np.testing.assert_array_equal(arrays["weight"], module.module.weight.detach().numpy())


def test_names_of_old_numpy_are_read_past(tmp_path):
    save(tmp_path / "new.pt", {"epoch": np.float64(3), "model": {"a": torch.ones(1)}})
    with_pickle(
        tmp_path, lambda pickled: pickled.replace(b"numpy._core.", b"numpy.core."), "new.pt"
    )
    assert list(quick_arrays(tmp_path / "x.pt")) == ["a"]


def test_arrays_may_stand_for_tensors(tmp_path):
    arrays = quick_arrays(save(tmp_path / "x.pt", {"a": np.arange(3.0), "b": torch.ones(1)}))
    assert arrays["a"].tolist() == [0, 1, 2]


def test_big_endian_files_are_read(tmp_path):
    save(
        tmp_path / "x.pt",
        {"a": torch.arange(3.0), "b": torch.arange(3), "c": torch.arange(3.0).half()},
    )
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, item_type in (("x/data/0", "f4"), ("x/data/1", "i8"), ("x/data/2", "f2")):
        members[name] = np.frombuffer(members[name], item_type).byteswap().tobytes()
    members["x/byteorder"] = b"big"
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    for array in read_torch(tmp_path / "x.pt").values():
        assert array.tolist() == [0, 1, 2]


class Net(nn.Module):
    """A network of a class that the child does not have."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)


@BOTH_FORMATS
@pytest.mark.parametrize("key", ["", "net"])
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_of_a_whole_network_the_refusal_has_the_command_that_helps(tmp_path, is_zip, key):
    network = nn.Sequential(nn.Linear(2, 1))
    path = save(tmp_path / "x.pt", {"epoch": 3, key: network} if key else network, is_zip)
    message = refusal(path)
    assert "holds a whole network (class torch.nn.modules.container.Sequential)" in message
    command = re.search(r"python -c \"(.*)\"", message)[1]
    subprocess.run([sys.executable, "-c", command], cwd=tmp_path, check=True)
    arrays = quick_arrays(tmp_path / "weights.pt")
    np.testing.assert_array_equal(arrays["0.weight"], network[0].weight.detach().numpy())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_of_a_torchscript_module_too(tmp_path):
    network = torch.jit.script(nn.Linear(2, 1))
    torch.jit.save(network, tmp_path / "x.pt")
    message = refusal(tmp_path / "x.pt")
    assert "holds a TorchScript module" in message
    command = re.search(r"python -c \"(.*)\"", message)[1]
    subprocess.run([sys.executable, "-c", command], cwd=tmp_path, check=True)
    assert list(quick_arrays(tmp_path / "weights.pt")) == ["weight", "bias"]


@BOTH_FORMATS
def test_a_class_of_others_is_named_and_no_code_of_it_looked_for(tmp_path, is_zip):
    assert f"class {Net.__module__}.Net" in quick_refusal(save(tmp_path / "x.pt", Net(), is_zip))


@BOTH_FORMATS
def test_a_hostile_file_is_refused_and_nothing_runs(tmp_path, is_zip):
    content = {"model": {"a": Calling(os.system, f"touch {tmp_path}/touched")}, "n": nn.ReLU()}
    message = refusal(save(tmp_path / "x.pt", content, is_zip))
    assert "it asks for posix.system; nothing of it was run" in message
    assert "weights_only" not in message
    assert not (tmp_path / "touched").exists()


def with_pickle(folder, change, source="whole.pt"):
    """A file x.pt whose pickle is changed."""
    with zipfile.ZipFile(folder / source) as archive:
        members = []
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith("data.pkl"):
                content = change(content)
            members.append((name, 0, content))
    (folder / "x.pt").write_bytes(make_zip(members))


@pytest.mark.parametrize("message", list(hostile(Path("touched"))))
def test_hostile_pickles_within_a_file_are_refused(tmp_path, message):
    save(tmp_path / "whole.pt", {"a": torch.ones(1)})
    with_pickle(tmp_path, lambda _: hostile(tmp_path / "touched")[message])
    quick_refusal(tmp_path / "x.pt")
    assert not (tmp_path / "touched").exists()


NOT_A_STATE = {
    "a list": ([torch.ones(1)], "holds list"),
    "a tensor": (torch.ones(1), "holds Tensor"),
    "nothing": ({}, "holds dict"),
    "numbers as keys": ({1: torch.ones(1)}, "holds dict"),
    "a number": ({"a": 3}, "'a' is not a tensor"),
    "a number of NumPy": ({"w": torch.ones(1), "a": np.float64(3)}, "'a' is not a tensor"),
    "a name": ({"a": torch.float32}, "'a' is not a tensor"),
    "a sparse tensor": ({"a": torch.eye(2).to_sparse()}, "'a' is not stored whole"),
    "a complex tensor": ({"a": torch.ones(1, dtype=torch.complex64)}, "'a' is not stored whole"),
    "no numbers": ({"a": torch.ones(1, device="meta")}, "'a' is not stored whole"),
    "8 bits": ({"a": torch.ones(1).to(torch.float8_e4m3fn)}, "'a' is not stored whole"),
    "memory of nothing": ({"a": torch.ones(1).expand(1 << 40)}, "'a' is not stored whole"),
}


@BOTH_FORMATS
@pytest.mark.parametrize("fault", NOT_A_STATE)
def test_what_is_no_state_dictionary_is_refused(tmp_path, fault, is_zip):
    content, message = NOT_A_STATE[fault]
    assert message in quick_refusal(save(tmp_path / "x.pt", content, is_zip))


def test_tensors_that_share_a_storage_may_not_add_up_to_much_more_than_the_file(tmp_path):
    tied = {"a0": torch.ones(1 << 18)}
    whole = quick_arrays(save(tmp_path / "x.pt", tied | {"b": tied["a0"]}))
    np.testing.assert_array_equal(whole["a0"], whole["b"])
    tied |= {f"a{number}": tied["a0"] for number in range(1300)}
    assert "it needs more memory than its size allows" in refusal(save(tmp_path / "x.pt", tied))


def test_a_key_with_and_without_prefix_is_refused(tmp_path):
    path = save(tmp_path / "x.pt", {"a": torch.ones(1), "module.a": torch.ones(1)})
    assert "'module.a' occurs twice, with and without module. or __S__." in refusal(path)


@BOTH_FORMATS
def test_a_damaged_file_is_refused(tmp_path, is_zip):
    path = tmp_path / "x.pt"
    whole = save(path, {"a": torch.arange(1000.0)}, is_zip).read_bytes()
    cut = [b"", b"PK" + whole[2:40], *(whole[:size] for size in range(7, len(whole), 501))]
    for content in cut:
        path.write_bytes(content)
        quick_refusal(path)
    assert "no such file" in refusal(tmp_path / "missing.pt")


def test_a_changed_byte_of_a_zip_file_is_found(tmp_path):
    path = tmp_path / "x.pt"
    whole = save(path, {"a": torch.arange(1000.0)}).read_bytes()
    path.write_bytes(whole[:1000] + b"x" + whole[1001:])
    assert "Bad CRC-32" in quick_refusal(path)


def changed_member(folder, name, content, compression=zipfile.ZIP_STORED):
    """A file x.pt with another member of this name."""
    save(folder / "whole.pt", {"a": torch.arange(3.0)})
    with (
        zipfile.ZipFile(folder / "whole.pt") as archive,
        zipfile.ZipFile(folder / "x.pt", "w", compression) as changed,
    ):
        for member in archive.namelist():
            changed.writestr(member, content if member == f"whole/{name}" else archive.read(member))
    return folder / "x.pt"


def test_zip_files_that_are_not_as_torch_writes_them_are_refused(tmp_path):
    assert "is compressed" in quick_refusal(
        changed_member(tmp_path, "data/0", bytes(1 << 20), zipfile.ZIP_DEFLATED)
    )
    assert "storage 0 is shorter" in quick_refusal(changed_member(tmp_path, "data/0", bytes(8)))
    assert "middle" in quick_refusal(changed_member(tmp_path, "byteorder", b"middle"))
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("a", "b")
    assert "0 members of the zip file are called data.pkl" in quick_refusal(tmp_path / "x.pt")
    whole = save(tmp_path / "x.pt", {"a": torch.ones(1)}).read_bytes()
    size = io.BytesIO(whole).getbuffer().nbytes
    place = whole.rindex(b"PK\1\2", 0, whole.index(b"x/data/0", whole.index(b"PK\1\2")))
    lies = whole[: place + 20] + b"\xff\xff\xff\x7f" * 2 + whole[place + 28 :]
    assert len(lies) == size
    (tmp_path / "x.pt").write_bytes(lies)
    assert "x/data/0 is compressed, or its two sizes differ" in quick_refusal(tmp_path / "x.pt")


def test_sizes_that_a_pickle_declares_are_checked(tmp_path):
    save(tmp_path / "whole.pt", {"a": torch.arange(3.0)})
    with zipfile.ZipFile(tmp_path / "whole.pt") as archive:
        pickled = archive.read("whole/data.pkl")
    shape, strides = b"K\x03\x85q\x08", b"K\x01\x85q\x09"
    assert pickled.count(shape) == pickled.count(strides) == 1
    faults = {
        "a tensor of a negative size": (shape, b"J\xff\xff\xff\xff\x85q\x08"),
        "'a' is not stored whole": (shape, b"K\x04\x85q\x08"),
        "strides is incompatible": (strides, b"K\x09\x85q\x09"),
        "a storage of a negative size": (b"K\x03tq\x07", b"J\xff\xff\xff\xfftq\x07"),
        "storage 0 is shorter": (b"K\x03tq\x07", b"K\x04tq\x07"),
        "a persistent id that is not a storage": (b"storage", b"staring"),
        "a str where a storage belongs": (b"q\x07QK", b"q\x070X\x01\x00\x00\x00aK"),
    }
    for message, (old, new) in faults.items():
        assert old in pickled, message
        with_pickle(tmp_path, lambda content, old=old, new=new: content.replace(old, new))
        assert message in quick_refusal(tmp_path / "x.pt")
