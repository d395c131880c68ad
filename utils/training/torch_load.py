"""Loading our own checkpoints: nothing in a file is run, and no file takes more than it holds."""

import pickle
import pickletools
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

FAULTS = (
    zipfile.BadZipFile,
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    EOFError,
    OSError,
    struct.error,
    zlib.error,
)  # of a file that is damaged, or of another format
LONGEST_NAME = 500  # of a class; torch takes minutes to refuse a name of a megabyte


def load_plain(path: Path) -> Any:
    """Tensors and plain values of a zip file of torch, on the CPU; FAULTS where it holds others."""
    import torch

    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type for member in members):
            raise ValueError("it is compressed, as torch's are not")
        if damaged := archive.testzip():  # torch itself does not look
            raise ValueError(f"the checksum of {damaged} is wrong")
        # The one size is what is checked, the other what is read.
        if any(member.compress_size != member.file_size for member in members):
            raise ValueError("it says two sizes of what it holds")
        for name in archive.namelist():
            if name.endswith("data.pkl") and _has_long_name(archive.read(name)):
                raise ValueError("a name in it is too long")
    return torch.load(path, map_location="cpu", weights_only=True)


def _has_long_name(content: bytes) -> bool:
    """True if a pickle names a class or function by more letters than any has."""
    for code, argument, _ in pickletools.genops(content):
        if code.name in ("GLOBAL", "INST") and len(str(argument)) > LONGEST_NAME:
            return True
    return False


def is_whole(value: object) -> bool:
    """True for a dense CPU tensor whose storage covers its shape.

    A stride of 0 could expand a few bytes to gigabytes.
    """
    import torch

    if (
        not isinstance(value, torch.Tensor)
        or value.layout is not torch.strided
        or value.is_quantized
        or value.is_complex()
    ):
        return False
    return (
        value.device.type == "cpu"
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )
