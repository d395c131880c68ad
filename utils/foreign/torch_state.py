"""State dictionaries that PyTorch saved, read without PyTorch.

`read_torch` starts the sandbox (sandbox.py); the other functions run in it.
"""

import io
import math
import pickletools
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from utils.errors import UserError
from utils.foreign.pickles import (
    NAMES,
    Allowed,
    Array,
    ForbiddenNameError,
    Names,
    Skipped,
    kind_name,
    load_pickle,
)
from utils.foreign.sandbox import Parts, UnexpectedContentError, read_in_sandbox

WRAPPINGS = ("model", "state_dict", "model_state")
# Of DataParallel, and of the network beside the loss (``__L__.``) in voxceleb_trainer.
PREFIXES = ("module.", "__S__.")
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
ByteOrder: TypeAlias = Literal["<", ">"]
BYTE_ORDERS: dict[bytes, ByteOrder] = {b"little": "<", b"big": ">"}
BFLOAT16 = "bfloat16"  # the upper half of a float32; NumPy has no such type
STORAGE_TYPES = {
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": BFLOAT16,
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "b1",
    "torch.ComplexFloatStorage": "c8",
    "torch.ComplexDoubleStorage": "c16",
    "torch.QInt8Storage": "i1",
    "torch.QUInt8Storage": "u1",
    "torch.QInt32Storage": "i4",
    "torch.storage.UntypedStorage": "u1",
}
UNTYPED_DTYPES = {"torch.uint16": "u2", "torch.uint32": "u4", "torch.uint64": "u8"}
OTHER_DTYPES = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]
OTHER_DTYPES += ["int64", "int32", "int16", "int8", "uint8", "bool", "complex64", "complex128"]


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a state dictionary by key, in the file's order, without the prefixes of wrappers.

    The dictionary may be under ``model``, ``state_dict`` or ``model_state`` of another.  UserError:
    the file is missing or damaged, asks for other names than the allowed ones, or has no state
    dictionary.
    """
    expected = "not a file of torch that holds tensors and plain values only"
    arrays = read_in_sandbox(state_arrays, [path], expected)[""]
    plain: dict[str, np.ndarray] = {}
    for key, array in arrays.items():
        name = _without_prefixes(key)
        if name in plain:
            prefixes = " or ".join(PREFIXES)
            raise UserError(f"{path}: '{key}' occurs twice, with and without {prefixes}")
        plain[name] = array
    return plain


def _without_prefixes(name: str) -> str:
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return _without_prefixes(name.removeprefix(prefix))
    return name


class _Storage(NamedTuple):
    """A block of numbers of the file; ``num_items`` and ``start`` count items, not bytes."""

    key: str
    item_type: str
    num_items: int
    start: int


class _Tensor(NamedTuple):
    """A view of a storage; ``storage`` None: a form that is not read (sparse, quantised, ...)."""

    storage: _Storage | None
    item_type: str = ""
    offset: Any = 0
    shape: Any = ()
    strides: Any = ()


class _File:
    """A file of either format: its unpickled content, and the bytes of storages by key."""

    def __init__(self, content: Any, load: Callable[[str], bytes], byte_order: ByteOrder) -> None:
        self.content, self._load, self._byte_order = content, load, byte_order
        self._storages: dict[str, bytes] = {}

    def array(self, tensor: _Tensor) -> np.ndarray | None:
        """The numbers of a tensor; None if they are complex, or not all in the file."""
        if tensor.storage is None:
            return None
        numbers = np.dtype(_numpy_type(tensor.item_type)).newbyteorder(self._byte_order)
        if numbers.kind == "c":
            return None
        sizes = [*tensor.shape, *tensor.strides, tensor.offset]
        if not all(type(size) is int and size >= 0 for size in sizes):
            raise ValueError("a tensor of a negative size")
        size = math.prod(tensor.shape)
        if size == 0:
            return np.empty(tensor.shape, _wide_type(tensor.item_type))
        content = self._bytes(tensor.storage)
        if size * numbers.itemsize > len(content):
            return None
        strides = [stride * numbers.itemsize for stride in tensor.strides]
        offset = tensor.offset * numbers.itemsize
        array = np.ndarray(tensor.shape, numbers, content, offset, strides)
        if tensor.item_type == BFLOAT16:
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(np.float32) if tensor.item_type == "f2" else array

    def _bytes(self, storage: _Storage) -> memoryview:
        """The bytes of a storage, which is read once."""
        if storage.key not in self._storages:
            self._storages[storage.key] = self._load(storage.key)
        item_bytes = np.dtype(_numpy_type(storage.item_type)).itemsize
        start = storage.start * item_bytes
        end = start + storage.num_items * item_bytes
        content = memoryview(self._storages[storage.key])[start:end]
        if len(content) != end - start:
            raise ValueError(f"storage {storage.key} is shorter than its tensors need")
        return content


def _numpy_type(item_type: str) -> str:
    return "u2" if item_type == BFLOAT16 else item_type


def _wide_type(item_type: str) -> str:
    """The type that is returned: float32 for half precision, which our networks do not take."""
    return "f4" if item_type in ("f2", BFLOAT16) else item_type


def state_arrays(path: Path, _parts: list[str]) -> Parts:
    """Runs in the sandbox: tensors of a state dictionary by key."""
    if not zipfile.is_zipfile(path):
        return {"": _state(_open_legacy(path))}
    with zipfile.ZipFile(path) as archive:
        return {"": _state(_open_zip(archive, path))}


def _state(file: _File) -> dict[str, np.ndarray]:
    """Arrays of the state dictionary, which may be wrapped in other dictionaries."""
    content = file.content
    for wrapping in WRAPPINGS:
        if isinstance(content, dict) and isinstance(content.get(wrapping), dict):
            content = content[wrapping]
    wrappings = " or ".join(WRAPPINGS)
    if not isinstance(content, dict) or not content or not all(isinstance(k, str) for k in content):
        raise UnexpectedContentError(
            f"holds {kind_name(content)}, expected a dictionary of tensors, or one of them under "
            f"{wrappings}"
        )
    arrays = {}
    for key, value in content.items():
        if not isinstance(value, _Tensor | Array):
            raise UnexpectedContentError(
                f"'{key}' is not a tensor; expected a dictionary of tensors, or one under "
                f"{wrappings}"
            )
        array = value.array if isinstance(value, Array) else file.array(value)
        if array is None or array.dtype.kind == "c":
            raise UnexpectedContentError(
                f"'{key}' is not stored whole, as numbers; expected what torch.save writes of a "
                "network's state_dict()"
            )
        arrays[key] = array
    return arrays


def _open_zip(archive: zipfile.ZipFile, path: Path) -> _File:
    """The format since torch 1.6: a pickle and the storages are members of a zip file."""
    members = {member.filename: member for member in archive.infolist()}
    file_bytes = path.stat().st_size

    def load(name: str) -> bytes:
        member = members[name]
        if member.compress_type or not member.compress_size == member.file_size <= file_bytes:
            raise ValueError(
                f"{name} is compressed, or its two sizes differ, unlike in files of torch"
            )
        return archive.read(member)  # raises where the checksum is wrong

    pickles = [name for name in members if name.endswith("data.pkl")]
    if len(pickles) != 1:
        raise ValueError(f"{len(pickles)} members of the zip file are called data.pkl, expected 1")
    root = pickles[0].removesuffix("data.pkl")
    byte_order: ByteOrder = "<"
    if f"{root}byteorder" in members:
        byte_order = BYTE_ORDERS[load(f"{root}byteorder")]
    content = _load(io.BytesIO(load(pickles[0])), path, {})
    return _File(content, lambda key: load(f"{root}data/{key}"), byte_order)


def _open_legacy(path: Path) -> _File:
    """The format before torch 1.6: several pickles, then the storages, little-endian."""
    file = io.BytesIO(path.read_bytes())
    if load_pickle(file, {}) != LEGACY_MAGIC:
        raise ValueError("it does not begin like a file of torch")
    for _ in ("version of the protocol", "sizes of C's types"):
        load_pickle(file, {})
    item_types: dict[str, str] = {}
    content = _load(file, path, item_types)
    storages = {}
    for key in load_pickle(file, {}):
        item_bytes = np.dtype(_numpy_type(item_types[key])).itemsize
        size = int.from_bytes(file.read(8), "little") * item_bytes
        storages[key] = file.read(size)
        if len(storages[key]) != size:
            raise ValueError(f"storage {key} ends too early")
    return _File(content, storages.__getitem__, "<")


def _load(file: io.BytesIO, path: Path, item_types: dict[str, str]) -> Any:
    """Unpickle from a file; ``item_types`` gets the type of each storage, by key."""

    def load_storage(identity: Any) -> _Storage:
        kind, storage_type, key, _, count, *view = identity
        if kind != "storage" or type(storage_type) is not Allowed or type(key) is not str:
            raise ValueError("a persistent id that is not a storage")
        item_type = STORAGE_TYPES[storage_type.label]
        if item_types.setdefault(key, item_type) != item_type:
            raise ValueError(f"storage {key} has two types")
        first = 0
        if view and view[0] is not None:  # of an old format: a part of a storage
            _, first, count = view[0]
        if type(count) is not int or type(first) is not int or min(count, first) < 0:
            raise ValueError("a storage of a negative size")
        return _Storage(key, item_type, count, first)

    start = file.tell()
    try:
        return load_pickle(file, TORCH_NAMES, load_storage)
    except ForbiddenNameError as error:
        pickled = file.getvalue()[start:]
        raise UnexpectedContentError(_explain(error.asked, pickled, path)) from None


def _explain(asked: str, pickled: bytes, path: Path) -> str:
    """The message about a file that asks for a forbidden name: what it is, what to do."""
    top = asked.partition(".")[0]
    if top == "__torch__":
        load = f"torch.jit.load({str(path)!r}, map_location='cpu')"
        what = "a TorchScript module"
    elif b"torch.nn.modules." in pickled and top not in sys.stdlib_module_names:
        load = f"torch.load({str(path)!r}, map_location='cpu', weights_only=False)"
        load += _key_of_network(pickled)
        what = f"a whole network (class {asked}), which only its own code can read"
    else:
        return (
            f"not a file of torch that holds tensors and plain values only (it asks for {asked}; "
            "nothing of it was run); ask who made it for the weights alone, as "
            "torch.save(model.state_dict(), 'weights.pt') writes them"
        )
    return (
        f"holds {what}, expected its weights; if you trust the file, then where its code is: "
        f"python -c \"import torch; torch.save({load}.state_dict(), 'weights.pt')\", "
        "and import weights.pt"
    )


def _key_of_network(pickled: bytes) -> str:
    """``['model']`` where the pickle is a dictionary with a network under this key."""
    key, is_dict = "", False
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "EMPTY_DICT":
            is_dict = True
        elif opcode.name == "BINUNICODE" and is_dict and argument != "module":  # legacy's own
            key = f"[{argument!r}]"
        elif opcode.name == "GLOBAL" and tuple(str(argument).split(" ", 1)) not in TORCH_NAMES:
            return key
    return ""


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *others: Any) -> _Tensor:
    """A tensor; ``others``: two facts about gradients, and the metadata of a negated view."""
    if type(storage) is not _Storage:
        raise ValueError(f"a {kind_name(storage)} where a storage belongs")
    if any(others[2:]):
        return _Tensor(None)
    return _Tensor(storage, storage.item_type, offset, shape, strides)


def _rebuild_untyped(storage: Any, offset: Any, shape: Any, strides: Any, *others: Any) -> _Tensor:
    """A tensor whose type has no storage type; the type is the third of ``others``."""
    tensor = _rebuild_tensor(storage, offset, shape, strides)
    dtype = others[2]
    if type(dtype) is not Allowed or dtype.label not in UNTYPED_DTYPES:
        return _Tensor(None)
    return tensor._replace(item_type=UNTYPED_DTYPES[dtype.label])


def _rebuild_other(*_arguments: Any) -> _Tensor:
    """A sparse or quantised tensor, or one without numbers."""
    return _Tensor(None)


def _first(tensor: Any, *_others: Any) -> Any:
    """The data of a parameter."""
    return tensor


def _rebuild_subclass(function: Any, _kind: Any, arguments: Any, _state: Any) -> Any:
    """A tensor that has attributes of its own."""
    if type(function) is not Allowed:
        raise ValueError("a tensor of an unknown class")
    return function(*arguments)


def _allow(function: Callable | None, module: str, *names: str) -> Names:
    return {(module, name): Allowed(f"{module}.{name}", function) for name in names}


def _split(label: str) -> tuple[str, str]:
    """Module and name."""
    module, _, name = label.rpartition(".")
    return module, name


TORCH_NAMES: Names = {
    **NAMES,
    **{_split(label): Allowed(label) for label in [*STORAGE_TYPES, *UNTYPED_DTYPES]},
    **_allow(None, "torch", "Tensor", *OTHER_DTYPES),
    **_allow(None, "torch.nn.parameter", "Parameter"),
    **_allow(Skipped, "torch", "Size", "device", "per_tensor_affine", "per_channel_affine"),
    **_allow(Skipped, "torch.serialization", "_get_layout"),
    **_allow(_rebuild_tensor, "torch._utils", "_rebuild_tensor", "_rebuild_tensor_v2"),
    **_allow(_rebuild_untyped, "torch._utils", "_rebuild_tensor_v3"),
    **_allow(_first, "torch._utils", "_rebuild_parameter", "_rebuild_parameter_with_state"),
    **_allow(_rebuild_other, "torch._utils", "_rebuild_qtensor", "_rebuild_sparse_tensor"),
    **_allow(_rebuild_other, "torch._utils", "_rebuild_meta_tensor_no_storage"),
    **_allow(
        _rebuild_other, "torch._utils", "_rebuild_sparse_csr_tensor", "_rebuild_nested_tensor"
    ),
    **_allow(_rebuild_subclass, "torch._tensor", "_rebuild_from_type_v2"),
}
