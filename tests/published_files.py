"""Files of weights as published programs save them: torch, Keras, TensorFlow checkpoints."""

import struct
from pathlib import Path

import numpy as np

from utils.foreign.tensorflow import MAGIC, TYPES, masked_crc32c


def save_as(path: Path, state: dict[str, np.ndarray], saved_as: str) -> Path:
    """Write a published file; gives the path for the import command."""
    if saved_as == "keras":
        return save_keras(path, state)
    if saved_as == "tensor bundle":
        return save_bundle(path, state)
    import torch

    tensors = {key: torch.from_numpy(array) for key, array in state.items()}
    if saved_as == "under model":
        torch.save({"model": tensors}, path)
    elif saved_as == "under state_dict":
        optimizer = torch.optim.Adagrad([torch.nn.Parameter(torch.ones(2))], lr=0.1).state_dict()
        torch.save({"epoch": 3, "state_dict": tensors, "optimizer": optimizer}, path)
    elif saved_as == "with __S__.":
        prefixed = {}
        for key, tensor in tensors.items():
            if not key.startswith("__L__."):
                key = "__S__." + key
            prefixed[key] = tensor
        torch.save(prefixed, path)
    elif saved_as == "with module.":
        torch.save({"module." + key: tensor for key, tensor in tensors.items()}, path)
    else:
        assert saved_as == "state_dict"
        torch.save(tensors, path)
    return path


def save_keras(path: Path, state: dict[str, np.ndarray], inside: str = "") -> Path:
    """Write ``<layer>/<weight>`` as Keras 2 does: a group per slash, and names in attributes."""
    import h5py

    layers = {}
    for key, array in state.items():
        layer, _, weight = key.rpartition("/")
        layers.setdefault(layer, {})[weight] = array
    with h5py.File(path, "w") as file:
        group = file
        if inside:
            group = file.create_group(inside)
        group.attrs["layer_names"] = [name.encode() for name in ["input_1", *layers]]
        group.attrs["backend"], group.attrs["keras_version"] = b"tensorflow", b"2.2.4"
        group.create_group("input_1").attrs["weight_names"] = []
        for layer, weights in layers.items():
            folder = group.require_group(layer)
            names = [f"{layer}/{weight}:0" for weight in weights]
            folder.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, weights.values(), strict=True):
                folder.create_dataset(name, data=array)
    return path


def save_bundle(prefix: Path, state: dict[str, np.ndarray], block_entries: int = 5) -> Path:
    """Write a TensorFlow checkpoint: blocks with checksums of sorted keys.

    A key is stored as what it does not share with the previous one.
    """
    numbers = {dtype: number for number, dtype in TYPES.items()}
    data, entries = b"", [(b"", b"\x08\x01\x1a\x02\x08\x01")]  # the header: one shard, version 1
    for key, array in sorted(state.items()):
        array = np.asarray(array)
        content = array.tobytes()
        dims = b"".join(field(2, field(1, size)) for size in array.shape)
        value = field(1, numbers[array.dtype.str.replace("|b1", "?")]) + field(2, dims)
        if data:
            value += field(4, len(data))
        value += field(5, len(content))
        value += b"\x35" + struct.pack("<I", masked_crc32c(content))
        entries.append((key.encode(), value))
        data += content
    index, handles = b"", []
    for start in range(0, len(entries), block_entries):
        part = entries[start : start + block_entries]
        block = table_block(part)
        handles.append((part[-1][0] + b"~", varint(len(index)) + varint(len(block) - 5)))
        index += block
    for last in (table_block([]), table_block(handles)):
        handles.append((b"", varint(len(index)) + varint(len(last) - 5)))
        index += last
    footer = handles[-2][1] + handles[-1][1]
    index += footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)
    Path(f"{prefix}.index").write_bytes(index)
    Path(f"{prefix}.data-00000-of-00001").write_bytes(data)
    return prefix


def table_block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Entries, one restart, and the trailer: no compression, checksum."""
    content, before = b"", b""
    for key, value in entries:
        shared = 0
        while shared < min(len(key), len(before)) and key[shared] == before[shared]:
            shared += 1
        content += varint(shared) + varint(len(key) - shared) + varint(len(value))
        content += key[shared:] + value
        before = key
    content += struct.pack("<II", 0, 1) + b"\0"
    return content + struct.pack("<I", masked_crc32c(content))


def field(number: int, value: int | bytes) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """A whole number, 7 bits per byte."""
    if value < 128:
        return bytes([value])
    return bytes([value & 127 | 128]) + varint(value >> 7)
